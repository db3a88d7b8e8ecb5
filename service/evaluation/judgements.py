"""Questions with the skills that answer them: the one form in which `eval`, `tune` and `train-adapter` take them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from migrations.errors import SkillrankError
from service.search.questions import InvalidQuestion, checked_question

# From this grade on a skill serves the question; below it, it is only related.
SERVES: Final = 2
_BANDS: Final = ((5, "under 5 words"), (15, "5 to 14 words"), (61, "15 to 60 words"))

Grade = Annotated[int, msgspec.Meta(ge=1, le=9)]


class InvalidJudgements(SkillrankError):
    """Judged questions that cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question with what is known of its answers.

    Attributes
    ----------
    question : str
    expected : dict of str to int
        Grades by skill name: `SERVES` or more serves the question, 1 is related. What is not named counts as 0.
    kind : str
        What the question is reported under.
    """

    question: str
    expected: dict[str, int]
    kind: str

    @property
    def serving(self) -> list[str]:
        """The skills that serve the question, in the order in which they were named."""
        return [name for name, grade in self.expected.items() if grade >= SERVES]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: str
    expected: dict[str, Grade] | list[str]
    kind: str | None = None


def read_judgements(path: Path) -> list[JudgedQuestion]:
    """Read questions with expected skills, one JSON object in each line; blank lines are passed over.

    ``{"question": "…", "expected": ["skill-name"], "kind": "…"}``; `expected` may give grades,
    ``{"skill-name": 2, "another": 1}``, where 2 serves the question and 1 is related; a list means 2. `kind` is
    optional: without it questions are told apart by their length.

    Raises
    ------
    InvalidJudgements
        When the file cannot be read or a line is no such object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidJudgements(f"{path} cannot be read: {error}") from error
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def length_of(question: str) -> str:
    """Return what questions of this length are reported under."""
    words = len(question.split())
    return next((name for below, name in _BANDS if words < below), "over 60 words")


def _read_line(line: str, where: str) -> JudgedQuestion:
    try:
        given = msgspec.json.decode(line, type=_Line)
        checked_question(given.question)
    except (msgspec.MsgspecError, InvalidQuestion) as error:
        raise InvalidJudgements(
            f'{where}: {error}. A line looks like {{"question": "…", "expected": ["skill-name"]}}'
        ) from error
    grades = dict.fromkeys(given.expected, SERVES) if isinstance(given.expected, list) else given.expected
    return JudgedQuestion(given.question, grades, given.kind or length_of(given.question))
