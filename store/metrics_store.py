"""The tracking store of the specification: a thin synchronous face on `store.protocol.Store`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from store.clock import Clock, system_clock
from store.contract.metrics import Bucket
from store.contract.tracking import ImportReport, NewInvocation, NewOutcome, Outcome
from store.errors import Conflict, InvalidRecord, StoreUnavailable
from store.location import keep_queries
from store.protocol import Store
from store.sqlite import LOCK_DEADLINE_S, open_store
from store.sqlite.connection import open_connection
from store.windows import parse_window

if TYPE_CHECKING:
    import apsw

_IMPORTED_START: Final = frozenset(NewInvocation.__struct_fields__)
# Programs format these with ``:.1f``. The store says NULL while nothing has finished; here that is 0.0.
_AVERAGES: Final = frozenset({"completion_rate", "overall_completion_rate", "avg_duration_seconds", "avg_duration"})

_log = logging.getLogger(__name__)


class Completer:
    """Records how one invocation ended.

    Parameters
    ----------
    record : callable
        Takes the `NewOutcome` to record. It is called again when the completer is, and must refuse another outcome
        and accept the same one.
    """

    def __init__(self, record: Callable[[NewOutcome], None]) -> None:
        self._record = record
        # The wall clock may jump; how long the work took must not.
        self._began = time.monotonic()
        self._first: NewOutcome | None = None

    @property
    def finished(self) -> bool:
        """Whether an outcome has been recorded through this completer."""
        return self._first is not None

    def __call__(
        self, completed: bool = True, follow_up_actions: Sequence[str] | None = None, error_type: str | None = None
    ) -> None:
        """Record the outcome. Repeating the same outcome changes nothing.

        An invocation that is not completed counts as failed when it has an error type, else as abandoned.

        Raises
        ------
        Conflict
            When a different outcome is already recorded.
        """
        outcome: Outcome = "completed" if completed else "failed" if error_type else "abandoned"
        first = self._first
        asked = NewOutcome(
            outcome=outcome,
            duration_seconds=first.duration_seconds if first else round(time.monotonic() - self._began, 6),
            error_type=error_type,
            follow_up_actions=actions_of(follow_up_actions),
        )
        self._record(asked)
        self._first = first or asked


@dataclass
class SkillInvocationResult:
    """An invocation that has begun: finish it with `completer`, by calling it, or by leaving its ``with`` block.

    Leaving the block finishes an invocation that is still open: as completed, or as failed with the exception's type.

    Attributes
    ----------
    invocation_id : str
    completer : callable
        ``completer(completed=True, follow_up_actions=None, error_type=None)``.
    """

    invocation_id: str
    completer: Callable[..., None]

    def __call__(
        self, completed: bool = True, follow_up_actions: Sequence[str] | None = None, error_type: str | None = None
    ) -> None:
        """Do what `completer` does."""
        self.completer(completed, follow_up_actions, error_type)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if getattr(self.completer, "finished", False):
            return
        try:
            self.completer(completed=kind is None, error_type=kind.__name__ if kind else None)
        except Conflict as conflict:
            # Its session has ended meanwhile, for example. That must not hide what the block itself raises.
            _log.warning("the invocation was already finished elsewhere: %s", conflict)


class SkillMetricsStore:
    """The tracking store of the specification. Every method may be called from any thread.

    Parameters
    ----------
    db_path : Path or str
        Created and migrated as needed.
    enable_wal : bool
        Must stay true: reading while others write depends on write-ahead logging, and the journal mode belongs to
        the file, so turning it off would turn it off for every process that has the file open.
    busy_timeout : int, optional
        How many milliseconds a write waits for other processes before it raises `StoreUnavailable`; 30,000 by default.
    clock : Clock, optional

    Raises
    ------
    InvalidRecord
        When `enable_wal` is false or `busy_timeout` is negative.
    """

    def __init__(
        self,
        db_path: Path | str,
        enable_wal: bool = True,
        busy_timeout: int | None = None,
        *,
        clock: Clock = system_clock,
    ) -> None:
        if not enable_wal:
            raise InvalidRecord(
                "enable_wal=False is not supported: reading while others write needs write-ahead logging",
                field="enable_wal",
            )
        if busy_timeout is not None and busy_timeout < 0:
            raise InvalidRecord(f"busy_timeout is {busy_timeout}; give 0 or more milliseconds", field="busy_timeout")
        self.db_path = Path(db_path)
        self.store: Store = open_store(
            self.db_path,
            clock=clock,
            keep_queries=keep_queries(),
            lock_wait_s=LOCK_DEADLINE_S if busy_timeout is None else busy_timeout / 1000,
        )
        self._closing = threading.Lock()
        self._closed = False
        self._conn: apsw.Connection | None = None

    @property
    def conn(self) -> apsw.Connection:
        """A read-only connection for SQL of your own, as in the specification's examples.

        It behaves much like one of `sqlite3`: ``conn.execute(sql, parameters)`` returns a cursor of tuples. Do not
        open the file with the `sqlite3` module in the same process: two SQLite libraries undo each other's locks.
        """
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store has been closed", cause="closed")
            if self._conn is None:
                self._conn = open_connection(self.db_path, readonly=True)
            return self._conn

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
        **details: Any,
    ) -> SkillInvocationResult:
        """Record that an invocation of `skill_name` began.

        Parameters
        ----------
        skill_name : str
        workflow_path, session_id, project_path : str, optional
        **details
            Any other field of `store.contract.tracking.NewInvocation`, such as ``search_id`` or ``workflow_phase``.
        """
        invocation = self.store.start_invocation(
            NewInvocation(
                skill_name=skill_name,
                workflow_path=workflow_path,
                session_id=session_id,
                project_path=project_path,
                **details,
            )
        )

        def record(outcome: NewOutcome) -> None:
            self.store.finish_invocation(invocation.id, outcome)

        return SkillInvocationResult(invocation.id, Completer(record))

    def track_invocation_concurrent(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
        **details: Any,
    ) -> SkillInvocationResult:
        """Do what `track_invocation` does, which is safe from any thread; the name is the specification's."""
        return self.track_invocation(skill_name, workflow_path, session_id, project_path, **details)

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | None:
        """Return the metrics of one skill, None when it was never used. Rates and averages are 0.0 without data."""
        metrics = self.store.skill_metrics(skill_name)
        return _as_mapping(metrics) if metrics else None

    def get_all_metrics(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of every skill ever used by its name, most used first."""
        return {metrics.skill_name: _as_mapping(metrics) for metrics in self.store.all_metrics()}

    def get_summary(self) -> dict[str, Any]:
        """Return totals, the overall completion rate (percent), the most used skill, top errors and workflow paths."""
        summary: dict[str, Any] = msgspec.to_builtins(self.store.summary())
        return _without_null_averages(summary)

    def get_skill_timeline(
        self, skill_name: str, time_window: str = "7 days", bucket: Bucket = "hour"
    ) -> list[dict[str, Any]]:
        """Return invocations per bucket of time over the window up to now, oldest first, empty buckets included.

        Raises
        ------
        InvalidRecord
            When the window is not of the form ``7 days``, ``36h`` or the like.
        """
        return _as_mappings(self.store.timeline(skill_name, window=parse_window(time_window), bucket=bucket))

    def search_workflow_paths(self, query: str) -> list[dict[str, Any]]:
        """Return the workflow paths that contain every word of `query`, most used first; any text is safe."""
        return _as_mappings(self.store.search_workflow_paths(query))

    def get_session_skills(self, session_id: str) -> list[dict[str, Any]]:
        """Return the skills that one session used, most used first."""
        return _as_mappings(self.store.session_skills(session_id))

    def end_session_updates(self, session_id: str) -> None:
        """End a session: its open invocations become abandoned, and its skills' percentiles are recomputed."""
        self.store.end_session(session_id)

    def bulk_import_invocations(self, invocations: Sequence[dict[str, Any]]) -> ImportReport:
        """Add many invocations, each a mapping of the specification's fields; repeatable by ``id``.

        A row without ``completed`` and ``outcome`` is still running. Rows that cannot be used are reported with the
        reason and leave nothing behind.
        """
        usable, refused = read_rows(invocations)
        report = self.store.import_invocations(usable)
        return msgspec.structs.replace(report, refused=refused + report.refused)

    def close(self) -> None:
        """Commit what was accepted and release the file. Calling it again does nothing.

        After closing the process's shared store, `store.metrics_db.get_store` opens a new one.
        """
        with self._closing:
            self._closed = True
            connection, self._conn = self._conn, None
        if connection is not None:
            # The last connection to close folds the log into the file, and a read-only one cannot.
            connection.close(True)
        self.store.close()


def read_rows(
    rows: Sequence[dict[str, Any]],
) -> tuple[list[tuple[NewInvocation, NewOutcome | None]], list[tuple[str, str]]]:
    """Return the rows that can be imported, and the ids of the others with the reason."""
    usable: list[tuple[NewInvocation, NewOutcome | None]] = []
    refused: list[tuple[str, str]] = []
    for row in rows:
        try:
            usable.append(_read_row(row))
        except (msgspec.ValidationError, InvalidRecord) as error:
            refused.append((str(row.get("id", "")), str(error)))
    return usable, refused


def actions_of(given: Sequence[str] | str | None) -> list[str]:
    """Return follow-up actions as a list; a single text is one action, not a sequence of letters."""
    return [given] if isinstance(given, str) else list(given or [])


def _read_row(row: dict[str, Any]) -> tuple[NewInvocation, NewOutcome | None]:
    known = {name: cell for name, cell in row.items() if name in _IMPORTED_START and cell is not None}
    invocation = msgspec.convert(known, NewInvocation)
    outcome = row.get("outcome")
    if outcome is None and row.get("completed") is not None:
        outcome = "completed" if row["completed"] else "failed" if row.get("error_type") else "abandoned"
    if outcome is None:
        return invocation, None
    ending = {
        "outcome": outcome,
        "finished_at": row.get("finished_at"),
        "duration_seconds": row.get("duration_seconds"),
        "error_type": row.get("error_type"),
        "follow_up_actions": row.get("follow_up_actions") or [],
        "source": "import",
    }
    return invocation, msgspec.convert(ending, NewOutcome)


def _as_mappings(records: Iterable[msgspec.Struct]) -> list[dict[str, Any]]:
    return [_as_mapping(each) for each in records]


def _as_mapping(record: msgspec.Struct) -> dict[str, Any]:
    return _without_null_averages(msgspec.structs.asdict(record))


def _without_null_averages(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: 0.0 if cell is None and name in _AVERAGES else cell for name, cell in fields.items()}
