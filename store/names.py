"""Decides which spellings are one name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Final

_SEPARATORS: Final = re.compile(r"[\s_-]+")
# Characters that cannot be seen and so cannot be meant: zero width, directions, soft hyphens, variation selectors.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@lru_cache(maxsize=4096)
def fold_name(name: str) -> str:
    """Return one text for all spellings of a name: NFC, NFD and full width, cases, and ways to separate words."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    # Folding case may undo the normal form, as for "ΐ".
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return _SEPARATORS.sub("-", folded).strip("-")


def split_qualified(folded: str) -> tuple[str, str] | None:
    """Return what stands before and after the last colon of a folded name, None without both."""
    before, colon, name = (part.strip("-") for part in folded.rpartition(":"))
    return (before, name) if colon and before and name else None


def path_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, ``.`` and ``..`` resolved, in one Unicode form."""
    pure: PurePath = PureWindowsPath(path) if _WINDOWS_PATH.match(path) else PurePosixPath(path)
    parts: list[str] = []
    for part in pure.parts:
        normal = unicodedata.normalize("NFC", part)
        if normal != "..":
            parts.append(normal.casefold() if isinstance(pure, PureWindowsPath) else normal)
        elif len(parts) > 1:
            parts.pop()
    return tuple(parts)
