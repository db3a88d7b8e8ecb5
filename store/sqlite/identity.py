"""Checks that the open files are still those at the database's path.

A program that holds a file open goes on writing into it after the file was deleted or replaced. Such writes are lost
when the process ends, so they must not be acknowledged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from store.errors import StoreUnavailable

_BESIDE: Final = ("-wal", "-shm")


class FileIdentity:
    """The identity of a database's files, as they are now.

    Parameters
    ----------
    path : Path
        An existing database.
    """

    def __init__(self, path: Path) -> None:
        # Strings: this runs for every read and commit, and a Path would cost more than the call itself.
        self._file = str(path)
        self._known = {self._file: _identity(self._file)}
        self._written = (self._file, *(self._file + ending for ending in _BESIDE))

    def check(self) -> None:
        """Require that the database at the path is the one that was opened.

        Raises
        ------
        StoreUnavailable
            When it was deleted, moved or replaced.
        """
        if _identity(self._file) != self._known[self._file]:
            raise _gone(self._file)

    def check_written(self) -> None:
        """Require the same of the database and of the files that SQLite keeps beside it; call this after a commit.

        Raises
        ------
        StoreUnavailable
            When one of them was deleted, moved or replaced.
        """
        for path in self._written:
            found, known = _identity(path), self._known.get(path)
            if known is None:
                self._known[path] = found  # not there before the first commit
            elif found != known:
                raise _gone(path)


def _gone(path: str) -> StoreUnavailable:
    what = "replaced by another file" if os.path.lexists(path) else "deleted or moved"
    return StoreUnavailable(
        f"{path} was {what} while it was in use; nothing more is read or written. Stop skillrank, put the right file "
        "back (`skillrank restore`), and start it again",
        cause="replaced",
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino
