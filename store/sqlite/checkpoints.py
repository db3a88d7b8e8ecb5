"""Folds the write-ahead log into the database file on a thread of its own, so that no caller waits for it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

import apsw

from store.sqlite.connection import open_connection

# In pages of the log. The thread starts at the first; beyond the second the writer helps, since the log starts over
# only once every page was folded in, which may never happen while it grows.
BEGIN_PAGES: Final = 4_000
HELP_PAGES: Final = 16_000

_log = logging.getLogger(__name__)


class Checkpointer:
    """Watches the log that `writing` appends to.

    Parameters
    ----------
    path : Path
        The database file.
    writing : apsw.Connection
        The connection that writes; its commits no longer run checkpoints themselves.
    """

    def __init__(self, path: Path, writing: apsw.Connection) -> None:
        self._connection = open_connection(path, readonly=False)
        self._grown = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="skillrank-checkpointer", daemon=True)
        self._thread.start()
        writing.set_wal_hook(self._look)

    def close(self) -> None:
        """Stop; the last connection to close folds in the rest."""
        self._closing = True
        self._grown.set()
        self._thread.join()

    def _look(self, writing: apsw.Connection, _database: str, pages: int) -> int:
        if pages >= BEGIN_PAGES:
            self._grown.set()
        if pages >= HELP_PAGES:
            _fold(writing)
        return apsw.SQLITE_OK

    def _work(self) -> None:
        while not self._closing:
            self._grown.wait()
            self._grown.clear()
            if not self._closing:
                _fold(self._connection)
        self._connection.close()


def _fold(connection: apsw.Connection) -> None:
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        pass  # another connection is doing it
    except apsw.Error as error:
        # Nothing is lost: what was committed is in the log, and the next commit tries again.
        _log.warning("the write-ahead log cannot be folded into the database (%s); it keeps growing", error)
