"""Tracking in process: the specification's names.

>>> from store.metrics_db import get_store
>>> with get_store().track_invocation("fix-type-errors", workflow_path="quick"):
...     pass  # the work; an exception in here is recorded as a failure

Every function is safe from many threads, and several processes may use the same file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from store.contract.operations import SlowQuery
from store.errors import InvalidRecord
from store.legacy.dual import DualReadMetricsTracker, DualWriteMetricsTracker
from store.legacy.json_tracker import LegacyJsonTracker, SkillMetricsData
from store.legacy.state import enter_phase
from store.location import database_path, json_metrics_path, metrics_mode
from store.metrics_store import SkillInvocationResult, SkillMetricsStore

__all__ = [
    "DatabaseHealth",
    "SkillInvocationResult",
    "SkillMetricsData",
    "SkillMetricsStore",
    "check_database_health",
    "get_store",
    "track_skill",
]

_shared_lock = threading.Lock()
_shared: SkillMetricsStore | None = None


def get_store(db_path: Path | str | None = None) -> SkillMetricsStore:
    """Return this process's store, opened on first use.

    ``SKILLRANK_METRICS_MODE`` decides what it is: the database alone, or, while a JSON tracker is being replaced, a
    `DualWriteMetricsTracker` or `DualReadMetricsTracker` over the database and the file ``SKILLRANK_JSON_METRICS``.

    Parameters
    ----------
    db_path : Path or str, optional
        The service's own database by default (`store.location`).

    Raises
    ------
    InvalidRecord
        When the process already uses another file, a setting cannot be used, or a dual mode is set although the
        cut-over to the database is done.
    """
    global _shared  # noqa: PLW0603  one store for a process is what this function is for
    with _shared_lock:
        if _shared is None or _shared.closed:
            _shared = _open(Path(db_path or database_path()))
        elif db_path is not None and Path(db_path).resolve() != _shared.db_path.resolve():
            raise InvalidRecord(
                f"this process already tracks into {_shared.db_path}; make a SkillMetricsStore({str(db_path)!r}) "
                "for a second file",
                field="db_path",
            )
        return _shared


def _open(path: Path) -> SkillMetricsStore:
    mode = metrics_mode()
    if mode == "sqlite":
        return SkillMetricsStore(path)
    json_tracker = LegacyJsonTracker(json_metrics_path())
    enter_phase(path.parent, "dual_write" if mode == "dual-write" else "dual_read", json_tracker.json_path)
    dual = DualWriteMetricsTracker if mode == "dual-write" else DualReadMetricsTracker
    return dual(json_tracker, SkillMetricsStore(path))


def track_skill(
    skill_name: str, workflow_path: str | None = None, session_id: str | None = None
) -> Callable[..., None]:
    """Record in the shared store that an invocation began; return what finishes it."""
    return get_store().track_invocation(skill_name, workflow_path, session_id).completer


class DatabaseHealth(TypedDict):
    """The state of a tracking database. The first four keys are the specification's; `problems` is empty when healthy.

    `total_skills` counts skills that have ever been used, `served_skills` those in the index.
    """

    database_size_mb: float
    total_invocations: int
    total_skills: int
    schema_version: int
    open_invocations: int
    served_skills: int
    location: str
    size_bytes: int
    wal_bytes: int
    slow_queries: list[SlowQuery]
    problems: list[str]


def check_database_health(store: SkillMetricsStore) -> DatabaseHealth:
    """Return sizes, counts, the schema version, slow queries, and everything that is wrong.

    Reads everything: the file's integrity, the schema, the index, and the metrics against the log.
    """
    health = store.store.health()
    return {
        "database_size_mb": health.size_bytes / (1024 * 1024),
        "total_invocations": health.total_invocations,
        "total_skills": health.used_skills,
        "schema_version": health.schema_version,
        "open_invocations": health.open_invocations,
        "served_skills": health.served_skills,
        "location": health.location,
        "size_bytes": health.size_bytes,
        "wal_bytes": health.wal_bytes,
        "slow_queries": health.slow_queries,
        "problems": health.problems + store.store.check(),
    }
