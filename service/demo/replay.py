"""Reads the data of the demo, and records its history in a store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from store.clock import Clock, format_time, system_clock
from store.contract.tracking import ImportReport, NewInvocation, NewOutcome, Outcome
from store.protocol import Store

_HERE: Final = Path(__file__).parent
LIBRARY: Final = _HERE / "library"


class PastUse(msgspec.Struct, frozen=True, kw_only=True):
    """One past invocation: a line of the history."""

    query: str
    skill_name: str
    outcome: Outcome
    duration_seconds: float
    error_type: str | None
    days_ago: float
    workflow_path: str | None
    follow_up_actions: list[str]


def history() -> list[PastUse]:
    """Return the invented invocations, oldest first."""
    lines = (_HERE / "history.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=PastUse) for line in lines]


def queries() -> list[str]:
    """Return the queries of the demo."""
    return (_HERE / "queries.txt").read_text(encoding="utf-8").splitlines()


def replay(store: Store, uses: list[PastUse], clock: Clock = system_clock) -> ImportReport:
    """Record `uses` as if they had happened up to now; recording them again adds nothing."""
    now = clock()
    rows = []
    for number, use in enumerate(uses, start=1):
        began = now - timedelta(days=use.days_ago)
        invocation = NewInvocation(
            id=f"demo-{number:04}",
            skill_name=use.skill_name,
            invoked_at=format_time(began),
            workflow_path=use.workflow_path,
            user_query=use.query,
        )
        outcome = NewOutcome(
            outcome=use.outcome,
            finished_at=format_time(began + timedelta(seconds=use.duration_seconds)),
            duration_seconds=use.duration_seconds,
            error_type=use.error_type,
            follow_up_actions=use.follow_up_actions,
            source="import",
        )
        rows.append((invocation, outcome))
    report = store.import_invocations(rows)
    # The service's sweep does this; the demo shows usual durations at once.
    store.refresh_stale_percentiles()
    return report
