"""Reads a block of YAML as text values, and keeps text that YAML would drop after `` #``.

Every scalar is the text that was written (``version: 1.10`` is ``"1.10"``), so nothing depends on YAML's implicit
types. Only YAML's events are used: tags create no objects, and neither nesting nor anchors can make a small document
large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec
import yaml

from indexer.characters import plain_characters, replace_control_characters

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

MAX_FRONTMATTER_CHARS: Final = 64 * 1024
MAX_DEPTH: Final = 50

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAG = "tag:yaml.org,2002:"
_BLOCK_SCALAR = re.compile(r"[|>][+-]?\d?[+-]?")

# A `#` after a space starts a comment in YAML. People write comments as `# text`; `#12` and `#channel` are text.
_HASH = re.compile(r"(?<=\S)([ \t]+)(#+)(?=[^\s#])")
_LOOSE_HASH = re.compile(r"((?<=\S)[ \t]+)(#+)")
# A description is prose, so nothing in it is a comment.
_PROSE = re.compile(r"[\"']?description[\"']?[ \t]*:[ \t]+[^\s#]", re.IGNORECASE)
_ANY_HASH = re.compile(r"((?:^|(?<=\S))[ \t]+)(#+)(?=[^\s#])")
_HASH_LINE = re.compile(r"([ \t]*)(#+)(?=[^\s#])(?![\w-]+[ \t]*:(?:\s|$))")
_ENTRY = re.compile(r"([ \t]*(?:- +)*)(?:[\w-]+[ \t]*:(?=\s|$))?[ \t]*(.*)")
_PRIVATE_USE = range(0xE000, 0xF900)
_COMMENT = re.compile(r"[ \t]+#")
_TOLD_WHEN_CUT = frozenset({"name", "description"})


class NotYaml(Exception):
    """A block is not a YAML mapping that can be read; the message says why."""


class YamlBlock(msgspec.Struct, frozen=True):
    """The values of a block.

    Attributes
    ----------
    values : dict
    repeated : list of str
        Keys that occur more than once.
    kept : bool
        Whether a value contains text that is a comment in YAML.
    cut : list of str
        The keys among `name` and `description` whose value is followed by a comment.
    cleaned : bool
        Whether invisible characters, which YAML escapes can produce, were removed from a value.
    """

    values: dict[str, Value]
    repeated: list[str]
    kept: bool
    cut: list[str]
    cleaned: bool


def read_yaml(text: str, line_offset: int = 0) -> YamlBlock:
    """Read a YAML mapping; line numbers in messages start at `line_offset`.

    ``#`` directly followed by text, and every ``#`` in a description, is read as text even after a space, unless the
    block is not valid YAML then.

    Raises
    ------
    NotYaml
    """
    if len(text) > MAX_FRONTMATTER_CHARS:
        raise NotYaml(f"it is longer than {MAX_FRONTMATTER_CHARS // 1024} KiB")
    stand_in = next((chr(code) for code in _PRIVATE_USE if chr(code) not in text), "") if "#" in text else ""
    guarded = _guard_hashes(text, stand_in) if stand_in else text
    if guarded != text:
        try:
            return _read(guarded, line_offset, stand_in)
        except NotYaml:
            pass
    return _read(text, line_offset, "")


def _guard_hashes(text: str, stand_in: str) -> str:
    """Replace each `#` that is text by a character without a meaning in YAML."""
    guarded = []
    # The indent of the plain value that may continue on this line; None if there is none.
    open_indent: int | None = None
    for line in text.split("\n"):
        hash_line = _HASH_LINE.match(line)
        if hash_line:
            is_text = open_indent is not None and hash_line.end(1) > open_indent
            guarded.append(_guard_line(line, stand_in) if is_text else line)
            continue
        hashed = (_LOOSE_HASH if _PROSE.match(line) else _HASH).search(line)
        is_text = hashed is not None and not _is_complete(line[: hashed.start()])
        guarded.append(_guard_line(line, stand_in) if is_text else line)
        open_indent = _open_indent(line, open_indent)
    return "\n".join(guarded)


def _guard_line(line: str, stand_in: str) -> str:
    hashes = _LOOSE_HASH if _PROSE.match(line) else _ANY_HASH
    return hashes.sub(lambda match: match[1] + stand_in * len(match[2]), line)


def _is_complete(before: str) -> bool:
    """Whether the value on a line is complete: it is quoted, or a block scalar follows."""
    entry = _ENTRY.match(before)
    value = entry[2].strip() if entry else ""
    is_quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] and value[0] not in value[1:-1]
    return is_quoted or _BLOCK_SCALAR.fullmatch(value) is not None


def _open_indent(line: str, before: int | None) -> int | None:
    if not line.strip():
        return before
    indent = len(line) - len(line.lstrip())
    if before is not None and indent > before:
        return before
    entry = _ENTRY.match(line)
    value = entry[2] if entry else ""
    is_plain = value and value[0] not in "\"'|>[{#&*!"
    return indent if is_plain else None


def _read(text: str, line_offset: int, stand_in: str) -> YamlBlock:
    builder = _Builder(text, stand_in)
    try:
        value = builder.build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 + line_offset if error.problem_mark else 1 + line_offset
        if error.problem == "mapping values are not allowed in this context":
            raise NotYaml(f"line {line} has ': ' in a value without quotes") from error
        raise NotYaml(f"line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise NotYaml("it contains characters that YAML does not allow") from error
    if not text.strip():
        value = {}
    if not isinstance(value, dict):
        raise NotYaml("it is not a mapping")
    return YamlBlock(value, builder.repeated, builder.kept, builder.cut, builder.cleaned)


class _Builder:
    """Builds the value that a stream of events describes; raises NotYaml for what is not supported."""

    def __init__(self, text: str, stand_in: str) -> None:
        self.repeated: list[str] = []
        self.kept = False
        self.cleaned = False
        self.cut: list[str] = []
        self._lines = text.split("\n")
        self._stand_in = stand_in
        self._top: list[Value] = []
        self._open: list[tuple[list[Value], None] | tuple[dict[str, Value], list[str]]] = [(self._top, None)]

    def build(self, events: Iterator[yaml.Event]) -> Value:
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                _refuse_references(event)
            if isinstance(event, yaml.ScalarEvent):
                self._note_comment(event)
                self._place(self._scalar(event))
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
            raise NotYaml("it contains more than one YAML document")
        return self._top[0] if self._top else None

    def _scalar(self, event: yaml.ScalarEvent) -> str | None:
        if event.implicit[0] and event.value in _NULLS:
            return None
        value: str = event.value
        if self._stand_in and self._stand_in in value:
            self.kept = self.kept or not event.style
            value = value.replace(self._stand_in, "#")
        plain = plain_characters(value)
        self.cleaned = self.cleaned or len(plain) < len(value)
        return replace_control_characters(plain)[0]

    def _note_comment(self, event: yaml.ScalarEvent) -> None:
        """Note the key of a plain top-level value that is followed by a comment."""
        _, waiting_key = self._open[-1]
        is_top_level = bool(self._top) and self._open[-1][0] is self._top[0]
        end = event.end_mark
        if not is_top_level or not waiting_key or event.style or event.value in _NULLS or end is None:
            return
        key = waiting_key[0].strip().lower()
        if key in _TOLD_WHEN_CUT and _COMMENT.match(self._lines[end.line], end.column):
            self.cut.append(key)

    def _enter(self, collection: tuple[list[Value], None] | tuple[dict[str, Value], list[str]]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise NotYaml(f"it is nested more than {MAX_DEPTH} levels deep")
        self._open.append(collection)

    def _place(self, value: Value) -> None:
        """Add a value to the open collection; a mapping's keys and values alternate, and a key waits for its value."""
        parent, waiting_key = self._open[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif waiting_key:
            key = waiting_key.pop()
            if key in parent and key not in self.repeated:
                self.repeated.append(key)
            if value not in (None, "") or not parent.get(key):
                parent[key] = value
        elif isinstance(value, str) and waiting_key is not None:
            waiting_key.append(value)
        else:
            raise NotYaml("it has a key that is not text")


def _refuse_references(event: yaml.NodeEvent) -> None:
    if event.anchor is not None:
        raise NotYaml("it uses YAML anchors or aliases")
    tag: str | None = getattr(event, "tag", None)
    if tag is not None and tag != "!" and not tag.startswith(_STANDARD_TAG):
        raise NotYaml("it uses YAML tags")
