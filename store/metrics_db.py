"""Tracking in process: the specification's names, as a thin synchronous face on the store.

>>> from store.metrics_db import get_store
>>> with get_store().track_invocation("fix-type-errors", workflow_path="quick"):
...     pass  # the work; an exception in here is recorded as a failure

Every method is safe from many threads, and several processes may use the same file.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from store.clock import Clock, system_clock
from store.contract.metrics import Bucket
from store.contract.operations import StoreHealth
from store.contract.tracking import ImportReport, NewInvocation, NewOutcome, Outcome
from store.errors import Conflict, InvalidRecord
from store.location import database_path, keep_queries
from store.protocol import Store
from store.sqlite import open_store
from store.windows import parse_window

_IMPORTED_START: Final = frozenset(NewInvocation.__struct_fields__)

_log = logging.getLogger(__name__)


class InvocationHandle:
    """One use that has begun: finish it with `completer`, by calling it, or by leaving its ``with`` block.

    Leaving the block finishes a use that is still open: as completed, or as failed with the exception's type.

    Attributes
    ----------
    invocation_id : str
    """

    def __init__(self, store: Store, invocation_id: str) -> None:
        self.invocation_id = invocation_id
        self._store = store
        # The wall clock may jump; how long the work took must not.
        self._began = time.monotonic()
        self._finished: NewOutcome | None = None

    def completer(
        self,
        completed: bool = True,
        follow_up_actions: Sequence[str] | None = None,
        error_type: str | None = None,
    ) -> None:
        """Record how the use ended. The same again changes nothing.

        A use that is not completed counts as failed when it has an error type, else as abandoned.

        Raises
        ------
        Conflict
            When another outcome is recorded already.
        """
        outcome: Outcome = "completed" if completed else "failed" if error_type else "abandoned"
        first = self._finished
        duration = first.duration_seconds if first else round(time.monotonic() - self._began, 6)
        finished = NewOutcome(
            outcome=outcome,
            duration_seconds=duration,
            error_type=error_type,
            follow_up_actions=list(follow_up_actions or []),
        )
        self._store.finish_invocation(self.invocation_id, finished)
        self._finished = first or finished

    __call__ = completer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._finished is None:
            try:
                self.completer(completed=kind is None, error_type=kind.__name__ if kind else None)
            except Conflict as conflict:
                # Its session ended meanwhile, say. That must not hide what the block itself raises.
                _log.warning("a use was finished by somebody else: %s", conflict)


class SkillMetricsStore:
    """The tracking store of the specification.

    Parameters
    ----------
    db_path : Path or str
        Made and migrated as needed.
    clock : Clock, optional
    """

    def __init__(self, db_path: Path | str, *, clock: Clock = system_clock) -> None:
        self.db_path = Path(db_path)
        self.store: Store = open_store(self.db_path, clock=clock, keep_queries=keep_queries())

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
        **details: Any,
    ) -> InvocationHandle:
        """Record that a use of `skill_name` began.

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
        return InvocationHandle(self.store, invocation.id)

    # The store has one writer, so every use may be tracked from any thread; the name is the specification's.
    track_invocation_concurrent = track_invocation

    def get_skill_metrics(self, skill_name: str) -> dict[str, Any] | None:
        """Return the metrics of one skill, None when it was never used."""
        metrics = self.store.skill_metrics(skill_name)
        return msgspec.structs.asdict(metrics) if metrics else None

    def get_all_metrics(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of every skill ever used by its name, most used first."""
        return {metrics.skill_name: msgspec.structs.asdict(metrics) for metrics in self.store.all_metrics()}

    def get_summary(self) -> dict[str, Any]:
        """Return totals, the overall completion rate (percent), the most used skill, top errors and paths."""
        summary: dict[str, Any] = msgspec.to_builtins(self.store.summary())
        return summary

    def get_skill_timeline(
        self, skill_name: str, time_window: str = "7 days", bucket: Bucket = "hour"
    ) -> list[dict[str, Any]]:
        """Return uses by bucket of time over the window up to now, oldest first, empty buckets included.

        Raises
        ------
        InvalidRecord
            When the window is not of the form ``7 days``, ``36h`` or the like.
        """
        buckets = self.store.timeline(skill_name, window=parse_window(time_window), bucket=bucket)
        return [msgspec.structs.asdict(each) for each in buckets]

    def search_workflow_paths(self, query: str) -> list[dict[str, Any]]:
        """Return the workflow paths that hold every word of `query`, most used first; any text is safe."""
        return [msgspec.structs.asdict(path) for path in self.store.search_workflow_paths(query)]

    def get_session_skills(self, session_id: str) -> list[dict[str, Any]]:
        """Return what one session used, most used first."""
        return [msgspec.structs.asdict(skill) for skill in self.store.session_skills(session_id)]

    def end_session_updates(self, session_id: str) -> None:
        """End a session: what is open becomes abandoned, and its skills' percentiles are recomputed."""
        self.store.end_session(session_id)

    def bulk_import_invocations(self, invocations: Sequence[dict[str, Any]]) -> ImportReport:
        """Add many uses, each a mapping of the specification's fields; repeatable by ``id``.

        A row without ``completed`` and ``outcome`` is still running. Rows that cannot be used are reported with the
        reason and leave nothing behind.
        """
        usable: list[tuple[NewInvocation, NewOutcome | None]] = []
        refused: list[tuple[str, str]] = []
        for row in invocations:
            try:
                usable.append(_read_row(row))
            except (msgspec.ValidationError, InvalidRecord) as error:
                refused.append((str(row.get("id", "")), str(error)))
        report = self.store.import_invocations(usable)
        return msgspec.structs.replace(report, refused=refused + report.refused)

    def close(self) -> None:
        """Commit what was accepted and release the file. Calling it again does nothing.

        When this is the process's shared store, `get_store` opens it anew.
        """
        global _shared  # noqa: PLW0603  as in `get_store`
        with _shared_lock:
            if _shared is self:
                _shared = None
        self.store.close()


_shared_lock = threading.Lock()
_shared: SkillMetricsStore | None = None


def get_store(db_path: Path | str | None = None) -> SkillMetricsStore:
    """Return this process's store, opened on first use.

    Parameters
    ----------
    db_path : Path or str, optional
        The service's own database by default (`store.location`).

    Raises
    ------
    InvalidRecord
        When the process already uses another file.
    """
    global _shared  # noqa: PLW0603  one store for a process is what this function is for
    with _shared_lock:
        if _shared is None:
            _shared = SkillMetricsStore(db_path or database_path())
        elif db_path is not None and Path(db_path).resolve() != _shared.db_path.resolve():
            raise InvalidRecord(
                f"this process already tracks into {_shared.db_path}; make a SkillMetricsStore({str(db_path)!r}) "
                "for a second file",
                field="db_path",
            )
        return _shared


def track_skill(
    skill_name: str, workflow_path: str | None = None, session_id: str | None = None
) -> Callable[..., None]:
    """Record that a use began in the shared store; return what finishes it."""
    return get_store().track_invocation(skill_name, workflow_path, session_id).completer


def check_database_health(store: SkillMetricsStore) -> StoreHealth:
    """Return sizes, counts, the schema version, slow queries, and everything that is wrong.

    Reads everything: the file's integrity, the schema, the index and the metrics against the log.
    """
    health = store.store.health()
    return msgspec.structs.replace(health, problems=health.problems + store.store.check())


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
