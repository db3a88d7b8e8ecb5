"""Derives training pairs from a document itself: plausible queries, each with the part that answers it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from indexer.chunks import HEAD_CHARS
from indexer.document import SkillDocument
from indexer.markdown import read_lines

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_WHEN = re.compile(r"^use (?:this skill |it )?(?:when|whenever|for|to|if)\s+", re.IGNORECASE)
_FEWEST_WORDS = 5
_MOST_QUERY_CHARS = 700
_MOST_SECTIONS = 8


class OwnPairs(msgspec.Struct, frozen=True):
    """A part of a document, and texts from its other parts that should find it."""

    text: str
    queries: tuple[str, ...]


def own_pairs(document: SkillDocument) -> list[OwnPairs]:
    """Return up to two pairings: sentences of the description find the body, sections of the body the description.

    A query is never part of the text that it should find. "Use when …" is removed, since nobody asks that way.
    """
    pairs = []
    sentences = tuple(dict.fromkeys(_sentences(document.description)))
    if sentences and document.body:
        pairs.append(OwnPairs(f"{document.skill_name}.\n{document.body[:HEAD_CHARS]}", sentences))
    sections = _distinct(_sections(document.body), _MOST_SECTIONS)
    if sections and document.description:
        pairs.append(OwnPairs(f"{document.skill_name}. {document.description}", sections))
    return pairs


def _distinct(texts: Iterator[str], most: int) -> tuple[str, ...]:
    """Return the first `most` distinct texts, without consuming more."""
    seen: dict[str, None] = {}
    for text in texts:
        seen[text] = None
        if len(seen) == most:
            break
    return tuple(seen)


def _sentences(description: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(description):
        if len(sentence.split()) >= _FEWEST_WORDS:
            yield _WHEN.sub("", sentence)[:_MOST_QUERY_CHARS]


def _sections(body: str) -> Iterator[str]:
    """Yield the title and prose of each section; code says little about what a skill is for."""
    title, prose = "", [""]
    for line in [*read_lines(body), None]:
        if line is None or line.kind == "heading":
            section = " ".join([title, *prose]).strip()
            if len(" ".join(prose).split()) >= _FEWEST_WORDS:
                yield section[:_MOST_QUERY_CHARS]
            title, prose = (line.title if line else ""), []
        elif line.kind == "prose":
            prose.append(line.text.strip())
