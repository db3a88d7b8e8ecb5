"""The store's contract: all durable state, behind typed ports.

A backend implements `Store`; nothing above it sees SQL, a driver or a path. What is written here holds for every
backend and is checked by ``tests/contract``.

Durability
    A call that writes returns after its unit was committed and synced. A unit is applied as a whole or not at all.
Threads
    Every method may be called from any thread; reads see all writes that returned before they began.
Errors
    `NotFound`, `Conflict`, `InvalidRecord`, `StoreUnavailable` (`store.errors`); no driver error leaves the store.
Idempotence
    Writes that carry an id may be repeated: the same content again changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from store.contract.aggregates import Aggregates
from store.contract.catalogue import Catalogue
from store.contract.evidence import LearntEvidence
from store.contract.metrics import Metrics
from store.contract.operations import Operations
from store.contract.projects import Projects
from store.contract.retrieval import Retrieval
from store.contract.searches import Overlap, Retention, SearchLog
from store.contract.signals import Signals
from store.contract.tracking import Tracking
from store.contract.workflows import SessionReports, WorkflowLog, WorkflowTotals


class Store(
    Catalogue,
    Retrieval,
    Tracking,
    Metrics,
    SearchLog,
    Overlap,
    Projects,
    Signals,
    WorkflowLog,
    SessionReports,
    WorkflowTotals,
    Retention,
    LearntEvidence,
    Aggregates,
    Operations,
    Protocol,
):
    """All durable state. `close` completes the accepted writes; calling it again does nothing."""

    def close(self) -> None:
        """Commit what was accepted, then release every resource."""
