"""Statistics over the workflow events of many sessions, computed from the totals of the store."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from service.insights.effects import LEAST_SESSIONS, StepCount, StepEffect, step_effects
from service.insights.phases import (
    Bottleneck,
    HeatMap,
    PhaseCount,
    Transition,
    TransitionCount,
    bottlenecks,
    heat_map,
    transitions,
)
from store.contract.workflows import WorkflowFilter
from store.protocol import Store

# At most so many steps are compared: more would add thousands of comparisons from which nothing can be learned.
MOST_STEPS: Final = 500

Between = Literal["phases", "skills"]


class StepCorrelations(msgspec.Struct, frozen=True, kw_only=True):
    """How skills and steps go together, the clearest effects first.

    Of the `compared` pairs, `tested` had enough data. `steps_left_out` is the number of judged steps that were not
    compared because they are the least informative ones.
    """

    least_sessions: int
    steps_judged: int
    steps_left_out: int
    compared: int
    tested: int
    effects: list[StepEffect]


class WorkflowReport(msgspec.Struct, frozen=True, kw_only=True):
    """All statistics over workflows."""

    correlations: StepCorrelations
    bottlenecks: list[Bottleneck]
    phase_transitions: list[Transition]
    skill_transitions: list[Transition]
    heat_map: HeatMap


def step_correlations(
    store: Store, wanted: WorkflowFilter, *, limit: int, skill_name: str | None = None
) -> StepCorrelations:
    """Compare skills with steps. At most `limit` comparisons are returned, but all count for the q-values."""
    found = store.step_totals(wanted, steps=MOST_STEPS)
    effects = step_effects(msgspec.convert(found.totals, list[StepCount], from_attributes=True))
    wanted_effects = [effect for effect in effects if skill_name in {None, effect.skill_name}]
    return StepCorrelations(
        least_sessions=LEAST_SESSIONS,
        steps_judged=found.steps,
        steps_left_out=max(0, found.steps - MOST_STEPS),
        compared=len(effects),
        tested=sum(effect.q_value is not None for effect in effects),
        effects=wanted_effects[:limit],
    )


def workflow_bottlenecks(store: Store, wanted: WorkflowFilter) -> list[Bottleneck]:
    """Return how often work gets stuck in each phase, the clearest bottleneck first."""
    return bottlenecks(_phase_counts(store, wanted))


def workflow_transitions(store: Store, wanted: WorkflowFilter, *, between: Between, limit: int) -> list[Transition]:
    """Return which phase or skill follows which, the most frequent transition first."""
    found = store.transitions(wanted, between=between)
    return transitions(msgspec.convert(found[:limit], list[TransitionCount], from_attributes=True))


def phase_heat_map(store: Store, wanted: WorkflowFilter) -> HeatMap:
    """Return how invocations and steps ended in each phase."""
    return heat_map(_phase_counts(store, wanted))


def workflow_report(store: Store, wanted: WorkflowFilter, *, limit: int) -> WorkflowReport:
    """Return all statistics."""
    phases = _phase_counts(store, wanted)
    return WorkflowReport(
        correlations=step_correlations(store, wanted, limit=limit),
        bottlenecks=bottlenecks(phases),
        phase_transitions=workflow_transitions(store, wanted, between="phases", limit=limit),
        skill_transitions=workflow_transitions(store, wanted, between="skills", limit=limit),
        heat_map=heat_map(phases),
    )


def _phase_counts(store: Store, wanted: WorkflowFilter) -> list[PhaseCount]:
    return msgspec.convert(store.phase_totals(wanted), list[PhaseCount], from_attributes=True)
