"""Which part of a document speaks to a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from store.records import Chunk

_STEM_CHARACTERS: Final = 5
# A page-long question has more words than help to choose a passage.
_MAX_STEMS: Final = 64
EXCERPT_CHARACTERS: Final = 280


class SoughtWords:
    """The words of a question, as documents are searched for them: by their beginnings (``failing``, ``failed``).

    Parameters
    ----------
    words : sequence of str
        In the order of the question; repeated ones count once.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._first: dict[str, str] = {}
        for word in words:
            self._first.setdefault(word.lower()[:_STEM_CHARACTERS], word)
        # A short word hides inside longer ones, so it must stand at a word's beginning; a whole stem hardly ever does.
        self._sought = [
            (stem, re.compile(rf"\b{re.escape(stem)}") if len(stem) < _STEM_CHARACTERS else None)
            for stem in list(self._first)[:_MAX_STEMS]
        ]

    def stems_in(self, text: str) -> set[str]:
        """Return the beginnings that words of `text` have."""
        lowered = text.lower()
        return {stem for stem, start in self._sought if stem in lowered and (start is None or start.search(lowered))}

    def words_in(self, text: str) -> list[str]:
        """Return the question's words that `text` holds, in the question's order, each once."""
        held = self.stems_in(text)
        return [word for stem, word in self._first.items() if stem in held]

    def first_in(self, text: str) -> int:
        """Return where the first of them stands in `text`, 0 when there is none."""
        lowered = text.lower()
        places = [lowered.find(stem) for stem in self.stems_in(text)]
        return min(places, default=0)


def best_passage(sought: SoughtWords, chunks: Sequence[Chunk]) -> Chunk | None:
    """Return the body piece that holds most of the sought words; the earliest of equals, None without any."""
    best, most = None, 0
    for chunk in chunks:
        shared = len(sought.stems_in(f"{chunk.heading}\n{chunk.text}")) if chunk.kind == "body" else 0
        if shared > most:
            best, most = chunk, shared
    return best


def excerpt(sought: SoughtWords, text: str) -> str:
    """Return at most `EXCERPT_CHARACTERS` of `text`, from a little before the first sought word."""
    flat = " ".join(text.split())
    if len(flat) <= EXCERPT_CHARACTERS:
        return flat
    start = max(0, min(sought.first_in(flat) - EXCERPT_CHARACTERS // 4, len(flat) - EXCERPT_CHARACTERS))
    if start:
        start = flat.find(" ", start) + 1
    end = start + EXCERPT_CHARACTERS
    cut = flat[start:end] if end >= len(flat) else flat[start:end].rsplit(" ", 1)[0] + " …"
    return ("… " if start else "") + cut
