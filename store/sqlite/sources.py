"""Reads other skillrank databases on one snapshot, without writing to them or blocking their users."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import apsw

from migrations.files import SQLITE_MIGRATIONS, read_migrations
from store.errors import SourceUnreadable
from store.sqlite.rows import rows, value

T = TypeVar("T")

_WAIT_MS: Final = 2_000
_DEADLINE_S: Final = 3600.0
_STEPS_BETWEEN_CHECKS: Final = 100_000
_MAGIC: Final = b"SQLite format 3\x00"
# The bytes of a database file that say how it is written and read: 2 and 2 with a write-ahead log.
_VERSIONS: Final = slice(18, 20)
_WITH_LOG: Final = b"\x02\x02"

_HAS_MIGRATIONS: Final = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'"
_APPLIED: Final = "SELECT version, checksum FROM schema_migrations ORDER BY version"


def read_source(path: Path, query: Callable[[apsw.Connection], T]) -> T:
    """Run `query` on one snapshot of the database `path`, whose schema is this release's.

    Even a reader of a database with a write-ahead log leaves two files beside it that it cannot remove. Without such a
    log nobody has the database open: it is then read as an unchanging file, and again with locks if it did change.

    Raises
    ------
    SourceUnreadable
    """
    if _lies_still(path):
        before = _state(path)
        try:
            found = _snapshot(path, query, "mode=ro&immutable=1")
        except SourceUnreadable:
            if _state(path) == before:
                raise
        else:
            if _state(path) == before:
                return found
    return _snapshot(path, query, "mode=ro")


def _lies_still(path: Path) -> bool:
    try:
        # A pipe without a writer would otherwise block here, or later inside SQLite.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise SourceUnreadable(f"{path} is not a regular file", cause="foreign")
            header = opened.read(100)
    except FileNotFoundError as error:
        raise SourceUnreadable(f"there is no file {path}", cause="missing") from error
    except OSError as error:
        raise SourceUnreadable(f"{path} cannot be read ({error.strerror})", cause="unreadable") from error
    if not header.startswith(_MAGIC):
        raise SourceUnreadable(f"{path} is not a database of skillrank", cause="foreign")
    return header[_VERSIONS] == _WITH_LOG and not _log_of(path).exists()


def _state(path: Path) -> tuple[int, int, int, bool]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, _log_of(path).exists()


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _snapshot(path: Path, query: Callable[[apsw.Connection], T], mode: str) -> T:
    until = time.monotonic() + _DEADLINE_S
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        with closing(apsw.Connection(f"file:{quote(str(path.resolve()))}?{mode}", flags=flags)) as connection:
            connection.set_busy_timeout(_WAIT_MS)
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_CHECKS)
            # Code in a schema that others wrote must not run; sorting stays in memory.
            connection.execute("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000")
            connection.execute("BEGIN")
            _require_schema(connection, path)
            return query(connection)
    except (apsw.BusyError, apsw.LockedError) as error:
        raise SourceUnreadable(f"{path} is locked by another program; try again later", cause="locked") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise SourceUnreadable(f"{path} is damaged ({error}); restore a backup of it", cause="corrupt") from error
    except apsw.Error as error:
        raise SourceUnreadable(f"{path} cannot be read ({error})", cause="unreadable") from error


def _require_schema(connection: apsw.Connection, path: Path) -> None:
    if not value(connection, _HAS_MIGRATIONS):
        raise SourceUnreadable(f"{path} is not a database of skillrank", cause="foreign")
    known = [(each.version, each.checksum) for each in read_migrations(SQLITE_MIGRATIONS)]
    applied = [(int(version), str(checksum)) for version, checksum in rows(connection, _APPLIED)]
    if applied == known:
        return
    newest = max((version for version, _ in applied), default=0)
    if newest < len(known):
        remedy = "open it once with this release, by `skillrank migrate up` with its --data-dir"
    elif newest > len(known):
        remedy = "upgrade this skillrank"
    else:
        remedy = "it was migrated with other files; reinstall skillrank there"
    raise SourceUnreadable(f"{path} has schema V{newest}, this release reads V{len(known)}: {remedy}", cause="schema")
