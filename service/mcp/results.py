"""What the tools return, from which the SDK makes their output schemas. Imports nothing that is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from store.contract.tracking import Outcome

MAX_RESULTS: Final = 10

PackageEntry = dict[str, Any]
"""A `Skill` entry of SEP-2640."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class FoundSkill(_Result):
    """One skill that fits the query."""

    name: str
    description: str
    why: str


class FoundSkills(_Result):
    """The skills that fit a query, best first; none when nothing fits."""

    search_id: str
    confidence: Literal["high", "medium", "low", "none"]
    message: str
    skills: list[FoundSkill]


class SkillText(_Result):
    """One file of a skill. The text was written by the skill's author, not by the user."""

    name: str
    file: str
    text: str
    size_bytes: int
    truncated: bool
    files: list[str]


class StartedSkill(_Result):
    """A use of a skill that has begun; `known` is false when no skill of that name is indexed."""

    invocation_id: str
    name: str
    known: bool


class FinishedSkill(_Result):
    """A use of a skill that has ended."""

    invocation_id: str
    name: str
    outcome: Outcome
    duration_seconds: float | None


class SkillReport(_Result):
    """What happened when a skill was used. Rates are shares in [0, 1], None while nothing has finished."""

    name: str
    uses: int
    completed: int
    failed: int
    running: int
    completion_rate: float | None
    median_seconds: float | None
    last_used: str | None
    common_errors: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePage:
    """Some packages in the order of their names, and the name after which the next page begins."""

    entries: list[PackageEntry]
    next_name: str | None
