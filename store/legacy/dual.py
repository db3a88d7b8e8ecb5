"""Phases one and three of the cut-over: writing to both sides, and reading from one while the other is compared."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from migrations.errors import SkillrankError
from store.clock import Clock, format_time, system_clock
from store.contract.tracking import NewInvocation, NewOutcome, Outcome
from store.errors import Conflict
from store.legacy.json_tracker import LegacyJsonTracker, SkillMetricsData
from store.legacy.legacy_json import AGGREGATE_FIELDS
from store.legacy.migrator import Difference, same_figure
from store.metrics_db import SkillMetricsStore

Side = Literal["json", "database"]
_KEPT: Final = 100
_log = logging.getLogger(__name__)


class DualReport(msgspec.Struct, frozen=True, kw_only=True):
    """What two sides did so far.

    Attributes
    ----------
    operations : int
        Writes, or reads, that the served side did.
    json_errors, database_errors : int
    mismatches : int
        Operations after which the sides did not say the same.
    differences : list of Difference
        The last 100.
    problems : list of str
        The last 100 errors.
    """

    operations: int
    json_errors: int
    database_errors: int
    mismatches: int
    differences: list[Difference]
    problems: list[str]


class _Tally:
    """Counts what happens on two sides, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations = self._mismatches = 0
        self._errors: dict[Side, int] = {"json": 0, "database": 0}
        self._differences: deque[Difference] = deque(maxlen=_KEPT)
        self._problems: deque[str] = deque(maxlen=_KEPT)

    def done(self) -> None:
        with self._lock:
            self._operations += 1

    def failed(self, side: Side, error: Exception) -> None:
        _log.error("the %s side of a dual operation failed: %s", side, error, exc_info=error)
        with self._lock:
            self._errors[side] += 1
            self._problems.append(f"{side}: {type(error).__name__}: {error}")

    def differ(self, differences: Sequence[Difference]) -> None:
        if not differences:
            return
        _log.error("the two sides differ: %s", differences[0])
        with self._lock:
            self._mismatches += 1
            self._differences.extend(differences)

    def report(self) -> DualReport:
        with self._lock:
            return DualReport(
                operations=self._operations,
                json_errors=self._errors["json"],
                database_errors=self._errors["database"],
                mismatches=self._mismatches,
                differences=list(self._differences),
                problems=list(self._problems),
            )


class DualWriteMetricsTracker:
    """Writes every use to JSON and to the database, with the same id and times.

    An error of the served side is the caller's; an error of the other one is counted, logged and told by `report`, and
    the use is brought there when it ends.

    Parameters
    ----------
    json_tracker : LegacyJsonTracker
    db_store : SkillMetricsStore
    serve : {'json', 'database'}
        The source of truth while both are written.
    """

    def __init__(
        self,
        json_tracker: LegacyJsonTracker,
        db_store: SkillMetricsStore,
        *,
        serve: Side = "json",
        clock: Clock = system_clock,
    ) -> None:
        self.json_tracker = json_tracker
        self.db_store = db_store
        self.serve = serve
        self._clock = clock
        self._tally = _Tally()

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
    ) -> Callable[..., None]:
        """Record on both sides that a use began; return what finishes it on both."""
        use = NewInvocation(
            id=str(uuid.uuid4()),
            skill_name=skill_name,
            invoked_at=format_time(self._clock()),
            workflow_path=workflow_path,
            session_id=session_id,
            project_path=project_path,
        )
        began = time.monotonic()
        self._both(lambda side: self._start(side, use))
        self._tally.done()
        first: list[NewOutcome] = []

        def completer(
            completed: bool = True, follow_up_actions: Sequence[str] | None = None, error_type: str | None = None
        ) -> None:
            outcome: Outcome = "completed" if completed else "failed" if error_type else "abandoned"
            asked = NewOutcome(
                outcome=outcome,
                finished_at=max(format_time(self._clock()), use.invoked_at or ""),
                duration_seconds=round(time.monotonic() - began, 6),
                error_type=error_type,
                follow_up_actions=list(follow_up_actions or []),
            )
            if first:
                _require_same(use, first[0], asked)
                return
            self._both(lambda side: self._finish(side, use, asked))
            first.append(asked)
            self._tally.done()

        return completer

    # The store has one writer; the name is the specification's.
    track_invocation_concurrent = track_invocation

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | SkillMetricsData | None:
        """Return what the served side says."""
        if self.serve == "json":
            return self.json_tracker.get_skill_metrics(skill_name)
        return self.db_store.get_skill_metrics(skill_name)

    def report(self) -> DualReport:
        """Return what happened so far."""
        return self._tally.report()

    def _both(self, write: Callable[[Side], None]) -> None:
        other: Side = "database" if self.serve == "json" else "json"
        try:
            write(self.serve)
        except (SkillrankError, OSError) as error:
            self._tally.failed(self.serve, error)
            raise
        try:
            write(other)
        except (SkillrankError, OSError) as error:
            self._tally.failed(other, error)

    def _start(self, side: Side, use: NewInvocation) -> None:
        if side == "json":
            self.json_tracker.add_rows([_row(use, None)])
        else:
            self.db_store.store.start_invocation(use)

    def _finish(self, side: Side, use: NewInvocation, outcome: NewOutcome) -> None:
        if side == "json":
            self.json_tracker.add_rows([_row(use, outcome)])
            return
        store = self.db_store.store
        store.start_invocation(use)  # changes nothing, unless the start had failed there
        recorded = store.finish_invocation(use.id or "", outcome).invocation
        asked = msgspec.structs.asdict(outcome)
        self._tally.differ(
            [
                Difference(key=recorded.id, field=field, json=asked[field], database=getattr(recorded, field))
                for field in ("outcome", "finished_at", "duration_seconds", "error_type", "follow_up_actions")
                if not same_figure(asked[field], getattr(recorded, field))
            ]
        )


class DualReadMetricsTracker:
    """Reads from the database and compares with JSON, in all fields, without ever failing for a difference.

    Parameters
    ----------
    json_tracker : LegacyJsonTracker
    db_store : SkillMetricsStore
    """

    def __init__(self, json_tracker: LegacyJsonTracker, db_store: SkillMetricsStore) -> None:
        self.json_tracker = json_tracker
        self.db_store = db_store
        self._tally = _Tally()

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | None:
        """Return what the database says of a skill."""
        served = self.db_store.get_skill_metrics(skill_name)
        self._compare(lambda: {skill_name: self.json_tracker.get_skill_metrics(skill_name)}, {skill_name: served})
        return served

    def get_all_metrics(self) -> dict[str, dict[str, Any]]:
        """Return what the database says of every skill."""
        served = self.db_store.get_all_metrics()

        def told() -> dict[str, SkillMetricsData | None]:
            found = self.json_tracker.get_all_metrics()
            return {name: found.get(name) for name in found.keys() | served.keys()}

        self._compare(told, dict(served))
        return served

    def report(self) -> DualReport:
        """Return what happened so far."""
        return self._tally.report()

    def _compare(
        self, read_json: Callable[[], dict[str, SkillMetricsData | None]], served: dict[str, dict[str, Any] | None]
    ) -> None:
        self._tally.done()
        try:
            told = read_json()
        except (SkillrankError, OSError) as error:
            self._tally.failed("json", error)
            return
        for name in sorted(told.keys() | served.keys()):
            self._tally.differ(metrics_differences(name, told.get(name), served.get(name)))


def metrics_differences(
    skill_name: str, json_metrics: SkillMetricsData | None, db_metrics: dict[str, Any] | None
) -> list[Difference]:
    """Return every field in which two sides disagree about a skill."""
    if json_metrics is None or db_metrics is None:
        if json_metrics is None and db_metrics is None:
            return []
        present = {"json": json_metrics is not None, "database": db_metrics is not None}
        return [Difference(key=skill_name, field="known", **present)]
    nothing_finished = db_metrics["completed_invocations"] + db_metrics["abandoned_invocations"] == 0
    found = []
    for field in AGGREGATE_FIELDS:
        mine, theirs = getattr(json_metrics, field), db_metrics[field]
        # Without anything finished, the old tracker said 0 where the store says that it does not know.
        if not same_figure(mine, theirs) and not (nothing_finished and not mine and not theirs):
            found.append(Difference(key=skill_name, field=field, json=mine, database=theirs))
    return found


def _row(use: NewInvocation, outcome: NewOutcome | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": use.id,
        "skill_name": use.skill_name,
        "invoked_at": use.invoked_at,
        "workflow_path": use.workflow_path,
        "session_id": use.session_id,
        "project_path": use.project_path,
    }
    if outcome is not None:
        row |= {
            "completed": outcome.outcome == "completed",
            "outcome": outcome.outcome,
            "finished_at": outcome.finished_at,
            "duration_seconds": outcome.duration_seconds,
            "error_type": outcome.error_type,
            "follow_up_actions": outcome.follow_up_actions,
        }
    return row


def _require_same(use: NewInvocation, first: NewOutcome, asked: NewOutcome) -> None:
    mine = (first.outcome, first.error_type, first.follow_up_actions)
    if mine != (asked.outcome, asked.error_type, asked.follow_up_actions):
        raise Conflict(
            f"invocation {use.id!r} already ended as {first.outcome}; an outcome is recorded once and never changes",
            recorded=msgspec.to_builtins(first),
        )
