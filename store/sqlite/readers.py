"""A bounded pool of read-only connections; each read sees one snapshot and has a deadline."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import StoreUnavailable
from store.sqlite.connection import RETRY_AFTER_S, open_connection, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

POOL_SIZE: Final = 4
READ_DEADLINE_S: Final = 30.0
# Often enough to stop within a millisecond or so, rarely enough to cost nothing.
_STEPS_BETWEEN_CHECKS: Final = 20_000


class Readers:
    """Lends read-only connections to one file.

    Parameters
    ----------
    path : Path
        An existing database in WAL mode.
    pooled : bool
        If False, each read opens a new connection, which sees everything written before.
    """

    def __init__(self, path: Path, *, pooled: bool = True) -> None:
        self._path = path
        self._pooled = pooled
        self._idle: queue.LifoQueue[apsw.Connection | None] = queue.LifoQueue()
        for _ in range(POOL_SIZE):
            self._idle.put(None)  # opened when first needed
        self._closed = threading.Event()

    @contextmanager
    def snapshot(self, *, deadline_s: float = READ_DEADLINE_S) -> Iterator[apsw.Connection]:
        """Lend a connection inside a read transaction: every statement sees the same state.

        Raises
        ------
        StoreUnavailable
            When no connection is free, or the read is not done, within `deadline_s` seconds; when closed.
        """
        until = time.monotonic() + deadline_s
        connection = self._take(deadline_s)
        healthy = False
        try:
            self._refuse_when_closed()
            if connection is None:
                connection = open_connection(self._path, readonly=True)
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_CHECKS)
            with translated():
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            healthy = True
        finally:
            if connection is not None:
                connection.set_progress_handler(None)
                # A statement that was cut short may leave cursors behind; a fresh connection is cheap.
                if not healthy or not self._pooled or self._closed.is_set():
                    connection.close(True)
                    connection = None
            self._idle.put(connection)

    def close(self) -> None:
        """Close idle connections; a lent one is closed when it comes back."""
        self._closed.set()
        # All are taken out before any goes back, or the last one put back would be the next one taken.
        idle = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for connection in idle:
            if connection is not None:
                connection.close()
            self._idle.put(None)

    def _take(self, deadline_s: float) -> apsw.Connection | None:
        self._refuse_when_closed()
        try:
            return self._idle.get(timeout=deadline_s)
        except queue.Empty as error:
            raise StoreUnavailable(
                "every database connection is busy; try again in a moment",
                cause="deadline",
                retry_after_s=RETRY_AFTER_S,
            ) from error

    def _refuse_when_closed(self) -> None:
        if self._closed.is_set():
            raise StoreUnavailable("the store has been closed", cause="closed")
