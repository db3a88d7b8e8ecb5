"""Phases one and three of the cut-over: writing to both sides, and reading from one while comparing the other."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec

from migrations.errors import SkillrankError
from store.clock import Clock, format_time, normalise_time, system_clock
from store.contract.tracking import ImportReport, Invocation, NewInvocation, NewOutcome
from store.errors import Conflict, NotFound
from store.legacy.counts import DualPhase, DualReport, Operation, Side, Tally
from store.legacy.json_tracker import LegacyJsonTracker, SkillMetricsData
from store.legacy.legacy_json import AGGREGATE_FIELDS
from store.legacy.migrator import Difference, same_figure
from store.location import keep_queries
from store.metrics_store import Completer, SkillInvocationResult, SkillMetricsStore, read_rows

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")
# Between two reads another thread or process may write. Only what differs three times in a row is a difference.
_ATTEMPTS: Final = 3
_SETTLE_S: Final = 0.02
_SUMMARY_FIELDS: Final = (
    "total_skills",
    "total_invocations",
    "completed_invocations",
    "finished_invocations",
    "overall_completion_rate",
    "most_used_skill",
    "most_used_count",
)


class DualTracker(SkillMetricsStore):
    """Writes every invocation to a JSON file and to the database, with the same id and times.

    An error on the served side reaches the caller. An error on the other side is counted and logged, and the
    invocation is completed there when it ends. Timelines, workflow paths and the skills of a session always come from
    the database, for the JSON tracker never had them.

    Only what is tracked through this class reaches both sides. What other commands or the HTTP service record is in
    the database alone, and is reported as a difference.
    """

    phase: ClassVar[DualPhase]

    def __init__(  # not the base's: the database is open already
        self, json_tracker: LegacyJsonTracker, db_store: SkillMetricsStore, *, serve: Side, clock: Clock
    ) -> None:
        self.json_tracker = json_tracker
        self.db_store = db_store
        self.serve: Side = serve
        self.db_path: Path = db_store.db_path
        self.store = db_store.store
        self._clock = clock
        self._keep_queries = keep_queries()
        self._tally = Tally(self.phase, db_store.db_path.parent, clock)

    @property
    def conn(self) -> apsw.Connection:
        """A read-only connection to the database."""
        return self.db_store.conn

    @property
    def closed(self) -> bool:
        """Whether the database has been closed."""
        return self.db_store.closed

    def close(self) -> None:
        """Close the database. Calling it again does nothing."""
        self.db_store.close()

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
        **details: Any,
    ) -> SkillInvocationResult:
        """Record on both sides that an invocation began."""
        identifier = str(details.pop("id", None) or uuid.uuid4())
        use = NewInvocation(
            skill_name=skill_name,
            id=identifier,
            invoked_at=normalise_time(details.pop("invoked_at", None) or format_time(self._clock())),
            workflow_path=workflow_path,
            session_id=session_id,
            project_path=project_path,
            **details,
        )
        self._write_both(lambda side: self._start(side, use))
        first: list[NewOutcome] = []

        def record(asked: NewOutcome) -> None:
            if first:
                _require_same(use, first[0], asked)
                return
            outcome = msgspec.structs.replace(asked, finished_at=max(format_time(self._clock()), use.invoked_at or ""))
            self._write_both(lambda side: self._finish(side, use, outcome))
            first.append(outcome)

        return SkillInvocationResult(identifier, Completer(record))

    def end_session_updates(self, session_id: str) -> None:
        """End a session in the database; the outcomes that this gives open invocations go to the JSON file too."""
        with self._operation() as operation:
            self._try("database", operation, partial(self.db_store.end_session_updates, session_id))
            self._try("json", operation, self._copy_outcomes)

    def bulk_import_invocations(self, invocations: Sequence[dict[str, Any]]) -> ImportReport:
        """Add many invocations to the database, then those it accepted to the JSON file.

        An error of the database reaches the caller, whichever side is served.
        """
        usable, refused = read_rows(invocations)
        now = format_time(self._clock())
        identified = [
            (msgspec.structs.replace(use, id=use.id or str(uuid.uuid4()), invoked_at=use.invoked_at or now), outcome)
            for use, outcome in usable
        ]
        report = self.store.import_invocations(identified)
        unfit = {identifier for identifier, _ in report.refused}
        rows = [self._row(use, outcome) for use, outcome in identified if use.id not in unfit]
        with self._operation() as operation:
            self._try("json", operation, partial(self.json_tracker.add_rows, rows))
        return msgspec.structs.replace(report, refused=refused + report.refused)

    def report(self) -> DualReport:
        """Return the counts of this tracker; `store.legacy.counts.read_counts` has those of all processes."""
        return self._tally.report()

    def _write_both(self, write: Callable[[Side], Sequence[Difference]]) -> None:
        sides: tuple[Side, Side] = ("json", "database") if self.serve == "json" else ("database", "json")
        with self._operation() as operation:
            for side in sides:
                operation.differences += self._try(side, operation, partial(write, side)) or []

    @contextmanager
    def _operation(self) -> Iterator[Operation]:
        """Count what happens inside the block as one operation."""
        operation = Operation()
        try:
            yield operation
        except NotFound:
            raise  # the caller's mistake says nothing about the two sides
        except BaseException:
            self._tally.add(operation)
            raise
        self._tally.add(operation)

    def _try(self, side: Side, operation: Operation, do: Callable[[], T]) -> T | None:
        """Do it, and note an error; raise it when this side is served, or when it is the caller's mistake."""
        try:
            return do()
        except (SkillrankError, OSError) as error:
            operation.errors.append((side, error))
            if side == self.serve or isinstance(error, NotFound):
                raise
            return None

    def _start(self, side: Side, use: NewInvocation) -> Sequence[Difference]:
        if side == "json":
            self.json_tracker.add_rows([self._row(use, None)])
        else:
            self.store.start_invocation(use)
        return []

    def _finish(self, side: Side, use: NewInvocation, outcome: NewOutcome) -> Sequence[Difference]:
        if side == "json":
            self.json_tracker.add_rows([self._row(use, outcome)])
            return []
        self.store.start_invocation(use)  # changes nothing, unless the start had failed there
        recorded = self.store.finish_invocation(use.id or "", outcome).invocation
        asked = msgspec.structs.asdict(outcome)
        return [
            Difference(key=recorded.id, field=field, json=asked[field], database=getattr(recorded, field))
            for field in ("outcome", "finished_at", "duration_seconds", "error_type", "follow_up_actions")
            if not same_figure(asked[field], getattr(recorded, field))
        ]

    def _copy_outcomes(self) -> None:
        found = self.store.find_invocations(self.json_tracker.open_ids())
        self.json_tracker.add_rows([row_of(use) for use in found.values() if use.outcome is not None])

    def _row(self, use: NewInvocation, outcome: NewOutcome | None) -> dict[str, Any]:
        row = _said(msgspec.structs.asdict(use))
        if not self._keep_queries:
            row.pop("user_query", None)
        return row if outcome is None else row | _ending(outcome)


class DualWriteMetricsTracker(DualTracker):
    """Phase one: writes both sides and reads the served one.

    Parameters
    ----------
    json_tracker : LegacyJsonTracker
    db_store : SkillMetricsStore
    serve : {'json', 'database'}
        The source of truth while both are written.
    clock : Clock, optional
    """

    phase = "dual_write"

    def __init__(
        self,
        json_tracker: LegacyJsonTracker,
        db_store: SkillMetricsStore,
        *,
        serve: Side = "json",
        clock: Clock = system_clock,
    ) -> None:
        super().__init__(json_tracker, db_store, serve=serve, clock=clock)

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | None:
        """Return the served side's metrics of one skill; those of JSON have the specification's fields alone."""
        if self.serve == "database":
            return self.db_store.get_skill_metrics(skill_name)
        metrics = self.json_tracker.get_skill_metrics(skill_name)
        return dataclasses.asdict(metrics) if metrics else None

    def get_all_metrics(self) -> dict[str, dict[str, Any]]:
        """Return the served side's metrics of every skill, most used first."""
        if self.serve == "database":
            return self.db_store.get_all_metrics()
        return {name: dataclasses.asdict(data) for name, data in self.json_tracker.get_all_metrics().items()}

    def get_summary(self) -> dict[str, Any]:
        """Return the served side's overall totals."""
        return self.db_store.get_summary() if self.serve == "database" else self.json_tracker.get_summary()


class DualReadMetricsTracker(DualTracker):
    """Phase three: reads from the database and compares every field with JSON; a difference never raises.

    Both sides are still written, or they could not agree. An error of the database reaches the caller.

    Parameters
    ----------
    json_tracker : LegacyJsonTracker
    db_store : SkillMetricsStore
    clock : Clock, optional
    """

    phase = "dual_read"

    def __init__(
        self, json_tracker: LegacyJsonTracker, db_store: SkillMetricsStore, *, clock: Clock = system_clock
    ) -> None:
        super().__init__(json_tracker, db_store, serve="database", clock=clock)

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | None:
        """Return the database's metrics of one skill."""
        return self._compared(
            lambda: self.db_store.get_skill_metrics(skill_name),
            lambda served: metrics_differences(skill_name, self.json_tracker.get_skill_metrics(skill_name), served),
        )

    def get_all_metrics(self) -> dict[str, dict[str, Any]]:
        """Return the database's metrics of every skill, most used first."""

        def differences(served: dict[str, dict[str, Any]]) -> list[Difference]:
            in_json = self.json_tracker.get_all_metrics()
            return [
                difference
                for name in sorted(in_json.keys() | served.keys())
                for difference in metrics_differences(name, in_json.get(name), served.get(name))
            ]

        return self._compared(self.db_store.get_all_metrics, differences)

    def get_summary(self) -> dict[str, Any]:
        """Return the database's overall totals."""

        def differences(served: dict[str, Any]) -> list[Difference]:
            in_json = self.json_tracker.get_summary()
            return [
                Difference(key="summary", field=field, json=in_json[field], database=served[field])
                for field in _SUMMARY_FIELDS
                if not same_figure(in_json[field], served[field])
            ]

        return self._compared(self.db_store.get_summary, differences)

    def _compared(self, read: Callable[[], T], differences: Callable[[T], list[Difference]]) -> T:
        with self._operation() as operation:
            served = self._read(read, operation)
            for _ in range(_ATTEMPTS - 1):
                operation.differences = self._try("json", operation, partial(differences, served)) or []
                if not operation.differences:
                    return served
                time.sleep(_SETTLE_S)
                served = self._read(read, operation)
            operation.differences = self._try("json", operation, partial(differences, served)) or []
        return served

    def _read(self, read: Callable[[], T], operation: Operation) -> T:
        try:
            return read()
        except (SkillrankError, OSError) as error:
            operation.errors.append(("database", error))
            raise


def metrics_differences(
    skill_name: str, json_metrics: SkillMetricsData | None, db_metrics: dict[str, Any] | None
) -> list[Difference]:
    """Return every field in which two sides disagree about a skill."""
    if json_metrics is None or db_metrics is None:
        if json_metrics is None and db_metrics is None:
            return []
        present = {"json": json_metrics is not None, "database": db_metrics is not None}
        return [Difference(key=skill_name, field="known", **present)]
    return [
        Difference(key=skill_name, field=field, json=getattr(json_metrics, field), database=db_metrics[field])
        for field in AGGREGATE_FIELDS
        if not same_figure(getattr(json_metrics, field), db_metrics[field])
    ]


def row_of(use: Invocation) -> dict[str, Any]:
    """Return a recorded invocation as a row of the JSON tracker's file."""
    row = _said(msgspec.structs.asdict(use))
    return row if use.outcome is None else row | {"completed": use.outcome == "completed"}


def _ending(outcome: NewOutcome) -> dict[str, Any]:
    fields = msgspec.structs.asdict(outcome)
    return {"completed": outcome.outcome == "completed"} | {
        name: cell for name, cell in fields.items() if name != "source" and cell is not None
    }


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: cell for name, cell in fields.items() if cell not in (None, [], {})}


def _require_same(use: NewInvocation, first: NewOutcome, asked: NewOutcome) -> None:
    mine = (first.outcome, first.error_type, first.follow_up_actions)
    if mine != (asked.outcome, asked.error_type, asked.follow_up_actions):
        raise Conflict(
            f"invocation {use.id!r} already ended as {first.outcome}; an outcome is recorded once and never changes",
            recorded=msgspec.to_builtins(first),
        )
