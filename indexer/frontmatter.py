"""Reads the frontmatter of a skill document, also where it is not valid YAML between two ``---`` lines."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Sequence
from typing import Any

import msgspec

from indexer.characters import plain_characters, replace_control_characters
from indexer.frontmatter_borders import CODE_FENCE, FENCE, HEADING, KEY_LINE, Top, find_top
from indexer.yaml_values import MAX_DEPTH, MAX_FRONTMATTER_CHARS, NotYaml, Value, YamlBlock, read_yaml

# Frontmatter is searched for in this much of a document.
_HEAD_CHARS = 1024 * 1024
# How much of each value is read from frontmatter that is not valid YAML; more than the longest description.
_MAX_VALUE_CHARS = 16 * 1024
_MAX_KEYS = 1_000

_BLOCK_SCALAR = re.compile(r"([|>])[+-]?\d?[+-]?[ \t]*(?:#.*)?")
_CONFLICT_MARK = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: |$)")
_TOML_LINE = re.compile(r"([A-Za-z_][\w-]*)[ \t]*=[ \t]*(.*)")
_KNOWN = "name|description|license|compatibility|category|allowed-tools|metadata|version"
_TIGHT_KEY = re.compile(rf"({_KNOWN})[ \t]*(?::(?=[^\s:/])|:\u3000+|\uff1a[ \t\u3000]*)", re.IGNORECASE)
_ODD_SPACE = re.compile(r"[ \t]*(?:[\w-]+[ \t]*:[ \t]*)?[^\S\n \t\u3000]")
_NOT_SPACE = re.compile(r"\S")
_CURLY_QUOTES = re.compile(r"""([\w-]+:[ \t]+)[\u201c\u201d]([^\u201c\u201d"\\]*)[\u201c\u201d][ \t]*""")

_SHOWN_KEYS = 3
_SHOWN_KEY_CHARS = 40


class Frontmatter(msgspec.Struct, frozen=True, kw_only=True):
    """A document split into its frontmatter and its body.

    Attributes
    ----------
    present : bool
        False if there is none; then `values` is empty and `body` is the whole text.
    values : dict
        Top-level keys as written, in order. Scalars are text; YAML's null is None.
    body : str
        The Markdown, without leading blank lines and trailing white space.
    problems : tuple of str
        What is unusual, one sentence each.
    """

    present: bool
    values: dict[str, Value]
    body: str
    problems: tuple[str, ...]


class _Item(msgspec.Struct, frozen=True):
    """One top-level key of an invalid block: the text after its colon and all of its lines."""

    key: str
    first: str
    lines: list[str]


def read_frontmatter(text: str) -> Frontmatter:
    r"""Split a document into frontmatter and body; every text can be read.

    A block between two ``---`` lines is read as YAML. If it is not valid YAML, each top-level ``key: value`` with its
    continuation lines is read separately, as YAML or else as text. Frontmatter is also recognised if it is not closed,
    has no opening line, is below comments, a licence or a little text, is in a code block, is indented, is enclosed in
    lines other than ``---`` or is written in TOML.

    Parameters
    ----------
    text : str
        The whole document; lines end with ``\n``.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        head = text[:_HEAD_CHARS]
        self._beyond = text[_HEAD_CHARS:]
        self._lines = head.split("\n")
        # The same lines without invisible characters.
        self._plain = plain_characters(head).split("\n")
        self._is_closed = True
        self._is_cleaned = False
        self._problems: list[str] = []

    def read(self) -> Frontmatter:
        top = find_top(self._plain)
        if top is None:
            return self._absent()
        if top.problem:
            self._problems.append(top.problem)
        if top.syntax == "toml":
            values, rest, fault = self._read_toml(top)
        else:
            values, rest, fault = self._read_yaml(top)
        if not values and (fault or not self._is_closed):
            return self._absent()
        if fault:
            self._problems.append(f"The frontmatter {fault}; it was read line by line.")
        if top.code_fence and not self._beyond:
            rest = _unwrap(rest, top.code_fence)
        if top.indent:
            rest = [line.removeprefix(top.indent) for line in rest]
        body = "\n".join([*top.above, *rest]) + self._beyond
        return Frontmatter(present=True, values=values, body=_trim(body), problems=tuple(self._problems))

    def _absent(self) -> Frontmatter:
        return Frontmatter(present=False, values={}, body=_trim(self._text), problems=())

    def _split(self, top: Top) -> tuple[list[str], list[str]]:
        """Return the lines of the block and those below it; sets `_is_closed`."""
        for i in range(top.first_line, len(self._plain)):
            line = self._plain[i].removeprefix(top.indent)
            if top.closing.fullmatch(line):
                return self._block(top, i), self._lines[i + 1 :]
            if top.code_fence and line.strip() == top.code_fence:
                return self._block(top, i), self._lines[i:]
        self._is_closed = False
        return self._block(top, len(self._plain)), []

    def _block(self, top: Top, end: int) -> list[str]:
        return [line.removeprefix(top.indent) for line in self._plain[top.first_line : end]]

    def _read_toml(self, top: Top) -> tuple[dict[str, Value], list[str], str]:
        block, rest = self._split(top)
        values = _read_toml(block)
        if values is not None:
            return values, rest, ""
        lines = (_TOML_LINE.match(line) for line in block)
        return {match[1]: _unquote(match[2]) for match in lines if match}, rest, "is not valid TOML"

    def _read_yaml(self, top: Top) -> tuple[dict[str, Value], list[str], str]:
        block, rest = self._split(top)
        if not any(map(KEY_LINE.match, block)):
            # All keys are indented, maybe by tabs, which YAML does not allow.
            block = textwrap.dedent("\n".join(block)).split("\n")
        block = self._repair_keys(block)
        values: dict[str, Value] | None = None
        fault = ""
        if self._is_closed:
            values, fault = self._try_yaml(block, top.first_line)
        if values is None:
            end = _find_end(block, closed=self._is_closed)
            if not self._is_closed or end < len(block):
                self._problems.append("The frontmatter is not closed by a '---' line.")
                self._is_closed = False
                block, rest = block[:end], _outdent(self._lines[top.first_line + end :])
                values, fault = self._try_yaml(block, top.first_line)
        self._note_characters(top.first_line, len(block))
        if values is None:
            values, fault = self._read_line_by_line(block), f"is not valid YAML ({fault})"
        return values, rest, fault

    def _note_characters(self, first_line: int, count: int) -> None:
        """Report invisible characters up to the end of the block, and spaces that YAML does not accept as such."""
        region = range(min(first_line + count + 1, len(self._lines)))
        if self._is_cleaned or any(
            len(self._lines[i]) != len(self._plain[i])
            or (self._lines[i] != self._plain[i] and _ODD_SPACE.match(self._lines[i]))
            for i in region
        ):
            self._problems.append("The frontmatter contains invisible characters or unusual spaces; they were removed.")

    def _repair_keys(self, block: list[str]) -> list[str]:
        """Add the space that YAML requires after the colon of known keys, and replace typographic quotes."""
        repaired = []
        for line in block:
            key = _TIGHT_KEY.match(line)
            spaced = f"{key[1]}: {line[key.end() :]}" if key else line
            quoted = _CURLY_QUOTES.fullmatch(spaced)
            repaired.append(f'{quoted[1]}"{quoted[2]}"' if quoted else spaced)
        if repaired != block:
            self._problems.append("The frontmatter has unusual colons, spaces or quotes; they were corrected.")
        return repaired

    def _try_yaml(self, block: list[str], line_offset: int) -> tuple[dict[str, Value] | None, str]:
        """Return the block's values, or None and what is wrong; line numbers are those of the document."""
        try:
            read = read_yaml("\n".join(block), line_offset)
        except NotYaml as fault:
            return None, str(fault)
        self._note_comments(kept=read.kept, cut=read.cut)
        self._note_repeated(read.repeated)
        self._is_cleaned = read.cleaned
        return read.values, ""

    def _note_comments(self, *, kept: bool, cut: Sequence[str]) -> None:
        if kept:
            self._problems.append(
                "A value without quotes contains ' #', which starts a comment in YAML; its text was kept."
            )
        self._problems.extend(f"The text after ' #' in the {key} is a YAML comment; it was left out." for key in cut)

    def _note_repeated(self, keys: Sequence[str]) -> None:
        if keys:
            shown = ", ".join(f"'{key[:_SHOWN_KEY_CHARS]}'" for key in keys[:_SHOWN_KEYS])
            self._problems.append(f"The frontmatter gives {shown} more than once; the last value was used.")

    def _read_line_by_line(self, block: list[str]) -> dict[str, Value]:
        items, is_cut = _items(block)
        if is_cut:
            self._problems.append(
                f"The frontmatter is very long; only {_MAX_VALUE_CHARS // 1024} KiB of each value were read."
            )
        values: dict[str, Value] = {}
        repeated: dict[str, None] = {}
        kept, cut = False, []
        for item in items:
            value, read = _read_item(item, nested=False)
            if read is not None:
                kept = kept or read.kept
                cut += read.cut
            if item.key in values:
                repeated[item.key] = None
            if value is not None or item.key not in values:
                values[item.key] = value
        self._note_comments(kept=kept, cut=cut)
        self._note_repeated(list(repeated))
        return values


def _trim(body: str) -> str:
    """Return a text without leading blank lines and trailing white space, in linear time."""
    body = body.rstrip()
    first = _NOT_SPACE.search(body)
    return body[body.rfind("\n", 0, first.start()) + 1 :] if first else ""


def _find_end(block: list[str], *, closed: bool) -> int:
    """Return how many lines of an invalid block are frontmatter: all before what can only be Markdown.

    The line that closes a block may be a horizontal rule of the body, so a heading ends the frontmatter, too.
    """
    for i, line in enumerate(block):
        if not closed and line[:1].isspace() and FENCE.fullmatch(line.strip()):
            return i
        if not line.strip() or (i > 0 and block[i - 1].strip()):
            continue
        if HEADING.match(line):
            below = next((block[later] for later in range(i + 1, len(block)) if block[later].strip()), "")
            if not KEY_LINE.match(below):
                return i
        elif CODE_FENCE.match(line) or (not closed and not line[0].isspace() and not _continues(line)):
            return i
    return len(block)


def _continues(line: str) -> bool:
    """Whether an unindented line can be part of frontmatter."""
    return line[0] in "-#]}" or KEY_LINE.match(line) is not None


def _outdent(rest: list[str]) -> list[str]:
    """Remove an indented closing fence and its indent from the body below it; return any other text unchanged."""
    if not rest or not FENCE.fullmatch(rest[0].strip()):
        return rest
    indent = rest[0][: -len(rest[0].lstrip())]
    return [line.removeprefix(indent) for line in rest[1:]]


def _unwrap(rest: list[str], code_fence: str) -> list[str]:
    """Remove the end of the code block that contains the frontmatter or the whole document."""
    fences = [i for i, line in enumerate(rest) if line.strip().startswith(code_fence)]
    if fences and not any(line.strip() for line in rest[: fences[0]]) and rest[fences[0]].strip() == code_fence:
        return rest[fences[0] + 1 :]
    # The fences of code blocks inside come in pairs.
    if len(fences) % 2:
        return rest[: fences[-1]] + rest[fences[-1] + 1 :]
    return rest


def _read_toml(block: list[str]) -> dict[str, Value] | None:
    text = "\n".join(block)
    if len(text) > MAX_FRONTMATTER_CHARS:
        return None
    try:
        return {key: _toml_value(value) for key, value in tomllib.loads(text, parse_float=str).items()}
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _toml_value(value: Any, depth: int = 0) -> Value:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        return {key: _toml_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_toml_value(item, depth + 1) for item in value]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return replace_control_characters(text)[0]


def _items(block: list[str]) -> tuple[list[_Item], bool]:
    """Return each `key: value` at the left edge with the lines up to the next key, and whether a value was cut."""
    items: list[_Item] = []
    left = 0
    is_cut = False
    for line in block:
        match = KEY_LINE.match(line)
        if match:
            if len(items) == _MAX_KEYS:
                return items, True
            left = _MAX_VALUE_CHARS
            items.append(_Item(match[1], (match[2] or "").strip()[:left], []))
        elif not items or line.startswith("#") or _CONFLICT_MARK.match(line):
            continue
        is_cut = is_cut or len(line) > left
        if left > 0:
            items[-1].lines.append(line[:left])
        left -= len(line) + 1
    return items, is_cut


def _read_item(item: _Item, *, nested: bool) -> tuple[Value, YamlBlock | None]:
    """Read one key with its lines, as YAML or else as text."""
    try:
        read = read_yaml("\n".join(item.lines))
    except NotYaml:
        pass
    else:
        return read.values[item.key], read
    below = item.lines[1:]
    block_scalar = _BLOCK_SCALAR.fullmatch(item.first)
    if block_scalar:
        separator = "\n" if block_scalar[1] == "|" else " "
        return separator.join(line.strip() for line in below).strip(), None
    if not item.first and not nested:
        inner, _ = _items(textwrap.dedent("\n".join(below)).split("\n"))
        if inner:
            return {each.key: _read_item(each, nested=True)[0] for each in inner}, None
    parts = [item.first, *(line.strip() for line in below)]
    return _unquote(" ".join(part for part in parts if part)) or None, None


def _unquote(text: str) -> str:
    """Remove a pair of quotes without others inside, or an opening quote that is never closed."""
    for quote in ('"', "'"):
        if text.startswith(quote):
            inner = text[1:-1]
            if len(text) > 1 and text.endswith(quote) and quote not in inner.replace(f"\\{quote}", ""):
                return inner.replace(f"\\{quote}", quote)
            if text.count(quote) == 1:
                return text[1:]
    return text
