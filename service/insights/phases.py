"""Bottlenecks, transitions, and how phases end, over many sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from service.insights.figures import Interval, Rate, rate

OUTCOMES: Final = ("completed", "failed", "abandoned", "cancelled", "running")
STATUSES: Final = ("passed", "failed", "skipped")


class Bottleneck(msgspec.Struct, frozen=True, kw_only=True):
    """How often uses are abandoned or fail in a phase, and how often its steps fail."""

    phase: str
    abandoned: Rate
    failed: Rate
    failed_steps: Rate


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """What came next; `share` is the share of all transitions from `before`."""

    before: str
    after: str
    n: int
    sessions: int
    share: Interval | None
    reason: str | None


class HeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by phase (rows) and end (columns): outcomes of uses, then statuses of steps."""

    phases: list[str]
    columns: list[str]
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """How often uses or steps ended in one way in a phase."""

    phase: str
    kind: str
    outcome: str
    n: int


@dataclass(frozen=True, slots=True)
class TransitionCount:
    """How often `after` followed `before`, out of `leaving` transitions from `before`."""

    before: str
    after: str
    n: int
    sessions: int
    leaving: int


def bottlenecks(counts: Iterable[PhaseCount]) -> list[Bottleneck]:
    """Return the phases, the clearest bottlenecks first."""
    table: defaultdict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for count in counts:
        table[count.phase][count.kind, count.outcome] = count.n
    found = []
    for phase, ended in table.items():
        uses = sum(ended.get(("use", outcome), 0) for outcome in OUTCOMES if outcome != "running")
        judged = ended.get(("step", "passed"), 0) + ended.get(("step", "failed"), 0)
        found.append(
            Bottleneck(
                phase=phase,
                abandoned=rate(ended.get(("use", "abandoned"), 0), uses, "finished use"),
                failed=rate(ended.get(("use", "failed"), 0), uses, "finished use"),
                failed_steps=rate(
                    ended.get(("step", "failed"), 0),
                    judged,
                    "step that passed or failed",
                    "steps that passed or failed",
                ),
            )
        )
    # Sorted by the lower bounds, so that a few bad cases do not come before many.
    return sorted(
        found, key=lambda each: (-max(_low(each.abandoned), _low(each.failed), _low(each.failed_steps)), each.phase)
    )


def transitions(counts: Iterable[TransitionCount]) -> list[Transition]:
    """Return transitions, the most frequent first, with their share of all transitions from the same start."""
    found = []
    for count in counts:
        told = rate(count.n, count.leaving, "transition from here", "transitions from here")
        found.append(
            Transition(
                before=count.before,
                after=count.after,
                n=count.n,
                sessions=count.sessions,
                share=told.share,
                reason=told.reason,
            )
        )
    return sorted(found, key=lambda each: (-each.n, each.before, each.after))


def heat_map(counts: Sequence[PhaseCount]) -> HeatMap:
    """Return how uses and steps ended in each phase; phases by name."""
    table = {(count.phase, count.kind, count.outcome): count.n for count in counts}
    phases = sorted({count.phase for count in counts})
    columns = [("use", outcome) for outcome in OUTCOMES] + [("step", status) for status in STATUSES]
    return HeatMap(
        phases=phases,
        columns=[f"{kind} {outcome}" for kind, outcome in columns],
        counts=[[table.get((phase, *column), 0) for column in columns] for phase in phases],
    )


def _low(told: Rate) -> float:
    return told.share.low if told.share is not None else 0.0
