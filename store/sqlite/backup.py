"""Makes checked backups, and restores them by swapping in a checked copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import closing, suppress
from itertools import chain, count
from pathlib import Path
from typing import Final

import apsw

from migrations import MigrationRunner, SchemaMismatch
from migrations.opening import open_file
from store.contract.operations import BackupReport, RestoreReport
from store.errors import InvalidRecord, StoreUnavailable
from store.sqlite.backup_files import RESTORING, checksum_file, os_errors, partial_file, remove_files, remove_leftovers
from store.sqlite.connection import translated
from store.sqlite.occupancy import occupy
from store.sqlite.rows import rows, value

_PAGES_A_STEP: Final = 2000
_COUNTS: Final = """
SELECT (SELECT max(version) FROM schema_migrations), (SELECT count(*) FROM skill_invocation),
       (SELECT count(*) FROM skill_outcome)
"""


def backup(source: apsw.Connection, target: Path) -> BackupReport:
    """Copy the snapshot of `source`, check the copy, and only then make it available as `target`.

    Parameters
    ----------
    source : apsw.Connection
        Inside a read transaction, so that writers neither wait nor make the copy start again.
    target : Path
        Must not exist. ``<target>.sha256`` is written beside it, in the form ``sha256sum -c`` reads.

    Raises
    ------
    InvalidRecord
        When `target` exists.
    StoreUnavailable
        When the copy cannot be written or fails its check; nothing is left behind then.
    """
    if os.path.lexists(target):
        raise _taken(target)
    started = time.perf_counter()
    value(source, "SELECT count(*) FROM sqlite_schema")  # the snapshot begins with the first read
    partial = partial_file(target)
    with translated(), os_errors("the backup cannot be written"):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        try:
            _copy(source, partial)
            version, invocations, outcomes = _check(partial)
            digest, size = _sha256(partial), partial.stat().st_size
            _give_name(partial, target)
            try:
                _write_checksum(target, digest)
            except OSError:
                target.unlink(missing_ok=True)
                raise
            _sync(target.parent)
        finally:
            remove_files(partial)
    return BackupReport(
        path=str(target),
        sha256=digest,
        size_bytes=size,
        schema_version=version,
        total_invocations=invocations,
        total_outcomes=outcomes,
        seconds=round(time.perf_counter() - started, 3),
    )


def restore(database: Path, source: Path, *, stamp: str) -> RestoreReport:
    """Replace `database` by a copy of the backup `source`; the old database is kept under another name.

    The copy is made and checked beside the database and then swapped in by one rename: whenever this is interrupted,
    the database is either the old one or the new one. The old ``-wal`` and ``-shm`` are gone afterwards.

    Raises
    ------
    InvalidRecord
        When `source` is missing, does not match its checksum, or fails its check.
    SchemaMismatch
        When the schema of `source` is newer than this release.
    StoreUnavailable
        When any process has the database open, or the disk cannot be written.
    """
    if not source.is_file():
        raise InvalidRecord(f"there is no backup {source}", field="source")
    verified = _matches_checksum(source)
    copy = database.with_name(database.name + RESTORING)
    kept: Path | None = None
    with translated(), os_errors("the backup cannot be restored"):
        database.parent.mkdir(parents=True, exist_ok=True)
        with occupy(database):
            remove_files(copy)
            try:
                version, invocations, outcomes = _copy_of_backup(source, copy)
                if database.exists():
                    kept = _free_name(database.with_name(f"{database.name}.before-restore-{stamp}"))
                    _set_aside(database, kept)
                copy.replace(database)
                _sync(database.parent)
            finally:
                remove_files(copy)
    return RestoreReport(
        database=str(database),
        source=str(source),
        kept=None if kept is None else str(kept),
        checksum_verified=verified,
        schema_version=version,
        total_invocations=invocations,
        total_outcomes=outcomes,
    )


def integrity_problems(connection: apsw.Connection) -> list[str]:
    """Return what SQLite finds wrong with the file and with references, at most five of each."""
    found = [f"integrity_check: {row[0]}" for row in rows(connection, "PRAGMA integrity_check(5)") if row[0] != "ok"]
    broken = rows(connection, "PRAGMA foreign_key_check")[:5]
    return found + [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}" for row in broken]


def _copy_of_backup(source: Path, copy: Path) -> tuple[int, int, int]:
    try:
        with closing(_open_quietly(source)) as opened:
            _copy(opened, copy)
        found = _check(copy)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise InvalidRecord(
            f"{source} is damaged or not a database ({error}); use another backup", field="source"
        ) from (error)
    except StoreUnavailable as error:
        if error.cause != "corrupt":
            raise
        raise InvalidRecord(f"{source}: {error}", field="source") from error
    return found


def _copy(source: apsw.Connection, target: Path) -> None:
    target.unlink(missing_ok=True)
    with closing(apsw.Connection(str(target))) as copy:
        with copy.backup("main", source, "main") as running:
            while not running.done:
                running.step(_PAGES_A_STEP)
        # One file, without others beside it, whatever journal mode the original has.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    _sync(target)


def _check(path: Path) -> tuple[int, int, int]:
    """Check a copy; return its schema version and its numbers of uses and outcomes."""
    MigrationRunner(path).current_version()  # refuses a newer schema and files of other programs
    with closing(_open_quietly(path)) as opened:
        problems = integrity_problems(opened)
        if problems:
            raise StoreUnavailable(f"the copy failed its check: {problems[0]}", cause="corrupt")
        try:
            version, invocations, outcomes = rows(opened, _COUNTS)[0]
        except apsw.SQLError as error:
            raise SchemaMismatch(f"{path.name} does not hold skillrank's tables") from error
    return version, invocations, outcomes


def _open_quietly(path: Path) -> apsw.Connection:
    # immutable: reading a backup must leave no -wal and -shm beside it, unless it has a log that must be read.
    log = path.with_name(path.name + "-wal")
    return open_file(path, readonly=True, immutable=not log.exists())


def _free_name(path: Path) -> Path:
    """Return `path` if it is free, else the first free path with a number appended."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not os.path.lexists(each))


def _set_aside(database: Path, kept: Path) -> None:
    """Give the database a second name, with its log folded in, and remove the files beside it."""
    wal, shm = (database.with_name(database.name + ending) for ending in ("-wal", "-shm"))
    # A database that cannot be read is kept as it is: the file and its log.
    with suppress(apsw.CorruptError, apsw.NotADBError, apsw.IOError), closing(apsw.Connection(str(database))) as old:
        # Leaving WAL folds the log into the file, and fails while any program has it open.
        old.execute("PRAGMA journal_mode = DELETE").fetchall()
    try:
        os.link(database, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(database, kept)
    if wal.exists():
        wal.replace(kept.with_name(kept.name + "-wal"))
    shm.unlink(missing_ok=True)


def _give_name(partial: Path, target: Path) -> None:
    """Make `partial` available as `target`, which exactly one of several backups can do."""
    try:
        os.link(partial, target)
    except FileExistsError as error:
        raise _taken(target) from error
    except OSError:  # a file system without hard links
        try:
            target.touch(exist_ok=False)
        except FileExistsError as error:
            raise _taken(target) from error
        partial.replace(target)


def _taken(target: Path) -> InvalidRecord:
    return InvalidRecord(f"{target} exists already; a backup never overwrites a file", field="target")


def _write_checksum(target: Path, digest: str) -> None:
    sums = checksum_file(target)
    try:
        sums.write_text(f"{digest}  {target.name}\n", encoding="utf-8")
        _sync(sums)
    except OSError:
        sums.unlink(missing_ok=True)
        raise


def _matches_checksum(source: Path) -> bool:
    sums = checksum_file(source)
    if not sums.is_file():
        return False
    told = sums.read_text(encoding="utf-8", errors="replace").split()
    if not told or told[0] != _sha256(source):
        raise InvalidRecord(
            f"{source} is not the file that {sums.name} describes: it was changed or damaged; use another backup",
            field="source",
        )
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
