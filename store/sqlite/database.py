"""One SQLite file: its writer, its readers, and a note in the log when something was slow."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw

from migrations import MigrationRunner
from store.clock import Clock, format_time
from store.contract.operations import SlowQuery
from store.errors import StoreUnavailable
from store.sqlite.checkpoints import Checkpointer
from store.sqlite.connection import open_connection, translated
from store.sqlite.occupancy import share
from store.sqlite.readers import READ_DEADLINE_S, Readers
from store.sqlite.writer import Pending, Writer

T = TypeVar("T")
SLOW_MS: Final = 100.0
THOROUGH_DEADLINE_S: Final = 3600.0  # for what reads everything on request
_THOROUGH: Final = frozenset({"aggregate", "backup", "check", "first_difference", "rebuild"})

_log = logging.getLogger(__name__)


class Database:
    """Opens (and migrates) `path`; gives names to what is read and written.

    Parameters
    ----------
    path : Path
        The database file; made, with its folder, when missing.
    clock : Clock
        Where the present time comes from.
    lock_wait_s : float, optional
        How long a write waits for other processes; `store.sqlite.writer.LOCK_DEADLINE_S` by default.
    """

    def __init__(self, path: Path, clock: Clock, *, lock_wait_s: float | None = None) -> None:
        self.path = path
        self.clock = clock
        self.slow = SlowQueries()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._occupancy = share(path)
        except OSError as error:
            raise StoreUnavailable(
                f"the data folder {path.parent} cannot be made ({error.strerror}); choose another with --data-dir",
                cause="io",
            ) from error
        try:
            with translated():
                MigrationRunner(path).run_migrations()
            self.readers = Readers(path)
            writing = open_connection(path, readonly=False)
            self._checkpointer = Checkpointer(path, writing)
            self._writer = Writer(writing, lock_wait_s=lock_wait_s)
        except BaseException:
            self._occupancy.release()
            raise

    def now(self) -> str:
        """Return the present time in the store's form."""
        return format_time(self.clock())

    def write(self, name: str, unit: Callable[[apsw.Connection], T]) -> T:
        """Run `unit` on the writer; return when it is durable. Waiting for others is not the unit's slowness."""
        return self._writer.run(self._noted(name, unit))

    def submit(self, name: str, unit: Callable[[apsw.Connection], T]) -> Pending[T]:
        """Queue `unit`; what is returned is done once the unit is durable."""
        return self._writer.submit(self._noted(name, unit))

    def read(self, name: str, query: Callable[[apsw.Connection], T], *, deadline_s: float = READ_DEADLINE_S) -> T:
        """Run `query` on one snapshot."""
        started = time.perf_counter()
        try:
            with self.readers.snapshot(deadline_s=deadline_s) as connection:
                return query(connection)
        finally:
            self._note(name, started)

    def close(self) -> None:
        """Commit what is queued and release the file."""
        # The last connection to close folds the log into the file, and only one that may write can.
        self.readers.close()
        self._checkpointer.close()
        self._writer.close()
        self._occupancy.release()

    def _noted(self, name: str, unit: Callable[[apsw.Connection], T]) -> Callable[[apsw.Connection], T]:
        def noted(connection: apsw.Connection) -> T:
            started = time.perf_counter()
            try:
                return unit(connection)
            finally:
                self._note(name, started)

        return noted

    def _note(self, name: str, started: float) -> None:
        took_ms = (time.perf_counter() - started) * 1000
        # What is meant to read everything is not slow for doing so.
        if took_ms > SLOW_MS and name not in _THOROUGH:
            self.slow.add(name, took_ms, self.now())
            _log.warning("slow query %s took %.0f ms", name, took_ms, extra={"query": name, "took_ms": took_ms})


class SlowQueries:
    """The queries of this process that took longer than `SLOW_MS`, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, SlowQuery] = {}

    def add(self, name: str, took_ms: float, now: str) -> None:
        """Count one."""
        with self._lock:
            known = self._found.get(name)
            count, worst_ms = (known.count, known.worst_ms) if known else (0, 0.0)
            self._found[name] = SlowQuery(
                name=name, count=count + 1, worst_ms=round(max(worst_ms, took_ms), 1), last_at=now
            )

    def found(self) -> list[SlowQuery]:
        """Return them, the slowest first."""
        with self._lock:
            return sorted(self._found.values(), key=lambda each: -each.worst_ms)
