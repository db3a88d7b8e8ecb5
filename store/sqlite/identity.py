"""Whether the files that are open are still those at the database's path.

A program that holds a file open goes on writing into it after the file was deleted or another took its place. What is
written then is lost with the process, so it must not be acknowledged.
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
        self._path = path
        self._file = _identity(path)
        self._beside: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Do nothing while the database at the path is the one that was opened.

        Raises
        ------
        StoreUnavailable
            When it was deleted, moved or replaced.
        """
        self._require(self._path, self._file)

    def check_written(self) -> None:
        """Do the same for the database and the files that SQLite keeps beside it; call it after a commit.

        Raises
        ------
        StoreUnavailable
            When one of them was deleted, moved or replaced.
        """
        self.check()
        for ending in _BESIDE:
            path = self._path.with_name(self._path.name + ending)
            known = self._beside.get(ending)
            if known is not None:
                self._require(path, known)
            elif (found := _identity(path)) is not None:
                self._beside[ending] = found

    def _require(self, path: Path, known: tuple[int, int] | None) -> None:
        found = _identity(path)
        if found != known:
            what = "deleted or moved" if found is None else "replaced by another file"
            raise StoreUnavailable(
                f"{path} was {what} while it was in use; nothing more is read or written. Stop skillrank, put the "
                "right file back (`skillrank restore`), and start it again",
                cause="replaced",
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  called for every read: a Path costs more than the call
    except OSError:
        return None
    return found.st_dev, found.st_ino
