"""Cleans text of control characters, invisible characters and unusual spaces."""

from __future__ import annotations

import re

_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Joiners (U+200C, U+200D) and variation selectors are invisible too, but scripts and emoji are written with them.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_UNUSUAL_SPACE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f]")


def replace_control_characters(text: str) -> tuple[str, int]:
    r"""Replace control characters other than ``\n`` and ``\t`` by spaces; return the text and their number."""
    return _CONTROL_CHARACTER.subn(" ", text)


def plain_characters(text: str) -> str:
    """Return `text` without invisible characters and with plain spaces for unusual ones."""
    return text if text.isascii() else _UNUSUAL_SPACE.sub(" ", _INVISIBLE.sub("", text))
