"""What the specification asks for before the next phase of the cut-over may begin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from store.clock import read_time
from store.legacy.counts import DualPhase, DualReport
from store.legacy.state import CutoverState
from store.plurals import counted

# Both dual phases and the time until the clean-up last a week at least.
WATCHED: Final = timedelta(days=7)
_LOSSES: Final = {
    "validation_errors": ("validation error", ""),
    "aggregates_without_uses": ("skill", " with totals but without invocations"),
    "aggregate_differences": ("total", " that its invocations do not add up to"),
}


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The next step, whether the specification allows it already, and what it waits for."""

    next_step: str
    open: bool
    waits_for: list[str]


def next_gate(state: CutoverState, counts: Mapping[DualPhase, DualReport], now: datetime) -> Gate:
    """Return the gate of the phase that follows the present one. It advises; no command refuses because of it."""
    if state.phase == "json":
        return _gate("set SKILLRANK_METRICS_MODE=dual-write and SKILLRANK_JSON_METRICS=PATH in the programs that track")
    if state.phase == "dual_write":
        return _gate("skillrank import-json PATH", _unsettled("write", counts.get("dual_write"), now))
    if state.phase == "migrated":
        return _gate("set SKILLRANK_METRICS_MODE=dual-read in the programs that track", _losses(state))
    if state.phase == "dual_read":
        return _gate("skillrank cutover PATH", [*_losses(state), *_unsettled("read", counts.get("dual_read"), now)])
    return _gate(f"remove {state.kept_json}; after that nothing can be rolled back", _remaining(state.updated_at, now))


def _gate(next_step: str, waits_for: list[str] | None = None) -> Gate:
    return Gate(next_step=next_step, open=not waits_for, waits_for=waits_for or [])


def _unsettled(kind: str, counts: DualReport | None, now: datetime) -> list[str]:
    if counts is None or counts.since is None:
        return [f"the first {kind} on both sides"]
    return _remaining(max(counts.since, counts.last_fault_at or ""), now, "without an error or a difference")


def _remaining(since: str | None, now: datetime, how: str = "since the cut-over") -> list[str]:
    passed = now - read_time(since) if since else timedelta()
    if passed >= WATCHED:
        return []
    days = max(passed.days, 0)
    return [f"{WATCHED.days} days {how}; {counted(days, 'day has', 'days have')} passed"]


def _losses(state: CutoverState) -> list[str]:
    reports: list[dict[str, Any]] = [event["report"] for event in state.events if event["phase"] == "migrated"]
    if not reports:
        return ["`skillrank import-json PATH`, which brings the history over"]
    return [
        f"an import without losses; the last one had {counted(n, noun)}{more}"
        for field, (noun, more) in _LOSSES.items()
        if (n := _number(reports[-1].get(field)))
    ]


def _number(figure: Any) -> int:
    return figure if isinstance(figure, int) else len(figure or ())
