"""Folds the write-ahead log into the database file beside the writer, so that no caller waits for that."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

import apsw

from store.sqlite.connection import open_connection

# In pages of the log. Work aside begins at the first; from the second on the writer helps, since the log begins anew
# only when every page of it has been folded in, which may never be so while it grows.
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
        The connection that writes; from now on its commits fold nothing in by themselves.
    """

    def __init__(self, path: Path, writing: apsw.Connection) -> None:
        self._connection = open_connection(path, readonly=False)
        self._grown = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="skillrank-checkpointer", daemon=True)
        self._thread.start()
        writing.set_wal_hook(self._look)

    def close(self) -> None:
        """Stop; whoever closes the file last folds in the rest."""
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
        pass  # somebody else is at it
    except apsw.Error as error:
        # Nothing is lost: what was committed stands in the log, and the next commit tries again.
        _log.warning("the write-ahead log cannot be folded into the database (%s); it keeps growing", error)
