"""Which part of a document matches a query best."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from store.contract.catalogue import Chunk
from store.contract.retrieval import Term
from store.folding import folded

_STEM_CHARACTERS: Final = 5
# What is left of “I'd” or “we've” says nothing.
_FEWEST_CHARACTERS: Final = 3
# A page-long query has more words than are useful to choose a passage.
_MAX_STEMS: Final = 64
EXCERPT_CHARACTERS: Final = 280
_LEAD_CHARACTERS: Final = EXCERPT_CHARACTERS // 4
# Only documents of more than a megabyte have longer chunks; the rest of such a chunk is not searched.
_READ_CHARACTERS: Final = 20_000
_ROUNDING: Final = 1e-9


class SoughtWords:
    """The words of a query, matched by their beginnings (``failing``, ``failed``).

    Parameters
    ----------
    terms : sequence of Term
        In the order of the query; repeated ones count once. The fewer documents contain a word, the more it counts.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._first: dict[str, str] = {}
        self._weight: dict[str, float] = {}
        telling = [term for term in terms if len(term.word) >= _FEWEST_CHARACTERS or not term.word.isascii()]
        for term in telling or terms:
            stem = term.word.lower()[:_STEM_CHARACTERS]
            self._first.setdefault(stem, term.word)
            self._weight[stem] = max(self._weight.get(stem, 0.0), 1.0 / math.log(math.e + term.documents))
        self._sought = [
            (stem, re.compile(_pattern(stem)) if len(stem) < _STEM_CHARACTERS else None)
            for stem in list(self._first)[:_MAX_STEMS]
        ]

    def stems_in(self, text: str) -> set[str]:
        """Return which of the beginnings words of `text` have."""
        return set(self._stems_in(_matched(text)))

    def _stems_in(self, lowered: str) -> Iterator[str]:
        for stem, start in self._sought:
            # Most words follow a space, which is faster to find than a word boundary.
            if stem in lowered and (start is None or f" {stem}" in lowered or start.search(lowered)):
                yield stem

    def words_in(self, text: str) -> list[str]:
        """Return the query's words that `text` contains, each once, the rarest first."""
        found = self.stems_in(text)
        held = [stem for stem in self._first if stem in found]
        return [self._first[stem] for stem in sorted(held, key=lambda stem: -self._weight[stem])]

    def weight_in(self, text: str) -> float:
        """Return the total weight of the query's words in `text`, 0 or more."""
        return math.fsum(self._weight[stem] for stem in self._stems_in(_matched(text)))

    def densest_in(self, text: str, characters: int) -> int:
        """Return the start of the stretch of `characters` with most of the query in it; 0 without any word."""
        matched = _matched(text)
        places = sorted(
            (found.start(), stem)
            for stem in set(self._stems_in(matched))
            for found in re.finditer(_pattern(stem), matched)
        )
        best, most = 0, 0.0
        within: Counter[str] = Counter()
        held, end = 0.0, 0
        # A window slides over the places; each of them enters and leaves it once, however often a word is repeated.
        for start, stem in places:
            while end < len(places) and places[end][0] < start + characters:
                entering = places[end][1]
                held += 0.0 if within[entering] else self._weight[entering]
                within[entering] += 1
                end += 1
            if held > most + _ROUNDING:
                best, most = start, held
            within[stem] -= 1
            held -= 0.0 if within[stem] else self._weight[stem]
        return _place_in(text, best) if len(matched) != len(text) else best


def _place_in(text: str, place: int) -> int:
    """Return the place in `text` that corresponds to a place in its folded form."""
    return bisect_left(range(len(text)), place, key=lambda end: len(_matched(text[:end])))


def _matched(text: str) -> str:
    return folded(text).lower()


def _pattern(stem: str) -> str:
    # A short word occurs inside longer ones, so it must begin a word. A whole stem hardly ever does, and there are no
    # word boundaries in scripts without spaces.
    return rf"\b{re.escape(stem)}" if len(stem) < _STEM_CHARACTERS and stem.isascii() else re.escape(stem)


def best_passage(sought: SoughtWords, chunks: Sequence[Chunk], similarities: Sequence[float] = ()) -> Chunk | None:
    """Return the body chunk with most of the query's words, the rarest counting most, or among equals the most similar.

    Words come first because they can be shown. Where several chunks contain equally much, or none contains a word, the
    most similar one is chosen. Only a document's first chunks have vectors; without any of those among the equals, the
    earliest chunk is chosen.

    Parameters
    ----------
    sought : SoughtWords
    chunks : sequence of Chunk
        Of one document, in order.
    similarities : sequence of float
        Cosines of the query and the first body chunks, in order; empty when they are not known.

    Returns
    -------
    Chunk or None
        None when there is no body.
    """
    body = [chunk for chunk in chunks if chunk.kind == "body"]
    held = [sought.weight_in(f"{chunk.heading}\n{chunk.text[:_READ_CHARACTERS]}") for chunk in body]
    most = max(held, default=0.0)
    equals = [place for place, weight in enumerate(held) if weight == most]
    embedded = [place for place in equals if place < len(similarities)]
    if embedded:
        return body[max(embedded, key=lambda place: similarities[place])]
    return body[equals[0]] if equals else None


def excerpt(sought: SoughtWords, text: str) -> str:
    """Return at most `EXCERPT_CHARACTERS` of `text`, from where it contains most of the query."""
    flat = " ".join(text[:_READ_CHARACTERS].split())
    if len(flat) <= EXCERPT_CHARACTERS:
        return flat
    densest = sought.densest_in(flat, EXCERPT_CHARACTERS - _LEAD_CHARACTERS)
    start = max(0, min(densest - _LEAD_CHARACTERS, len(flat) - EXCERPT_CHARACTERS))
    if start:
        start = flat.find(" ", start) + 1
    end = start + EXCERPT_CHARACTERS
    cut = flat[start:end] if end >= len(flat) else flat[start:end].rsplit(" ", 1)[0] + " …"
    return ("… " if start else "") + cut
