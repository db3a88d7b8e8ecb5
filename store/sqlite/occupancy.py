"""Tracks who has a database open: a lock file beside it, shared by open stores and held exclusively by a restore.

SQLite's own locks protect transactions, not open files: a process may have a file open without a lock, and write into
it after another file was swapped in. So every open store holds a shared lock on ``<database>.lock``. The operating
system releases the lock of a process that dies; the last holder removes the file.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from store.errors import StoreUnavailable
from store.sqlite.connection import RETRY_AFTER_S

if sys.platform != "win32":
    import fcntl

    _ALONE: Final = fcntl.LOCK_EX
    _SHARED: Final = fcntl.LOCK_SH

    def _try_lock(descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

else:  # there, an open file cannot be replaced at all: the swap itself fails
    _ALONE: Final = 2
    _SHARED: Final = 1

    def _try_lock(_descriptor: int, _kind: int) -> bool:
        return True


_UNWRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
OPEN_WAIT_S: Final = 30.0
_POLL_S: Final = 0.02

_log = logging.getLogger(__name__)


class Occupancy:
    """A shared or exclusive hold on a database, made by `share` and `occupy`."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def certain(self) -> bool:
        """Whether there is a lock: False where no lock file can be made, or the file system has no locks."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release the hold; the last holder removes the lock file. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        # With an exclusive lock, nobody else holds the file that is removed; whoever waits for it looks again.
        if _try_lock(descriptor, _ALONE) and _is_current(descriptor, self._path):
            self._path.unlink(missing_ok=True)
        os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def share(database: Path, *, wait_s: float = OPEN_WAIT_S) -> Occupancy:
    """Hold `database` together with other stores; wait while a restore holds it.

    Raises
    ------
    StoreUnavailable
        When a restore holds it for longer than `wait_s`.
    """
    held = _take(database, _SHARED, wait_s)
    if held is None:
        raise StoreUnavailable(
            f"{database} is being restored; try again when that is done", cause="locked", retry_after_s=RETRY_AFTER_S
        )
    return held


def occupy(database: Path) -> Occupancy:
    """Hold `database` exclusively, immediately or not at all.

    Raises
    ------
    StoreUnavailable
        When any process has it open.
    """
    held = _take(database, _ALONE, wait_s=0.5)
    if held is None:
        raise StoreUnavailable(
            f"{database} is in use; stop `skillrank serve` and whatever else tracks into it, then try again",
            cause="locked",
            retry_after_s=RETRY_AFTER_S,
        )
    return held


def try_alone(path: Path) -> Occupancy | None:
    """Hold ``<path>.lock`` alone, or return None when it is held already, in this process or another."""
    return _take(path, _ALONE, wait_s=0.0)


def _take(database: Path, kind: int, wait_s: float) -> Occupancy | None:
    path = database.with_name(database.name + ".lock")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise StoreUnavailable(
                    f"the lock file {path} cannot be made: {error.strerror}",
                    cause="full" if error.errno in _FULL else "io",
                ) from error
            # Where no file can be made, none can be swapped in either.
            _log.debug("no lock file can be made beside %s", database)
            return Occupancy(path, None)
        try:
            if _try_lock(descriptor, kind):
                # The last holder may have removed the file between our opening and our locking it.
                if _is_current(descriptor, path):
                    return Occupancy(path, descriptor)
                os.close(descriptor)
                continue
        except OSError:  # a file system without locks
            os.close(descriptor)
            _log.warning(
                "%s is on a file system without locks: stop every skillrank process before a restore", database
            )
            return Occupancy(path, None)
        os.close(descriptor)
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_S)


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
