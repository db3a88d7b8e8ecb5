"""Reads the YAML frontmatter of a skill document, and what people write where YAML should be.

Every scalar is taken as the text that was written (``version: 1.10`` is ``"1.10"``, a date is its text), so nothing
depends on YAML's guesses of types. Only YAML's events are used: no object is built from a document's tags, and
neither nesting nor anchors can make a small document large.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TypeAlias

import msgspec
import yaml

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

MAX_FRONTMATTER_CHARS = 64 * 1024
MAX_DEPTH = 50

_FENCE = re.compile(r"-{3,}[ \t]*")
_CLOSING_FENCE = re.compile(r"(?:-{3,}|\.{3})[ \t]*")
_CODE_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_HEADING = re.compile(r"#{1,6}[ \t]")
_KEY_LINE = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*)|$)")
_FIRST_KEY = re.compile(r"(?:name|description)[ \t]*:", re.IGNORECASE)
_COMMENT_LINE = re.compile(r"<!--.*-->[ \t]*")
_BLOCK_SCALAR = re.compile(r"([|>])[+-]?\d?[+-]?[ \t]*(?:#.*)?")
_CONFLICT_MARK = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: |$)")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAG = "tag:yaml.org,2002:"

# How many lines may stand before the opening fence.
_PREAMBLE_LINES = 10

_SHOWN_KEYS = 3
_SHOWN_KEY_CHARS = 40


class Frontmatter(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says about itself, and the rest of it.

    Attributes
    ----------
    present : bool
        False when the document has none; then `values` is empty and `body` is everything.
    values : dict
        Top-level keys as written, in order. Scalars are text; YAML's null is None.
    body : str
        The Markdown, without blank lines before it or white space after it.
    problems : tuple of str
        One sentence each.
    """

    present: bool
    values: dict[str, Value]
    body: str
    problems: tuple[str, ...]


class _NotYaml(Exception):
    """A block is not a YAML mapping that is read here; the message says why, as half a sentence."""


class _Top(msgspec.Struct, frozen=True):
    """Where frontmatter starts: its first line, and how many lines before it belong to the body."""

    first_line: int
    preamble_lines: int
    problem: str | None


class _Item(msgspec.Struct, frozen=True):
    """One top-level key of an invalid block: what stands behind its colon, and all of its lines."""

    key: str
    first: str
    lines: list[str]


def replace_control_characters(text: str) -> tuple[str, int]:
    r"""Return `text` with each control character but ``\n`` and ``\t`` made a space, and how many there were."""
    return _CONTROL_CHARACTER.subn(" ", text)


def read_frontmatter(text: str) -> Frontmatter:
    r"""Split a document into frontmatter and body; every text can be read.

    A block between two ``---`` lines is read as YAML. When it is not valid YAML it is read key by key: each
    top-level ``key: value`` with its continuation lines as YAML of its own, or else as the text that stands there.
    The same serves frontmatter that is never closed, that has no opening line or that stands below a comment.

    Parameters
    ----------
    text : str
        The whole document; lines end with ``\n``.
    """
    lines = text.split("\n")
    top = _find_top(lines)
    if top is None:
        return _absent(text)
    problems = [top.problem] if top.problem else []
    closing = next((i for i in range(top.first_line, len(lines)) if _CLOSING_FENCE.fullmatch(lines[i])), None)
    block, rest = lines[top.first_line : closing], [] if closing is None else lines[closing + 1 :]
    values: dict[str, Value] | None = None
    fault = ""
    if closing is not None:
        values, fault = _try_yaml(block, top.first_line, problems)
    if values is None:
        end = _find_end(block, closed=closing is not None)
        if closing is None or end < len(block):
            problems.append("The frontmatter is not closed by a '---' line.")
            block, rest = block[:end], _outdent(lines[top.first_line + end :])
            values, fault = _try_yaml(block, top.first_line, problems)
            if values == {}:
                return _absent(text)
    if values is None:
        values = _read_line_by_line(block)
        if not values:
            return _absent(text)
        problems.append(f"The frontmatter is not valid YAML ({fault}); it was read line by line.")
    body = "\n".join(lines[: top.preamble_lines] + rest)
    return Frontmatter(present=True, values=values, body=_trim(body), problems=tuple(problems))


def _absent(text: str) -> Frontmatter:
    return Frontmatter(present=False, values={}, body=_trim(text), problems=())


def _trim(body: str) -> str:
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", body.rstrip())


def _find_top(lines: list[str]) -> _Top | None:
    if _FENCE.fullmatch(lines[0]):
        return _Top(1, 0, None)
    for i, line in enumerate(lines[: _PREAMBLE_LINES + 1]):
        below = lines[i + 1] if i + 1 < len(lines) else ""
        if _FENCE.fullmatch(line):
            only_blank = not any(above.strip() for above in lines[:i])
            if only_blank or _FIRST_KEY.match(below):
                return _Top(i + 1, i, "The frontmatter does not start on the first line.")
            return None
        if _FIRST_KEY.match(line) and all(not above.strip() or _COMMENT_LINE.fullmatch(above) for above in lines[:i]):
            return _Top(i, i, "The frontmatter has no '---' line above it.")
        if _HEADING.match(line) or _CODE_FENCE.match(line):
            return None
    return None


def _find_end(block: list[str], *, closed: bool) -> int:
    """Return how many lines of an invalid block are frontmatter: up to what can only be Markdown.

    A block that was closed may only have met a horizontal rule of the body, so a heading ends it too.
    """
    for i, line in enumerate(block):
        if not closed and line[:1].isspace() and _FENCE.fullmatch(line.strip()):
            return i
        if not line.strip() or (i > 0 and block[i - 1].strip()):
            continue
        if _HEADING.match(line):
            below = next((block[later] for later in range(i + 1, len(block)) if block[later].strip()), "")
            if not _KEY_LINE.match(below):
                return i
        elif _CODE_FENCE.match(line) or (not closed and not line[0].isspace() and not _continues(line)):
            return i
    return len(block)


def _continues(line: str) -> bool:
    """Whether an unindented line can stand in frontmatter."""
    return line[0] in "-#]}" or _KEY_LINE.match(line) is not None


def _outdent(rest: list[str]) -> list[str]:
    """Take the body from below an indented closing fence, without that indent; any other rest as it is."""
    if not rest or not _FENCE.fullmatch(rest[0].strip()):
        return rest
    indent = rest[0][: -len(rest[0].lstrip())]
    return [line.removeprefix(indent) for line in rest[1:]]


def _try_yaml(block: list[str], line_offset: int, problems: list[str]) -> tuple[dict[str, Value] | None, str]:
    """Return the block's values or None, and what is wrong with it; lines are counted from the document's first."""
    try:
        values, repeated = _read_yaml("\n".join(block), line_offset)
    except _NotYaml as fault:
        return None, str(fault)
    if repeated:
        shown = ", ".join(f"'{key[:_SHOWN_KEY_CHARS]}'" for key in repeated[:_SHOWN_KEYS])
        problems.append(f"The frontmatter gives {shown} more than once; the last one counts.")
    return values, ""


def _read_yaml(text: str, line_offset: int = 0) -> tuple[dict[str, Value], list[str]]:
    """Return a block's values and the keys that it repeats; raises _NotYaml."""
    if len(text) > MAX_FRONTMATTER_CHARS:
        raise _NotYaml(f"it is longer than {MAX_FRONTMATTER_CHARS // 1024} KiB")
    try:
        builder = _Builder()
        value = builder.build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 + line_offset if error.problem_mark else 1 + line_offset
        if error.problem == "mapping values are not allowed in this context":
            raise _NotYaml(f"line {line} has ': ' in a value without quotes") from error
        raise _NotYaml(f"line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise _NotYaml("it holds characters that YAML does not allow") from error
    if not text.strip():
        return {}, []
    if not isinstance(value, dict):
        raise _NotYaml("it does not consist of keys and values")
    return value, builder.repeated


class _Builder:
    """Builds the one value that a stream of events describes; raises _NotYaml for what is not read here."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self._top: list[Value] = []
        self._open: list[tuple[list[Value], None] | tuple[dict[str, Value], list[str]]] = [(self._top, None)]

    def build(self, events: Iterator[yaml.Event]) -> Value:
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                _refuse_references(event)
            if isinstance(event, yaml.ScalarEvent):
                is_null = event.implicit[0] and event.value in _NULLS
                self._place(None if is_null else replace_control_characters(event.value)[0])
            elif isinstance(event, yaml.MappingStartEvent):
                mapping: dict[str, Value] = {}
                self._place(mapping)
                self._enter((mapping, []))
            elif isinstance(event, yaml.SequenceStartEvent):
                sequence: list[Value] = []
                self._place(sequence)
                self._enter((sequence, None))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
        if len(self._top) > 1:
            raise _NotYaml("it holds more than one YAML document")
        return self._top[0] if self._top else None

    def _enter(self, collection: tuple[list[Value], None] | tuple[dict[str, Value], list[str]]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise _NotYaml(f"it is nested more than {MAX_DEPTH} levels deep")
        self._open.append(collection)

    def _place(self, value: Value) -> None:
        """Put a value where it belongs; a mapping's values come in turn with its keys, which wait in a list."""
        parent, waiting_key = self._open[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif waiting_key:
            key = waiting_key.pop()
            if key in parent and key not in self.repeated:
                self.repeated.append(key)
            parent[key] = value
        elif isinstance(value, str) and waiting_key is not None:
            waiting_key.append(value)
        else:
            raise _NotYaml("it has a key that is not text")


def _refuse_references(event: yaml.NodeEvent) -> None:
    if event.anchor is not None:
        raise _NotYaml("it uses YAML anchors or aliases")
    tag: str | None = getattr(event, "tag", None)
    if tag is not None and tag != "!" and not tag.startswith(_STANDARD_TAG):
        raise _NotYaml("it uses YAML tags")


def _read_line_by_line(block: list[str], *, nested: bool = False) -> dict[str, Value]:
    """Read each `key: value` at the left edge; the lines up to the next key belong to it."""
    items: list[_Item] = []
    size_chars = 0
    for line in block:
        size_chars += len(line) + 1
        if size_chars > MAX_FRONTMATTER_CHARS:
            break
        match = _KEY_LINE.match(line)
        if match:
            items.append(_Item(match[1], (match[2] or "").strip(), [line]))
        elif items and not line.startswith("#") and not _CONFLICT_MARK.match(line):
            items[-1].lines.append(line)
    return {item.key: _read_item(item, nested=nested) for item in items}


def _read_item(item: _Item, *, nested: bool) -> Value:
    """Read one key with its lines: as YAML when that works, else as text."""
    try:
        values, _ = _read_yaml("\n".join(item.lines))
    except _NotYaml:
        pass
    else:
        return values[item.key]
    below = item.lines[1:]
    block_scalar = _BLOCK_SCALAR.fullmatch(item.first)
    if block_scalar:
        separator = "\n" if block_scalar[1] == "|" else " "
        return separator.join(line.strip() for line in below).strip()
    if not item.first and not nested:
        inner = _read_line_by_line(textwrap.dedent("\n".join(below)).split("\n"), nested=True)
        if inner:
            return inner
    parts = [item.first, *(line.strip() for line in below)]
    return _unquote(" ".join(part for part in parts if part)) or None


def _unquote(text: str) -> str:
    for quote in ('"', "'"):
        if text.startswith(quote):
            if len(text) > 1 and text.endswith(quote):
                return text[1:-1].replace(f"\\{quote}", quote)
            if text.count(quote) == 1:
                return text[1:]
    return text
