"""One SQLite file: its writer, its readers, and the log of slow queries and lock waits."""

from __future__ import annotations

import errno
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import apsw

from migrations import MigrationRunner
from migrations.opening import can_write_beside
from store.clock import Clock, format_time
from store.contract.operations import LockWaits, SlowQuery
from store.errors import StoreUnavailable
from store.sqlite.backup_files import RESTORING, remove_files
from store.sqlite.checkpoints import Checkpointer
from store.sqlite.connection import RETRY_AFTER_S, open_connection, translated
from store.sqlite.identity import FileIdentity
from store.sqlite.occupancy import share
from store.sqlite.readers import READ_DEADLINE_S, Readers
from store.sqlite.renewal import renew
from store.sqlite.writer import LOCK_DEADLINE_S, NOTED_WAIT_S, PATIENCE_S, Pending, Writer

T = TypeVar("T")
SLOW_MS: Final = 100.0
LEAST_FREE_BYTES: Final = 16_000_000
THOROUGH_DEADLINE_S: Final = 3600.0  # for what reads everything on request
_THOROUGH: Final = frozenset({"aggregate", "backup", "check", "first_difference", "rebuild"})

_log = logging.getLogger(__name__)


class Database:
    """Opens and migrates `path`, and runs named reads and writes on it.

    Parameters
    ----------
    path : Path
        The database file; made, with its folder, when missing.
    clock : Clock
        Where the present time comes from.
    lock_wait_s : float
        How long a write waits for other processes.
    """

    def __init__(self, path: Path, clock: Clock, *, lock_wait_s: float = LOCK_DEADLINE_S) -> None:
        self.path = path
        self.clock = clock
        self.slow = SlowQueries()
        self.lock_waits = LockWaiting()
        with _folder_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        # A read-only folder can still be searched, checked and backed up elsewhere.
        self.read_only = path.exists() and not can_write_beside(path)
        self._occupancy = share(path)
        try:
            if self._occupancy.certain and not self.read_only:
                # No restore is running, so this is what a killed one left: a whole database.
                with suppress(OSError):
                    remove_files(path.with_name(path.name + RESTORING))
            with translated():
                self._bring_up_to_date()
            self.identity = FileIdentity(path)
            self.readers = Readers(path, pooled=not self.read_only)
            self._writer = None if self.read_only else self._start_writing(lock_wait_s)
        except BaseException:
            self._occupancy.release()
            raise

    def now(self) -> str:
        """Return the present time in the store's form."""
        return format_time(self.clock())

    def write(self, name: str, unit: Callable[[apsw.Connection], T]) -> T:
        """Run `unit` on the writer; return when it is durable. Waiting for the writer does not count as slow."""
        return self.submit(name, unit).result()

    def submit(self, name: str, unit: Callable[[apsw.Connection], T]) -> Pending[T]:
        """Queue `unit`; what is returned is done once the unit is durable."""
        if self._writer is None:
            raise self._cannot_write()
        return self._writer.submit(self._noted(name, unit))

    def offer(self, name: str, unit: Callable[[apsw.Connection], T]) -> Callable[[], T]:
        """Queue `unit`; return a function that waits for it, but not for a lock that another program holds.

        For writes that a read leaves behind. Because of a lock, the function raises `StoreUnavailable`; the unit may
        still run later.
        """
        try:
            self._refuse_when_locked()
            pending = self.submit(name, unit)
        except StoreUnavailable as error:
            return partial(_raise, error)

        def wait() -> T:
            while not pending.wait(PATIENCE_S):
                self._refuse_when_locked()
            return pending.result()

        return wait

    def read(self, name: str, query: Callable[[apsw.Connection], T], *, deadline_s: float = READ_DEADLINE_S) -> T:
        """Run `query` on one snapshot."""
        self.identity.check()
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
        if self._writer is not None:
            self._checkpointer.close()
            self._writer.close()
        self._occupancy.release()

    def problems(self) -> list[str]:
        """Return in words what prevents this process from reading or writing."""
        try:
            self.identity.check()
        except StoreUnavailable as error:
            return [str(error)]
        if self._writer is None:
            return [str(self._cannot_write())]
        found = []
        if self._writer.waiting_s > PATIENCE_S:
            found.append(f"another program has held the write lock for {self._writer.waiting_s:.0f} seconds")
        if self._writer.trouble is not None:
            found.append(f"the last write failed: {self._writer.trouble}")
        free = shutil.disk_usage(self.path.parent).free
        if free < LEAST_FREE_BYTES:
            found.append(
                f"the disk of {self.path.parent} is full: {free / 1e6:.1f} MB are left; free some space, or writes fail"
            )
        return found

    def waited(self) -> LockWaits:
        """Return how often and how long this process waited for the write lock."""
        return self.lock_waits.found(0.0 if self._writer is None else self._writer.waiting_s)

    def _bring_up_to_date(self) -> None:
        runner = MigrationRunner(self.path)
        if not self.read_only:
            runner.run_migrations()
        elif pending := [each.version for each in runner.status() if each.applied_at is None]:
            raise StoreUnavailable(
                f"{self.path} needs schema V{pending[-1]}, and its folder cannot be written; copy it to a folder that "
                "can be, and open it there",
                cause="read_only",
            )

    def _start_writing(self, lock_wait_s: float) -> Writer:
        writing = open_connection(self.path, readonly=False)
        with translated(), suppress(apsw.BusyError):  # then the next process to open it does this
            renew(writing)
        self._checkpointer = Checkpointer(self.path, writing)
        return Writer(writing, check=self.identity.check_written, noted=self._note_wait, lock_wait_s=lock_wait_s)

    def _cannot_write(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.path.parent} cannot be written, so nothing is recorded; check its permissions, or whether its file "
            "system is mounted read-only",
            cause="read_only",
        )

    def _refuse_when_locked(self) -> None:
        if self._writer is not None and self._writer.waiting_s > PATIENCE_S:
            raise StoreUnavailable(
                "another program holds the database's write lock; try again in a moment",
                cause="locked",
                retry_after_s=RETRY_AFTER_S,
            )

    def _note_wait(self, waited_s: float) -> None:
        self.lock_waits.add(waited_s, self.now())
        # Processes that write at once wait for each other all the time; that is not worth a warning.
        level = logging.WARNING if waited_s > PATIENCE_S else logging.INFO
        waited_ms = round(waited_s * 1000)
        _log.log(level, "waited %d ms for another program's write lock", waited_ms, extra={"waited_ms": waited_ms})

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
        # What is meant to read everything may take its time.
        if took_ms > SLOW_MS and name not in _THOROUGH:
            self.slow.add(name, took_ms, self.now())
            _log.warning("slow query %s took %.0f ms", name, took_ms, extra={"query": name, "took_ms": took_ms})


def _raise(error: StoreUnavailable) -> NoReturn:
    raise error


@contextmanager
def _folder_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"the data folder {path.parent} cannot be made ({error.strerror}); choose another with --data-dir",
            cause="full" if error.errno == errno.ENOSPC else "io",
        ) from error


class LockWaiting:
    """The waits of this process for the write lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = LockWaits(count=0, longest_ms=0.0, last_at=None)

    def add(self, waited_s: float, now: str) -> None:
        """Count one that has ended."""
        with self._lock:
            self._found = LockWaits(
                count=self._found.count + 1,
                longest_ms=round(max(self._found.longest_ms, waited_s * 1000), 1),
                last_at=now,
            )

    def found(self, waiting_s: float) -> LockWaits:
        """Return them, including the one that has lasted for `waiting_s` seconds so far."""
        with self._lock:
            found = self._found
        if waiting_s <= NOTED_WAIT_S:
            return found
        longest_ms = round(max(found.longest_ms, waiting_s * 1000), 1)
        return LockWaits(count=found.count + 1, longest_ms=longest_ms, last_at=found.last_at)


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
