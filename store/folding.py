"""One form for what Unicode writes in several: words compare equal however they were typed or pasted."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Soft hyphen, zero-width space, word joiner and byte order mark: they stand inside words and show nothing.
_INVISIBLE: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")


def folded(text: str) -> str:
    """Return `text` in Unicode NFKC without invisible characters.

    Composed and decomposed letters, full-width and half-width forms, ligatures and letters of styled alphabets become
    the same. What people are shown and what is recorded stays as it was written.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
