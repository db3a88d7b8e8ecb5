"""Splits documents into chunks, which are embedded and from which passages are taken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from indexer.document import SkillDocument
from indexer.markdown import Line, read_lines
from store.contract.catalogue import Chunk
from store.folding import folded

# Increase it when the same document would get another name, other chunks or other embedded texts: all documents are
# then read and embedded again.
CHUNKS_SCHEMA = 3

CHUNK_CHARS = 1_200
MAX_CHUNKS = 64
HEAD_CHARS = 1_200
# Three more bring no measurable gain, and each costs time and space.
EMBEDDED_CHUNKS = 3

_SENTENCE_END = re.compile(r"[.!?][\"')\]]?(?=\s)|[\u3002\uff01\uff1f\uff1b][\u300d\u300f\u201d\uff09]?")
# Scripts written without spaces between words: kana and Han, with their punctuation and full-width forms.
_UNSPACED = re.compile(r"[\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_NOT_SPACE = re.compile(r"\S")
_JOINER = "\N{ZERO WIDTH JOINER}"


class _Block(msgspec.Struct, frozen=True):
    """A part of the body that belongs together; never empty, without white space at its ends."""

    start: int
    end: int
    heading: str
    starts_section: bool


def split(document: SkillDocument) -> list[Chunk]:
    """Split a document into a summary and at most 63 body chunks that together contain every word of the body.

    Chunks follow the text without overlap; only white space lies between them, or nothing where text without spaces
    (CJK) was split. Their target size is 1,200 characters. A chunk ends before a heading if it has reached a third of
    that, otherwise between paragraphs. A longer paragraph is split at the end of a line or a sentence, or else between
    words; only a word of more than 1,200 characters is split itself. If a document would need too many chunks, the
    target size is doubled until it does not.
    """
    summary = Chunk(ordinal=0, kind="summary", heading="", text=_summary(document), span_start=0, span_end=0)
    aim_chars = CHUNK_CHARS
    while aim_chars * MAX_CHUNKS < len(document.body):
        aim_chars *= 2
    while len(spans := _pack(document.body, aim_chars)) >= MAX_CHUNKS:
        aim_chars *= 2
    return [
        summary,
        *(
            Chunk(
                ordinal=i,
                kind="body",
                heading=heading,
                text=document.body[start:end],
                span_start=start,
                span_end=end,
            )
            for i, (start, end, heading) in enumerate(spans, start=1)
        ),
    ]


def embedded_text(document: SkillDocument) -> str:
    """Return the text whose vector represents a document: name, description and the first 1,200 characters of the body.

    It is never empty.
    """
    return folded(f"{_spoken_name(document)}. {document.description}\n{document.body[:HEAD_CHARS]}").strip()


def chunk_texts(document: SkillDocument, chunks: Sequence[Chunk]) -> list[str]:
    """Return the texts whose vectors represent the first 3 body chunks of a document, in order.

    Each begins with the name of the skill, since a chunk alone hardly says what it is about. A document without a body
    has none.
    """
    body = [chunk for chunk in chunks if chunk.kind == "body"]
    return [folded(f"{_spoken_name(document)}. {chunk.text}") for chunk in body[:EMBEDDED_CHUNKS]]


def _summary(document: SkillDocument) -> str:
    description = " ".join(document.description.split())
    return f"{_spoken_name(document)}: {description}" if description else _spoken_name(document)


def _spoken_name(document: SkillDocument) -> str:
    return " ".join(re.split(r"[-_\s]+", document.skill_name)).strip() or document.skill_name


def _sections(body: str) -> Iterator[_Block]:
    """Yield the blocks of the body in order, each with the headings above it; only white space lies between them."""
    headings: _Block | None = None
    for block in _blocks(body):
        if block.starts_section:
            headings = _join(headings, block)
        else:
            yield _join(headings, block)
            headings = None
    if headings:
        yield headings


def _join(first: _Block | None, second: _Block) -> _Block:
    if first is None:
        return second
    return _Block(first.start, second.end, second.heading, starts_section=True)


def _blocks(body: str) -> Iterator[_Block]:
    """Yield paragraphs, code with its fences, and headings."""
    heading = ""
    start: int | None = None
    end = 0
    in_code = False
    for line in read_lines(body):
        opens = line.kind == "fence" and not in_code
        closes = line.kind == "fence" and in_code
        if start is not None and (opens or line.kind in {"blank", "heading"}):
            yield _Block(start, end, heading, starts_section=False)
            start = None
        if line.text.strip():
            start = _text_start(line) if start is None else start
            end = line.start + len(line.text.rstrip())
        if line.kind == "heading" and start is not None:
            heading = line.title
            yield _Block(start, end, heading, starts_section=True)
            start = None
        if closes and start is not None:
            yield _Block(start, end, heading, starts_section=False)
            start = None
        in_code = opens or (in_code and not closes)
    if start is not None:
        yield _Block(start, end, heading, starts_section=False)


def _text_start(line: Line) -> int:
    return line.start + len(line.text) - len(line.text.lstrip())


def _pack(body: str, aim_chars: int) -> list[tuple[int, int, str]]:
    """Return (start, end, heading) of chunks of at most `aim_chars`, made of whole blocks where they fit.

    It stops as soon as there are too many. Blocks are not kept in memory, since there can be millions.
    """
    spans: list[tuple[int, int, str]] = []
    start = end = 0
    heading = ""
    for block in _sections(body):
        if len(spans) >= MAX_CHUNKS:
            return spans
        is_full = block.end - start > aim_chars
        is_next_section = block.starts_section and end - start >= aim_chars // 3
        if end > start and (is_full or is_next_section):
            spans.append((start, end, heading))
            start = end
        if start == end:
            start, heading = block.start, block.heading
        end = block.end
        while end - start > aim_chars:
            cut = _find_cut(body, start, start + aim_chars)
            spans.append((start, start + len(body[start:cut].rstrip()), heading))
            rest = _NOT_SPACE.search(body, cut, end)
            start = rest.start() if rest else end
    if end > start:
        spans.append((start, end, heading))
    return spans


def _find_cut(body: str, start: int, limit: int) -> int:
    """Return the best position in (start, limit] to end a chunk of a text that continues beyond `limit`."""
    middle = (start + limit) // 2
    line_end = body.rfind("\n", middle, limit + 1)
    if line_end > 0:
        return line_end
    sentence_ends = [match.end() for match in _SENTENCE_END.finditer(body, middle, limit)]
    if sentence_ends:
        return sentence_ends[-1]
    # Look back no further in longer chunks, so that megabytes without a space are not scanned for every cut.
    earliest = max(start, limit - CHUNK_CHARS)
    return next((i for i in range(limit, earliest, -1) if _is_border(body, i)), limit)


def _is_border(body: str, i: int) -> bool:
    """Whether a chunk can end before the character at `i` without splitting a word or a composed character."""
    before, after = body[i - 1], body[i]
    if before.isspace() or after.isspace():
        return True
    is_composed = _JOINER in {before, after} or unicodedata.category(after).startswith("M")
    return not is_composed and bool(_UNSPACED.match(before) or _UNSPACED.match(after))
