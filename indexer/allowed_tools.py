"""Reads the list of tools that a document allows, in any of the forms in which people write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from indexer.characters import replace_control_characters
from indexer.yaml_values import MAX_DEPTH, NotYaml, Value, read_yaml

_SEPARATORS = frozenset(",;|\n\t ")
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u201d": "\u201d", "\u2018": "\u2019"}
_BULLET = re.compile(r"^[ \t]*(?:[-*+\u2022]|\d+[.)])[ \t]+", re.MULTILINE)
_YES = frozenset({"", "true", "yes", "on", "allow", "allowed", "*"})
_NO = frozenset({"false", "no", "off", "deny", "denied"})
_WORDS_BETWEEN = frozenset({"and", "or", "&", "plus"})
_TOOL_KEYS = frozenset({"name", "tool"})
_COMMA = re.compile(r"[,\n]")

# Bounds on what hostile text may cost.
_MOST_TOOLS = 1_000
_MOST_UNCLOSED = 20
_MOST_QUOTES = 3
_MOST_JOINED = 8


def read_tools(value: Value) -> tuple[str, ...]:
    """Return the tools in order, without duplicates.

    `value` is a list, a mapping from tools to what they may do, a string of JSON, or text that separates tools by
    commas, white space or newlines. Text in parentheses belongs to its tool: ``Bash(git add:*, git commit:*)`` is one.
    """
    return tuple(dict.fromkeys(_tools(value, 0)))[:_MOST_TOOLS]


def _tools(value: Value, depth: int) -> Iterator[str]:
    if value is None or depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from _tools_of_text(value, depth)
    elif isinstance(value, dict):
        named = next((allowed for key, allowed in value.items() if key.strip().lower() in _TOOL_KEYS), None)
        if named is not None:
            yield from _tools(named, depth + 1)
            return
        for key, allowed in value.items():
            yield from _tools_of_entry(key, allowed, depth)
    else:
        for item in _whole_items(value):
            yield from _tools(item, depth + 1)


def _tools_of_text(text: str, depth: int) -> Iterator[str]:
    text = text.strip()
    if text.startswith(("[", "{")):
        decoded = _decode(text)
        if decoded is not None:
            yield from _tools(decoded, depth + 1)
            return
        text = text.strip("[]{}")
    # In a single line, `*` is not a bullet but stands for all tools.
    yield from _split(_BULLET.sub("", text) if "\n" in text else text)


def _decode(text: str) -> Value:
    """Return a list or mapping written as JSON or YAML; None if it is neither."""
    try:
        decoded: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        try:
            decoded = read_yaml(f"tools: {text}").values["tools"]
        except NotYaml:
            return None
    return _as_value(decoded) if isinstance(decoded, list | dict) else None


def _as_value(decoded: Any, depth: int = 0) -> Value:
    if depth > MAX_DEPTH or decoded is None:
        return None
    if isinstance(decoded, dict):
        return {str(key): _as_value(item, depth + 1) for key, item in decoded.items()}
    if isinstance(decoded, list):
        return [_as_value(item, depth + 1) for item in decoded]
    text = str(decoded).lower() if isinstance(decoded, bool) else str(decoded)
    return replace_control_characters(text)[0]


def _tools_of_entry(key: str, allowed: Value, depth: int) -> Iterator[str]:
    """Read one entry of a mapping: ``Bash: git add:*``, ``Bash: [git, npm]``, ``Read: true``."""
    if "(" in key and not _is_balanced(key):
        # `Bash(npm run: test)` is a mapping in YAML.
        yield from _split(f"{key}: {allowed}")
    elif isinstance(allowed, list):
        for item in allowed:
            yield from _tools_of_entry(key, item, depth + 1)
    elif isinstance(allowed, Mapping):
        for name, inner in allowed.items():
            yield from _tools_of_entry(key, None if _says(inner, _YES) else name, depth + 1)
    elif _says(allowed, _YES):
        yield from _split(key)
    elif not _says(allowed, _NO):
        yield f"{key.strip()}({str(allowed).strip()})"


def _says(value: Value, words: frozenset[str]) -> bool:
    return (value is None and "" in words) or (isinstance(value, str) and value.strip().lower() in words)


def _whole_items(items: Sequence[Value]) -> Iterator[Value]:
    """Yield the items of a list; those that YAML split at a comma in parentheses are joined again."""
    i = 0
    while i < len(items):
        item = items[i]
        end = i + 1
        if isinstance(item, str) and "(" in item and not _is_balanced(item):
            joined = item
            for j in range(i + 1, min(len(items), i + _MOST_JOINED)):
                following = items[j]
                if not isinstance(following, str):
                    break
                joined = f"{joined}, {following}"
                if _is_balanced(joined):
                    item, end = joined, j + 1
                    break
        yield item
        i = end


def _is_balanced(text: str) -> bool:
    return _end_of_parentheses(text, text.index("(")) is not None if "(" in text else True


def _split(text: str, depth: int = 0) -> Iterator[str]:
    """Split text at separators that are neither in parentheses nor in quotes."""
    start = i = unclosed = 0
    while i < len(text):
        character = text[i]
        if character in _SEPARATORS:
            if start < i and _goes_on_in_parentheses(text, i):
                i += 1
                continue
            yield from _clean(text[start:i], depth)
            start = i = i + 1
        elif character == "#" and i == start:
            newline = text.find("\n", i)
            start = i = newline if newline >= 0 else len(text)
        elif character == "(" and unclosed < _MOST_UNCLOSED:
            end = _end_of_parentheses(text, i)
            unclosed += end is None
            i = end if end is not None else _next_comma(text, i)
        elif character in _QUOTES and i == start:
            end_quote = text.find(_QUOTES[character], i + 1)
            i = max(end_quote, i) + 1
        else:
            i += 1
    yield from _clean(text[start:], depth)


def _goes_on_in_parentheses(text: str, i: int) -> bool:
    """Whether only spaces lie between position `i` and a parenthesis: `Bash (git add:*)` is one tool."""
    while i < len(text) and text[i] in " \t":
        i += 1
    return text[i : i + 1] == "("


def _next_comma(text: str, i: int) -> int:
    """Return the end of text in parentheses that are never closed."""
    comma = _COMMA.search(text, i)
    return comma.start() if comma else len(text)


def _end_of_parentheses(text: str, opening: int) -> int | None:
    """Return the position after the parenthesis that closes the one at `opening`; None if none does.

    Parentheses in quotes are ignored, unless the group would never be closed then.
    """
    for heeds_quotes in (True, False):
        depth = 0
        quote = ""
        for i in range(opening, len(text)):
            character = text[i]
            if quote:
                quote = "" if character == quote and text[i - 1] != "\\" else quote
            elif heeds_quotes and character in "\"'`" and not text[i - 1].isalnum():
                quote = character
            elif character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if not depth:
                    return i + 1
    return None


def _clean(tool: str, depth: int) -> Iterator[str]:
    """Yield a tool without surrounding quotes, if anything remains; quoted text may itself be a list."""
    name, parenthesis, inside = tool.strip().partition("(")
    tool = name.rstrip() + parenthesis + inside
    if len(tool) > 1 and tool[0] in _QUOTES and tool[-1] == _QUOTES[tool[0]] and depth < _MOST_QUOTES:
        yield from _split(tool[1:-1].strip(), depth + 1)
    elif tool.strip("\"'`[]-") and tool.lower() not in _WORDS_BETWEEN:
        yield tool
