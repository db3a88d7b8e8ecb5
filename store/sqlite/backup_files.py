"""How backups are named, which of them are kept, and what a killed backup leaves behind."""

from __future__ import annotations

import errno
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from store.errors import StoreUnavailable

KEPT: Final = 7
# Appended to the name of a database while it is restored.
RESTORING: Final = ".restoring"
# A backup is written and then checked for at most an hour, so no running one leaves its file untouched for a day.
LEFTOVER_AGE_S: Final = 86_400.0

_CAUSES: Final = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
}
# 0.1 named backups by time alone; these count as older than every numbered one.
_NAME: Final = re.compile(r"skillrank-(?:(?P<number>\d{6,})-)?\d{8}T\d{12}Z\.db", re.ASCII)
_PARTIAL: Final = re.compile(
    r"\.skillrank-(?:backup-[0-9a-f]{16}|\d{8}T\d{12}Z\.db)\.partial(?:-journal|-wal|-shm)?", re.ASCII
)


def next_backup(folder: Path, moment: datetime) -> Path:
    """Return the path of the next backup in `folder`.

    The number in the name gives the order. The time is for people; the clock may have been wrong.
    """
    number = max((_number(path) for path in folder.glob("skillrank-*.db")), default=0) + 1
    return folder / f"skillrank-{number:06d}-{moment:%Y%m%dT%H%M%S%f}Z.db"


def list_backups(folder: Path) -> list[Path]:
    """Return the database files in `folder`, oldest first; files that the user named come first."""
    found = [path for path in folder.glob("*.db") if path.is_file()]
    return sorted(found, key=_place)


def prune_backups(folder: Path, *, keep: int = KEPT, made: Path | None = None) -> list[Path]:
    """Remove all but the newest `keep` backups that `next_backup` named, and their checksums; return those removed.

    Parameters
    ----------
    folder : Path
    keep : int
    made : Path, optional
        The backup just made, which is never removed.

    Raises
    ------
    StoreUnavailable
        When one cannot be removed.
    """
    found = [path for path in list_backups(folder) if _NAME.fullmatch(path.name)]
    removed = [path for path in found[: max(len(found) - keep, 0)] if path != made]
    with os_errors("an old backup cannot be removed"):
        for old in removed:
            old.unlink(missing_ok=True)  # another process may be pruning too
            checksum_file(old).unlink(missing_ok=True)
    return removed


def checksum_file(backup_path: Path) -> Path:
    """Return the path of a backup's checksum."""
    return backup_path.with_name(backup_path.name + ".sha256")


def partial_file(target: Path) -> Path:
    """Return a new path beside `target` to write a backup to."""
    return target.with_name(f".skillrank-backup-{secrets.token_hex(8)}.partial")


def remove_files(path: Path) -> None:
    """Remove a database and the files that SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the unfinished copies that killed backups left in `folder`; return them."""
    removed = []
    for path in folder.glob(".skillrank-*.partial*"):
        with suppress(OSError):  # gone meanwhile, or not ours to remove
            if _PARTIAL.fullmatch(path.name) and time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
                path.unlink()
                removed.append(path)
    return removed


@contextmanager
def os_errors(what: str) -> Iterator[None]:
    """Turn the operating system's errors into the store's."""
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, "io")
        raise StoreUnavailable(f"{what}: {error.strerror or error} ({error.filename})", cause=cause) from error


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["number"] or 0) if match else -1


def _place(path: Path) -> tuple[int, str]:
    return _number(path), path.name
