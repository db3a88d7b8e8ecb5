"""Finds the start of a document's frontmatter and the text above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

FENCE: Final = re.compile(r"-{3,}[ \t]*")
CLOSING_FENCE: Final = re.compile(r"(?:-{3,}|\.{3})[ \t]*")
CODE_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w.+-]*)")
HEADING: Final = re.compile(r"#{1,6}[ \t]")
KEY_LINE: Final = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*)|$)")

_FIRST_KEY = re.compile(r"(?:name|description)[ \t]*:", re.IGNORECASE)
_NAMING_KEY = re.compile(r"""[ \t{]*["']?(name|description)["']?[ \t]*[:\uff1a=]""", re.IGNORECASE)
_TOML_LINE = re.compile(r"[\w-]+[ \t]*=")
# Lines that people and editors write instead of `---`: `***`, `+++`, two dashes, an em dash.
_ODD_FENCE = re.compile(
    r"-{2,}[ \t]*(?:ya?ml|#.*)?|\*{3,}|_{3,}|={3,}|\+{3,}|(?:[-*_][ \t]+){2,}[-*_]|[-\u2010-\u2015\u2212]{1,3}"
)
_WRAPPERS = frozenset({"", "yaml", "yml", "toml", "md", "markdown", "mdx", "text", "txt", "frontmatter"})

_ONE_LINE_COMMENT = re.compile(
    r"//|;|%|#!|<\?.*\?>$|<!DOCTYPE\b|\{%.*%\}$|\{#.*#\}$|\{\{.*\}\}$|\[[^]]*\]: *(?:#|<>)", re.IGNORECASE
)
_LONG_COMMENTS = (("<!--", "-->"), ("/*", "*/"), ("{{/*", "*/}}"), ("{#", "#}"))
_NOTICE = re.compile(
    r"SPDX-|copyright|licen[cs]e|all rights reserved|\(c\)|\u00a9|do not edit|generated|-\*-.*-\*-"
    r"|\b(?:vim?|ex|kate|prettier-ignore|markdownlint|yaml-language-server)\b.*[:=]|\b(?:markdownlint|prettier|eslint)-",
    re.IGNORECASE,
)

# How many lines are searched for frontmatter, and how many lines of text may be above it.
_MOST_LINES_ABOVE: Final = 500
_MOST_TEXT_ABOVE: Final = 10
_MOST_LINES_SEARCHED: Final = 1_000
_MOST_NOTICE: Final = 200

_LATE = "The frontmatter does not start on the first line."
_UNFENCED = "The frontmatter has no '---' line above it."


class _Keys(msgspec.Struct, frozen=True):
    """Whether a block has any or both of `name` and `description`, and whether it is closed."""

    any: bool
    both: bool
    closed: bool


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """Where frontmatter starts.

    Attributes
    ----------
    first_line : int
        The first line below the opening fence.
    above : list of str
        Text above it that belongs to the body, without comments and licence lines.
    closing : Pattern
        Pattern of the line that closes it.
    syntax : {'yaml', 'toml'}
    code_fence : str
        The fence of the code block that contains it, or empty.
    indent : str
        The indent of all its lines.
    problem : str or None
    """

    first_line: int
    above: list[str]
    closing: re.Pattern[str] = CLOSING_FENCE
    syntax: Literal["yaml", "toml"] = "yaml"
    code_fence: str = ""
    indent: str = ""
    problem: str | None = None


def find_top(lines: Sequence[str]) -> Top | None:
    """Find the start of frontmatter, also below comments, notices, a code fence or a little text.

    Parameters
    ----------
    lines : sequence of str
        Without invisible characters.
    """
    return _Search(lines).run()


class _Search:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._above: list[str] = []
        self._texts = 0
        self._headings = 0
        self._code_fence = ""

    @property
    def _below_comments_only(self) -> bool:
        return not self._texts and not self._headings

    def run(self) -> Top | None:
        i = 0
        end = min(len(self._lines), _MOST_LINES_ABOVE)
        while i < end:
            line = self._lines[i]
            if not line.strip():
                self._keep(line)
                i += 1
                continue
            if (top := self._top_at(i)) is not None:
                return top
            after = _skip_comment(self._lines, i) or self._skip_empty_block(i)
            if after is None:
                if not self._pass_text(line):
                    return None
                after = i + 1
            i = after
        return None

    def _keep(self, line: str) -> None:
        if self._above or line.strip():
            self._above.append(line)

    def _pass_text(self, line: str) -> bool:
        """Pass a line that is neither a comment nor frontmatter; return False if no frontmatter can follow."""
        code = CODE_FENCE.match(line)
        if code:
            is_wrapper = code[2].lower() in _WRAPPERS and not self._code_fence and self._below_comments_only
            self._code_fence = code[1]
            return is_wrapper
        if self._code_fence or self._headings or FENCE.fullmatch(line):
            return False
        if HEADING.match(line):
            self._headings += 1
            self._keep(line)
            return not self._texts
        self._texts += 1
        self._keep(line)
        return self._texts <= _MOST_TEXT_ABOVE

    def _skip_empty_block(self, i: int) -> int | None:
        """Return the line of the second of two fences with nothing in between."""
        if not FENCE.fullmatch(self._lines[i]) or not self._below_comments_only:
            return None
        for j in range(i + 1, min(len(self._lines), i + _MOST_LINES_ABOVE)):
            line = self._lines[j]
            if FENCE.fullmatch(line):
                return j if self._keys(j + 1, CLOSING_FENCE).any else None
            if line.strip() and not line.startswith("#"):
                return None
        return None

    def _top_at(self, i: int) -> Top | None:
        """Return the frontmatter whose opening fence, or first key if there is no fence, is line `i`."""
        line = self._lines[i]
        if FENCE.fullmatch(line) and not self._code_fence:
            return self._fenced(i)
        indent = line[: len(line) - len(line.lstrip())]
        if FENCE.fullmatch(line.strip()) or _ODD_FENCE.fullmatch(line.strip()):
            return self._oddly_fenced(i, indent)
        if not self._below_comments_only or not KEY_LINE.match(line):
            return None
        keys = self._keys(i, CLOSING_FENCE)
        if keys.both and (keys.closed or self._code_fence):
            return self._top(i, problem=_UNFENCED)
        return self._top(i, problem=_UNFENCED) if _FIRST_KEY.match(line) and not self._code_fence else None

    def _fenced(self, i: int) -> Top | None:
        if i == 0 and self._skip_empty_block(i) is None:
            return self._top(1, problem=None)
        keys = self._keys(i + 1, CLOSING_FENCE)
        below = self._lines[i + 1] if i + 1 < len(self._lines) else ""
        only_blank_above = not any(line.strip() for line in self._lines[:i])
        if self._headings:
            accepted = keys.both and keys.closed
        elif self._texts:
            accepted = keys.both or bool(_FIRST_KEY.match(below))
        else:
            accepted = keys.any or (only_blank_above and i > 0)
        return self._top(i + 1, problem=_LATE) if accepted else None

    def _oddly_fenced(self, i: int, indent: str) -> Top | None:
        """Return the frontmatter below a fence that is indented, unusual or in a code block."""
        line = self._lines[i].strip()
        is_standard = FENCE.fullmatch(line)
        odd_closing = re.compile(rf"-{{3,}}[ \t]*|\.{{3}}[ \t]*|(?:[{re.escape(line[0])}\-\u2010-\u2015\u2212][ \t]*)+")
        closing = CLOSING_FENCE if is_standard else odd_closing
        keys = self._keys(i + 1, closing, indent)
        if self._code_fence:
            accepted = keys.both
        else:
            accepted = keys.any and self._below_comments_only and (keys.closed or bool(is_standard))
        if not accepted:
            return None
        is_toml = line.startswith("+") and any(map(_TOML_LINE.match, self._lines[i + 1 : i + 20]))
        if is_toml:
            problem = "The frontmatter is written in TOML; most agents read YAML only."
        elif not is_standard:
            problem = f"The frontmatter is enclosed in '{line[:10]}' lines instead of '---'."
        else:
            problem = "The frontmatter is indented."
        return self._top(i + 1, problem=problem, closing=closing, syntax="toml" if is_toml else "yaml", indent=indent)

    def _keys(self, start: int, closing: re.Pattern[str], indent: str = "") -> _Keys:
        keys: set[str] = set()
        closed = False
        for line in self._lines[start : start + _MOST_LINES_SEARCHED]:
            plain = line.removeprefix(indent)
            if closing.fullmatch(plain) or (self._code_fence and line.strip() == self._code_fence):
                closed = True
                break
            match = _NAMING_KEY.match(plain)
            if match and (not plain[0].isspace() or plain.lstrip()[0] in '"{'):
                keys.add(match[1].lower())
        return _Keys(any=bool(keys), both=keys == {"name", "description"}, closed=closed)

    def _top(
        self,
        first_line: int,
        *,
        problem: str | None,
        closing: re.Pattern[str] = CLOSING_FENCE,
        syntax: Literal["yaml", "toml"] = "yaml",
        indent: str = "",
    ) -> Top:
        if self._code_fence:
            problem = "The frontmatter is inside a code block."
        return Top(
            first_line=first_line,
            above=self._above,
            closing=closing,
            syntax=syntax,
            code_fence=self._code_fence,
            indent=indent,
            problem=problem,
        )


def _skip_comment(lines: Sequence[str], i: int) -> int | None:
    """Return the line after the comment or notice that starts at line `i`; None if there is none."""
    line = lines[i].strip()
    for opening, end in _LONG_COMMENTS:
        if line.startswith(opening):
            for j in range(i, min(len(lines), i + _MOST_LINES_ABOVE)):
                before, closed, behind = lines[j].partition(end)
                if closed and (j > i or len(before) >= len(opening)):
                    return None if behind.strip() else j + 1
            return None
    if _ONE_LINE_COMMENT.match(line):
        return i + 1
    if not line.startswith("#"):
        return None
    j = i
    while j < len(lines) and lines[j].startswith("#"):
        j += 1
    is_notice = any(_NOTICE.search(each[:_MOST_NOTICE]) or not HEADING.match(each) for each in lines[i:j])
    return j if is_notice else None
