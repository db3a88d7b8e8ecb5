"""Which part of a document speaks to a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from store.records import Chunk

_WORD: Final = re.compile(r"\w{2,}")
_STEM_CHARACTERS: Final = 5
EXCERPT_CHARACTERS: Final = 280


def stems(words: Sequence[str]) -> dict[str, str]:
    """Map the beginning of each word to the first such word, in order, so that ``failing`` meets ``failed``."""
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(word.lower()[:_STEM_CHARACTERS], word)
    return found


def matched_words(question_words: Sequence[str], text: str) -> list[str]:
    """Return the words of the question that `text` holds, in the question's order, each once."""
    held = {word.lower()[:_STEM_CHARACTERS] for word in _WORD.findall(text)}
    return [word for stem, word in stems(question_words).items() if stem in held]


def best_passage(question_words: Sequence[str], chunks: Sequence[Chunk]) -> Chunk | None:
    """Return the body piece that holds most words of the question; the earliest of equals, None without any."""
    wanted = set(stems(question_words))
    best, most = None, 0
    for chunk in chunks:
        if chunk.kind != "body":
            continue
        held = {word.lower()[:_STEM_CHARACTERS] for word in _WORD.findall(f"{chunk.heading} {chunk.text}")}
        shared = len(wanted & held)
        if shared > most:
            best, most = chunk, shared
    return best


def excerpt(question_words: Sequence[str], text: str) -> str:
    """Return at most `EXCERPT_CHARACTERS` of `text`, from a little before the first word it shares."""
    flat = " ".join(text.split())
    if len(flat) <= EXCERPT_CHARACTERS:
        return flat
    wanted = set(stems(question_words))
    first = next((m.start() for m in _WORD.finditer(flat) if m[0].lower()[:_STEM_CHARACTERS] in wanted), 0)
    start = max(0, min(first - EXCERPT_CHARACTERS // 4, len(flat) - EXCERPT_CHARACTERS))
    if start:
        start = flat.find(" ", start) + 1
    end = start + EXCERPT_CHARACTERS
    cut = flat[start:end] if end >= len(flat) else flat[start:end].rsplit(" ", 1)[0] + " …"
    return ("… " if start else "") + cut
