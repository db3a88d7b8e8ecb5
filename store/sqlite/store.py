"""The whole store in one SQLite file."""

from __future__ import annotations

from pathlib import Path

from store.clock import Clock, system_clock
from store.sqlite.aggregate import SqliteAggregates
from store.sqlite.catalogue import SqliteCatalogue
from store.sqlite.database import Database
from store.sqlite.duplicates import NearDuplicates
from store.sqlite.evidence import SqliteEvidence
from store.sqlite.matrix import VectorMatrix
from store.sqlite.metrics import SqliteMetrics
from store.sqlite.operations import SqliteOperations
from store.sqlite.overlap import SqliteOverlap
from store.sqlite.projects import SqliteProjects
from store.sqlite.retention import SqliteRetention
from store.sqlite.retrieval import SqliteRetrieval
from store.sqlite.searches import SqliteSearchLog
from store.sqlite.session_reports import SqliteSessionReports
from store.sqlite.signals import SqliteSignals
from store.sqlite.spelling import Spelling
from store.sqlite.tracking import SqliteTracking
from store.sqlite.vocabulary import Vocabulary
from store.sqlite.workflow import SqliteWorkflowLog
from store.sqlite.workflow_totals import SqliteWorkflowTotals
from store.sqlite.writer import LOCK_DEADLINE_S


class SqliteStore(
    SqliteCatalogue,
    SqliteRetrieval,
    SqliteTracking,
    SqliteMetrics,
    SqliteSearchLog,
    SqliteOverlap,
    SqliteProjects,
    SqliteSignals,
    SqliteWorkflowLog,
    SqliteSessionReports,
    SqliteWorkflowTotals,
    SqliteRetention,
    SqliteEvidence,
    SqliteAggregates,
    SqliteOperations,
):
    """A `store.protocol.Store` in the file `path`, which is created and migrated as needed.

    Parameters
    ----------
    path : Path
        Any number of processes may have the same file open.
    clock : Clock, optional
        Where the present time comes from.
    keep_queries : bool
        If False, only the hash and vector of a query are stored, never its text.
    lock_wait_s : float
        How long a write waits for other processes; the writer's own limit by default.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = system_clock,
        keep_queries: bool = True,
        lock_wait_s: float = LOCK_DEADLINE_S,
    ) -> None:
        self._keep_queries = keep_queries
        self._db = Database(path, clock, lock_wait_s=lock_wait_s)
        self._matrix = VectorMatrix()
        self._vocabulary = Vocabulary()
        self._spelling = Spelling(self._vocabulary)
        self._duplicates = NearDuplicates(self._matrix)

    def close(self) -> None:
        """Commit what was accepted, then release every resource. Calling it again does nothing."""
        self._db.close()


def open_store(
    path: Path | str,
    *,
    clock: Clock = system_clock,
    keep_queries: bool = True,
    lock_wait_s: float = LOCK_DEADLINE_S,
) -> SqliteStore:
    """Open the store in `path`, bringing its schema up to this release's.

    Raises
    ------
    SchemaMismatch
        When this release cannot work with the schema of the file.
    StoreUnavailable
        When the file cannot be opened.
    """
    return SqliteStore(Path(path), clock=clock, keep_queries=keep_queries, lock_wait_s=lock_wait_s)
