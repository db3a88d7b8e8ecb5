"""One SQLite file: its writer, its readers, and a note in the log when something was slow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import apsw

from migrations import MigrationRunner
from store.clock import Clock, format_time
from store.errors import StoreUnavailable
from store.sqlite.connection import open_connection, translated
from store.sqlite.readers import Readers
from store.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
SLOW_MS: Final = 100.0

_log = logging.getLogger(__name__)


class Database:
    """Opens (and migrates) `path`; gives names to what is read and written.

    Parameters
    ----------
    path : Path
        The database file; made, with its folder, when missing.
    clock : Clock
        Where the present time comes from.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        try:
            with translated():
                MigrationRunner(path).run_migrations()
        except OSError as error:
            raise StoreUnavailable(
                f"the data folder {path.parent} cannot be made ({error.strerror}); choose another with --data-dir",
                cause="io",
            ) from error
        self.readers = Readers(path)
        self._writer = Writer(open_connection(path, readonly=False))

    def now(self) -> str:
        """Return the present time in the store's form."""
        return format_time(self.clock())

    def write(self, name: str, unit: Callable[[apsw.Connection], T]) -> T:
        """Run `unit` on the writer; return when it is durable. Waiting for others is not the unit's slowness."""

        def noted(connection: apsw.Connection) -> T:
            with _noting(name):
                return unit(connection)

        return self._writer.run(noted)

    def read(self, name: str, query: Callable[[apsw.Connection], T]) -> T:
        """Run `query` on one snapshot."""
        with _noting(name), self.readers.snapshot() as connection:
            return query(connection)

    def close(self) -> None:
        """Commit what is queued and release the file."""
        # The last connection to close folds the log into the file, and only one that may write can.
        self.readers.close()
        self._writer.close()


@contextmanager
def _noting(name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        took_ms = (time.perf_counter() - started) * 1000
        if took_ms > SLOW_MS:
            _log.warning("slow query %s took %.0f ms", name, took_ms, extra={"query": name, "took_ms": took_ms})
