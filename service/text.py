"""Text for people: untrusted text made safe to show; counts, shares and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store.plurals import counted

__all__ = ["counted", "joined", "percent", "visible"]

# Zero-width joiners, which some scripts and emoji need.
_HARMLESS: Final = "\u200c\u200d"
_DELETE: Final = 0x7F
_FIRST_PRINTABLE: Final = 0x20
_ESCAPED_BYTES: Final = range(0xDC80, 0xDD00)
_SURROGATE_OFFSET: Final = 0xDC00


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that acts on a terminal, or that cannot be seen, written out.

    Control characters appear in caret notation (``^[``), other invisible ones by their code point (``<U+202E>``), and
    bytes of a file name that is not UTF-8 as ``\xff``. Text that consists of printable characters is returned as it
    is.

    Parameters
    ----------
    text : str
    keep : str
        Control characters to leave as they are, such as the newlines of a document.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep or character in _HARMLESS else _written_out(character)
        for character in text
    )


def percent(share: float) -> str:
    """Return a share as a percentage without decimals."""
    return f"{100 * share:.0f}%"


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _written_out(character: str) -> str:
    code = ord(character)
    if code < _FIRST_PRINTABLE or code == _DELETE:
        return "^" + chr(code ^ 0x40)
    if code in _ESCAPED_BYTES:
        return f"\\x{code - _SURROGATE_OFFSET:02x}"
    if character.isspace() and character not in "\u0085\u2028\u2029":
        return " "
    return f"<U+{code:04X}>"
