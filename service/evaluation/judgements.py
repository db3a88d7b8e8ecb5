"""Queries with the skills that answer them, in the format that `eval`, `tune` and `train-adapter` read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from migrations.errors import SkillrankError
from service.search.queries import InvalidQuery, checked_query

# A skill with this grade or more serves the query; with less it is only related.
SERVES: Final = 2
_BANDS: Final = ((5, "under 5 words"), (15, "5 to 14 words"), (61, "15 to 60 words"))

Grade = Annotated[int, msgspec.Meta(ge=1, le=9)]


class InvalidJudgements(SkillrankError):
    """Judged queries that cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with the grades of its answers.

    Attributes
    ----------
    query : str
    expected : dict of str to int
        Grades by skill name: `SERVES` or more serves the query, 1 is related. Other skills count as 0.
    kind : str
        The group in which the query is reported.
    """

    query: str
    expected: dict[str, int]
    kind: str

    @property
    def serving(self) -> list[str]:
        """The skills that serve the query, in the given order."""
        return [name for name, grade in self.expected.items() if grade >= SERVES]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: dict[str, Grade] | list[str]
    query: str = ""
    question: str = ""
    """The name of `query` in release 0.1."""
    kind: str | None = None


def read_judgements(path: Path) -> list[JudgedQuery]:
    """Read queries with expected skills, one JSON object per line; blank lines are skipped.

    ``{"query": "…", "expected": ["skill-name"], "kind": "…"}``; `expected` may give grades,
    ``{"skill-name": 2, "another": 1}``, where 2 serves the query and 1 is related; a list means 2. `kind` is
    optional; without it queries are grouped by length.

    Raises
    ------
    InvalidJudgements
        When the file cannot be read or a line is not such an object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidJudgements(f"{path} cannot be read: {error}") from error
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def length_of(query: str) -> str:
    """Return the group in which queries of this length are reported."""
    words = len(query.split())
    return next((name for below, name in _BANDS if words < below), "over 60 words")


def _read_line(line: str, where: str) -> JudgedQuery:
    try:
        given = msgspec.json.decode(line, type=_Line)
        query = given.query or given.question
        checked_query(query)
    except (msgspec.MsgspecError, InvalidQuery) as error:
        raise InvalidJudgements(
            f'{where}: {error}. A line looks like {{"query": "…", "expected": ["skill-name"]}}'
        ) from error
    grades = dict.fromkeys(given.expected, SERVES) if isinstance(given.expected, list) else given.expected
    return JudgedQuery(query, grades, given.kind or length_of(query))
