"""Counting uses over projects and databases: one run at a time, and what could not be read is told, not raised."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from store.contract.aggregates import SourceRun
from store.errors import InvalidRecord, SourceUnreadable
from store.location import DATABASE_NAME
from store.protocol import Store

MAX_SOURCES: Final = 100

_log = structlog.get_logger(__name__)


class SkippedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A database that was left out, and why."""

    location: str
    cause: str
    reason: str


class AggregateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run counted, by database, and which databases it left out. Rows are those that were new."""

    sources: list[SourceRun]
    skipped: list[SkippedSource]
    rows_read: int
    days_touched: int
    seconds: float


class Aggregation:
    """Runs the aggregator of one store.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    def run(self, sources: Sequence[Path] = ()) -> AggregateReport:
        """Count what these databases have that is not counted yet; without any, what this store itself has.

        Each is a file, or a data folder that holds one. One that is found at two paths is counted once.
        """
        started = time.perf_counter()
        runs: list[SourceRun] = []
        skipped: list[SkippedSource] = []
        with self._lock:
            if not sources:
                runs.append(self._store.aggregate())
            for source in sources:
                path = _database_of(source)
                try:
                    runs.append(self._read(path, runs))
                except SourceUnreadable as error:
                    skipped.append(SkippedSource(location=str(path), cause=error.cause, reason=str(error)))
                except InvalidRecord as error:  # another program wrote what this one never would
                    skipped.append(SkippedSource(location=str(path), cause="corrupt", reason=str(error)))
        return AggregateReport(
            sources=runs,
            skipped=skipped,
            rows_read=sum(run.invocations + run.outcomes + run.searches for run in runs),
            days_touched=sum(run.days for run in runs),
            seconds=round(time.perf_counter() - started, 3),
        )

    def refresh(self) -> AggregateReport:
        """Count anew what this store and every other database that was counted before have by now."""
        others = [Path(source.location) for source in self._store.metrics_sources() if not source.own]
        own = self.run()
        if not others:
            return own
        rest = self.run(others)
        for each in rest.skipped:
            _log.warning("a database could not be counted", location=each.location, reason=each.reason)
        return AggregateReport(
            sources=own.sources + rest.sources,
            skipped=rest.skipped,
            rows_read=own.rows_read + rest.rows_read,
            days_touched=own.days_touched + rest.days_touched,
            seconds=round(own.seconds + rest.seconds, 3),
        )

    def _read(self, path: Path, runs: Sequence[SourceRun]) -> SourceRun:
        store_id = self._store.identify_source(path)
        for run in runs:
            if run.store_id == store_id:
                raise SourceUnreadable(
                    f"{path} is the same database as {run.location}, or a copy of it, and is counted once",
                    cause="duplicate",
                )
        return self._store.aggregate(None if store_id == self._store.store_id() else path)


def _database_of(source: Path) -> Path:
    return source / DATABASE_NAME if source.is_dir() else source
