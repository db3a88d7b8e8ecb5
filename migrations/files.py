"""Migration files: their names, order and checksums."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from migrations.errors import SchemaMismatch

SQLITE_MIGRATIONS = Path(__file__).parent / "sqlite"

_FORWARD = re.compile(r"V(?P<version>[1-9]\d*)__(?P<description>[a-z0-9]+(?:_[a-z0-9]+)*)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One schema version, as read from its two files.

    Attributes
    ----------
    version : int
        1 or more; versions have no gaps.
    description : str
        The words of the file name.
    forward_sql, rollback_sql : str
    checksum : str
        sha256 of the forward file's bytes, in hexadecimal.
    """

    version: int
    description: str
    forward_sql: str
    rollback_sql: str
    checksum: str


def read_migrations(folder: Path) -> list[Migration]:
    """Read every migration of `folder`, in version order.

    Raises
    ------
    SchemaMismatch
        When `folder` is missing or holds no migration, a file name is not of the form ``V<n>__<words>.sql``, a
        version occurs twice or is left out, or a rollback file is missing.
    """
    if not folder.is_dir():
        raise SchemaMismatch(f"there is no folder {folder} of migrations")
    migrations = [_read(path) for path in folder.glob("*.sql") if not path.name.endswith(".rollback.sql")]
    if not migrations:
        raise SchemaMismatch(f"{folder} holds no migration: their files are named like V1__initial_schema.sql")
    migrations.sort(key=lambda migration: migration.version)
    for expected, migration in enumerate(migrations, start=1):
        if migration.version != expected:
            raise SchemaMismatch(
                f"{folder} should hold migration V{expected} next but holds V{migration.version}: "
                "versions are consecutive and each has one file; reinstall skillrank",
                version=expected,
            )
    return migrations


def _read(path: Path) -> Migration:
    match = _FORWARD.fullmatch(path.name)
    if match is None:
        raise SchemaMismatch(f"{path.name} is not a migration's file name: it must look like V3__add_words.sql")
    version = int(match["version"])
    rollback = path.with_suffix(".rollback.sql")
    if not rollback.is_file():
        raise SchemaMismatch(f"V{version} has no {rollback.name}; reinstall skillrank", version=version)
    raw = path.read_bytes()
    return Migration(
        version=version,
        description=match["description"].replace("_", " "),
        forward_sql=raw.decode("utf-8"),
        rollback_sql=rollback.read_text(encoding="utf-8"),
        checksum=hashlib.sha256(raw).hexdigest(),
    )
