"""How workflow steps end in sessions with and without a skill.

The unit is the session: how a step was reported last, and whether a skill was used before that. So a skill that fixes
what failed is not blamed for the failure, and repeated reports of one session count once. None of this proves a cause:
nobody assigned skills to sessions at random.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from service.insights import sentences
from service.insights.figures import Interval, interval
from service.insights.inference import (
    FALSE_DISCOVERY_RATE,
    Floats,
    Strata,
    benjamini_hochberg,
    cochran_mantel_haenszel,
    newcombe,
    pooled_difference,
)
from service.text import counted

# A share of fewer sessions would change with the next few.
LEAST_SESSIONS: Final = 10

Finding = Literal["helps", "hurts", "no clear difference", "not enough data"]


@dataclass(frozen=True, slots=True)
class StepCount:
    """Sessions of one project in which a step passed or failed, and how many of them passed.

    With `skill_name` only sessions that used the skill before the step. The step '' is all steps of the workflow
    together.
    """

    workflow: str
    step: str
    skill_name: str | None
    project_id: str
    sessions: int
    passed: int


class StepEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A step's success in sessions that used a skill before it, compared with those that did not.

    Attributes
    ----------
    step : str or None
        None for all steps of the workflow together, which passed when none of them failed.
    finding : str
        Decided by `adjusted` and `q_value`; ``reason`` explains it.
    difference, adjusted : Interval or None
        With minus without, in [-1, 1]; `adjusted` compares only sessions of one project.
    lift : float or None
        P(skill and passed) / (P(skill) P(passed)) over all sessions in which the step passed or failed.
    support : int
        Sessions that used the skill and passed.
    p_value, q_value : float or None
        Cochran–Mantel–Haenszel over projects, and Benjamini–Hochberg over everything that could be tested.
    """

    skill_name: str
    workflow: str
    step: str | None
    finding: Finding
    reason: str
    sessions_with: int
    passed_with: int
    sessions_without: int
    passed_without: int
    support: int
    projects_compared: int
    difference: Interval | None
    adjusted: Interval | None
    lift: float | None
    p_value: float | None
    q_value: float | None


def step_effects(counts: Iterable[StepCount]) -> list[StepEffect]:
    """Compare every skill with every step; the most certain effects come first, those without enough data last."""
    pairs, strata = _strata(counts)
    if not pairs:
        return []
    totals = [
        strata.total(column).astype(int)
        for column in (strata.passed_with, strata.total_with, strata.passed_without, strata.total_without)
    ]
    compared = _comparable(strata)
    adjusted, p_values = pooled_difference(strata), cochran_mantel_haenszel(strata)
    raw = newcombe(*totals)
    reasons = [_too_little(*(int(column[place]) for column in (*totals, *compared[:2]))) for place in range(len(pairs))]
    tested = np.array([reason is None for reason in reasons])
    q_values = np.full(len(pairs), np.nan)
    q_values[tested] = benjamini_hochberg(p_values[tested])
    effects = [
        _effect(
            pair,
            [int(column[place]) for column in totals],
            projects=int(compared[2][place]),
            reason=reasons[place],
            raw=interval(raw, place),
            adjusted=interval(adjusted, place),
            p_value=float(p_values[place]),
            q_value=float(q_values[place]),
        )
        for place, pair in enumerate(pairs)
    ]
    return sorted(effects, key=_certainty)


def _strata(counts: Iterable[StepCount]) -> tuple[list[tuple[str, str, str]], Strata]:
    everything: dict[tuple[str, str], dict[str, StepCount]] = defaultdict(dict)
    with_skill: dict[tuple[str, str, str], dict[str, StepCount]] = defaultdict(dict)
    for count in counts:
        if count.skill_name is None:
            everything[count.workflow, count.step][count.project_id] = count
        else:
            with_skill[count.skill_name, count.workflow, count.step][count.project_id] = count
    pairs, rows = sorted(with_skill), []
    for number, pair in enumerate(pairs):
        for project, total in everything[pair[1:]].items():
            used = with_skill[pair].get(project)
            passed, sessions = (used.passed, used.sessions) if used else (0, 0)
            rows.append((number, passed, sessions, total.passed - passed, total.sessions - sessions))
    numbers, passed_with, total_with, passed_without, total_without = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return pairs, Strata(numbers, passed_with, total_with, passed_without, total_without, len(pairs))


def _comparable(strata: Strata) -> tuple[Floats, Floats, Floats]:
    """Return sessions with and without the skill in projects that have both, and how many such projects there are."""
    both = (strata.total_with > 0) & (strata.total_without > 0)
    return strata.total(strata.total_with * both), strata.total(strata.total_without * both), strata.total(both)


def _too_little(
    passed_with: int, total_with: int, passed_without: int, total_without: int, with_both: int, without_both: int
) -> str | None:
    for sessions, said in ((total_with, "with the skill"), (total_without, "without it")):
        if sessions < LEAST_SESSIONS:
            return sentences.too_few(f"{counted(sessions, 'session')} {said}", LEAST_SESSIONS)
    if min(with_both, without_both) < LEAST_SESSIONS:
        return sentences.too_few_of_both(with_both, without_both, LEAST_SESSIONS)
    passed = passed_with + passed_without
    if passed in {0, total_with + total_without}:
        return sentences.always_alike(passed=passed > 0)
    return None


def _effect(
    pair: tuple[str, str, str],
    totals: list[int],
    *,
    projects: int,
    reason: str | None,
    raw: Interval | None,
    adjusted: Interval | None,
    p_value: float,
    q_value: float,
) -> StepEffect:
    passed_with, total_with, passed_without, total_without = totals
    passed, sessions = passed_with + passed_without, total_with + total_without
    sure = reason is None and q_value < FALSE_DISCOVERY_RATE and adjusted is not None
    finding: Finding = "not enough data" if reason else "no clear difference"
    if sure and adjusted is not None and adjusted.value != 0:
        finding = "helps" if adjusted.value > 0 else "hurts"
    return StepEffect(
        skill_name=pair[0],
        workflow=pair[1],
        step=pair[2] or None,
        finding=finding,
        reason=reason or _in_words(totals, adjusted, projects),
        sessions_with=total_with,
        passed_with=passed_with,
        sessions_without=total_without,
        passed_without=passed_without,
        support=passed_with,
        projects_compared=projects,
        difference=None if reason else raw,
        adjusted=None if reason else adjusted,
        lift=None if reason else passed_with * sessions / (total_with * passed),
        p_value=None if reason else p_value,
        q_value=None if reason else q_value,
    )


def _in_words(totals: list[int], adjusted: Interval | None, projects: int) -> str:
    passed_with, total_with, passed_without, total_without = totals
    said = sentences.step_effect((passed_with, total_with), (passed_without, total_without))
    if adjusted is None:
        return said
    return f"{said}; {sentences.within_projects(projects, adjusted.value, adjusted.low, adjusted.high)}"


def _certainty(effect: StepEffect) -> tuple[object, ...]:
    known = effect.q_value is not None
    size = abs(effect.adjusted.value) if effect.adjusted is not None else 0.0
    # All steps together come before single ones of the same certainty.
    names = (effect.skill_name, effect.workflow, effect.step or "")
    return (not known, effect.q_value if known else 0.0, -size, -effect.sessions_with, *names)
