"""Findings with their evidence, and the counts that they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.insights.inference import FALSE_DISCOVERY_RATE, benjamini_hochberg, wilson

Kind = Literal[
    "mixed_results",
    "worth_trying",
    "use_trend",
    "success_trend",
    "anomaly",
    "unused",
    "missing_skill",
    "passed_over",
]
KINDS: Final[tuple[Kind, ...]] = (
    "mixed_results",
    "worth_trying",
    "use_trend",
    "success_trend",
    "anomaly",
    "unused",
    "missing_skill",
    "passed_over",
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProjectUse:
    """Counts by project and skill; arrays are float64 (projects, skills).

    Attributes
    ----------
    projects, skills : sequence of str
    reporter_days : array
        People who used it, summed over days: a person counts once a day.
    completed, finished : array
        Uses; cancelled ones are not finished.
    finished_days : array
        Days on which something finished.
    squares : array
        The sum over days of completed² / finished, from which the scatter from day to day follows.
    users : array
        Distinct users, 0 where none is recorded.
    """

    projects: Sequence[str]
    skills: Sequence[str]
    reporter_days: Floats
    completed: Floats
    finished: Floats
    finished_days: Floats
    squares: Floats
    users: Floats


@dataclass(frozen=True, slots=True)
class DailyUse:
    """Counts by skill and day; arrays are float64 (skills, days).

    Attributes
    ----------
    skills : sequence of str
    days : sequence of str
        Without gaps, oldest first; the last one is the last complete day.
    reporters, completed, finished : array
        As in `ProjectUse`.
    """

    skills: Sequence[str]
    days: Sequence[str]
    reporters: Floats
    completed: Floats
    finished: Floats


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share, `count` of `total`, with its 95% confidence interval (Wilson). `of` says what it is a share of."""

    of: str
    count: int
    total: int
    rate: float
    low: float
    high: float


class Significance(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a test. `q_value` is its false discovery rate among all `compared` tests of the kind."""

    name: str
    statistic: float
    p_value: float
    q_value: float
    compared: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result. `score`, in [0, 1], is the size of the effect times its certainty.

    `project` is one of `ProjectUse.projects`; `search_ids` are the searches for a missing skill.
    """

    kind: Kind
    skill: str | None
    project: str | None
    title: str
    score: float
    counts: dict[str, float]
    rates: list[Share]
    test: Significance | None
    search_ids: list[str] = []


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """How much was examined for a kind of finding, and how much had too little data to be examined."""

    kind: Kind
    examined: int
    found: int
    not_enough_data: int
    needs: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of one kind, highest score first."""

    examined: Examined
    findings: list[Finding]


def share_of(of: str, count: float, total: float) -> Share:
    """Return a share with its interval; `total` is at least 1."""
    told = wilson(count, total)
    return Share(
        of=of,
        count=round(count),
        total=round(total),
        rate=_rounded(told.value),
        low=_rounded(told.low),
        high=_rounded(told.high),
    )


def tested(name: str, statistics: Floats, p_values: Floats) -> list[Significance]:
    """Return the tests of one kind, corrected for their number."""
    q_values = benjamini_hochberg(p_values)
    return [
        Significance(
            name=name, statistic=round(float(s), 3), p_value=float(p), q_value=float(q), compared=len(p_values)
        )
        for s, p, q in zip(statistics, p_values, q_values, strict=True)
    ]


def believed(test: Significance) -> bool:
    """Whether a test's result is reported."""
    return test.q_value <= FALSE_DISCOVERY_RATE


def collected(kind: Kind, found: Sequence[Finding], *, examined: int, lacking: int, needs: str) -> Findings:
    """Return the findings of one kind, sorted."""
    ordered = sorted(found, key=lambda each: (-each.score, each.skill or "", each.project or "", each.title))
    told = Examined(kind=kind, examined=examined, found=len(ordered), not_enough_data=lacking, needs=needs)
    return Findings(examined=told, findings=ordered)


def scored(effect: float, test: Significance | None) -> float:
    """Return the score of an effect in [0, 1]."""
    certainty = 1.0 if test is None else 1.0 - test.q_value
    return round(min(max(effect, 0.0), 1.0) * certainty, 4)


def _rounded(value: Any) -> float:
    return round(float(value), 4)
