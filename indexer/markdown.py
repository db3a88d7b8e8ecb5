"""Classifies the lines of a Markdown text as headings, fenced code, prose or blank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
# The info string after a fence of backticks contains no backticks; otherwise it is inline code.
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")


class Line(msgspec.Struct, frozen=True):
    """One line.

    Attributes
    ----------
    kind : {'blank', 'prose', 'heading', 'fence', 'code'}
        'fence' opens or closes a code block, every line inside is 'code', and any other line is 'prose'.
    text : str
        The line without its newline.
    start : int
        Position of the line in the text.
    title : str
        The text of a heading; otherwise empty.
    """

    kind: Literal["blank", "prose", "heading", "fence", "code"]
    text: str
    start: int
    title: str


def read_lines(text: str) -> Iterator[Line]:
    r"""Yield the lines of a text whose lines end with ``\n``; headings are those with ``#`` (CommonMark 4.2, 4.5)."""
    start = 0
    fence = ""
    # A list of ten million lines would take more memory than anything else.
    for line in _split_lines(text):
        mark = line.lstrip(" ")[:1]
        if fence:
            closes = _closes(fence, line)
            yield Line("fence" if closes else "code", line, start, "")
            fence = "" if closes else fence
        elif not mark or mark.isspace():
            yield Line("prose" if line.strip() else "blank", line, start, "")
        elif mark in "`~" and (opening := _FENCE.match(line)):
            fence = opening[1]
            yield Line("fence", line, start, "")
        elif mark == "#" and (heading := _HEADING.match(line)):
            yield Line("heading", line, start, _title(line[heading.end(1) :]))
        else:
            yield Line("prose", line, start, "")
        start += len(line) + 1


def _split_lines(text: str) -> Iterator[str]:
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _closes(fence: str, line: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and mark == fence[0] * len(mark) and not line.startswith("    ")


def _title(text: str) -> str:
    title = text.strip()
    opened = title.rstrip("#")
    # A closing run of # must follow a space: "C#" is a title.
    return opened.rstrip() if not opened or opened[-1].isspace() else title
