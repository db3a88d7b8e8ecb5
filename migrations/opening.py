"""Opens SQLite files, for reading also where nothing can be written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw
import sqlite_vec

_IMMUTABLE: Final = "mode=ro&immutable=1"


def can_write_beside(path: Path) -> bool:
    """Return whether files can be created in the folder of `path`; they cannot on a read-only file system."""
    return os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def open_file(path: Path, *, readonly: bool = False, create: bool = False, immutable: bool = False) -> apsw.Connection:
    """Open a SQLite file with sqlite-vec loaded.

    A database in WAL mode needs two files beside it, even for reading. Where they cannot be created, the database can
    still be read, but the connection may not see what other processes write later.

    Parameters
    ----------
    path : Path
    readonly : bool
    create : bool
        Create the file if it is missing.
    immutable : bool
        Read only, and create nothing beside the file, which no other process may change meanwhile.
    """
    if immutable:
        connection = _connect(path, _IMMUTABLE)
    elif readonly:
        connection = _open_for_reading(path)
    else:
        connection = _open_for_writing(path, create=create)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    return connection


def _open_for_writing(path: Path, *, create: bool) -> apsw.Connection:
    return apsw.Connection(
        str(path), flags=apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0), statementcachesize=200
    )


def _open_for_reading(path: Path) -> apsw.Connection:
    connection = _connect(path, "mode=ro")
    if can_write_beside(path):
        return connection
    try:
        _read(connection)
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        connection.close()
    else:
        return connection  # another process has created the two files
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        # A killed process left its log here, which holds committed rows; `immutable` would ignore them.
        if sys.platform == "win32":
            raise apsw.ReadOnlyError(f"{log} must be folded in first, and the folder cannot be written")
        connection = _connect(path, "mode=ro", vfs="unix-none")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        return connection
    return _connect(path, _IMMUTABLE)


def _connect(path: Path, options: str, *, vfs: str | None = None) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{options}"
    return apsw.Connection(uri, flags=flags, vfs=vfs, statementcachesize=200)


def _read(connection: apsw.Connection) -> None:
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
