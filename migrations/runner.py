"""Migrates a SQLite database to a schema version, in one transaction for each version.

SQLite's own write lock is the lock: every version is looked up, applied and recorded inside one
``BEGIN IMMEDIATE`` transaction, so any number of processes may open a new database at once. The runner opens its
own connection through apsw, because ``MigrationRunner(db_path)`` must work without the store above it.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import apsw

from migrations.errors import MigrationFailed, SchemaMismatch
from migrations.files import SQLITE_MIGRATIONS, read_migrations
from migrations.opening import open_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK_WAIT_S = 60.0

_CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    description TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    checksum TEXT NOT NULL,
    rollback_sql TEXT NOT NULL,
    took_ms REAL NOT NULL
) STRICT
"""
_APPLIED = "SELECT version, description, applied_at, checksum, rollback_sql FROM schema_migrations ORDER BY version"
_RECORD = """
INSERT INTO schema_migrations(version, description, applied_at, checksum, rollback_sql, took_ms)
VALUES (?, ?, ?, ?, ?, ?)
"""
_FORGET = "DELETE FROM schema_migrations WHERE version = ?"
# The tables made at run time hold one generation's vectors; their dimension is the model's, not the schema's.
_SCHEMA = r"""
SELECT type, name, sql FROM sqlite_schema
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'skill\_vector%' ESCAPE '\'
ORDER BY type, name
"""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The state of one version in one database.

    Attributes
    ----------
    version : int
    description : str
    applied_at : str or None
        UTC time, None while pending.
    """

    version: int
    description: str
    applied_at: str | None


@dataclass(frozen=True, slots=True)
class _Applied:
    version: int
    description: str
    applied_at: str
    checksum: str
    rollback_sql: str


class MigrationRunner:
    """Applies and rolls back the migrations of one SQLite database file.

    Parameters
    ----------
    db_path : Path or str
        Created, with its folder, when it does not exist.
    migrations_dir : Path, optional
        The folder of ``V<n>__<words>.sql`` files; by default that of this release.
    """

    def __init__(self, db_path: Path | str, migrations_dir: Path | str | None = None) -> None:
        self.db_path = Path(db_path)
        self.migrations = read_migrations(Path(migrations_dir) if migrations_dir else SQLITE_MIGRATIONS)

    def run_migrations(self, target: int | None = None) -> list[int]:
        """Apply every pending version up to `target`, in order; return the versions this call applied.

        Safe to call from many processes at once: each version is applied by exactly one of them, and all return
        with the database at `target`.

        Raises
        ------
        SchemaMismatch
            When the database is newer than this release, an applied file was changed, a version is missing
            between applied ones, tables exist that no record explains, or there is no version `target`. The file
            is left as it was.
        MigrationFailed
            When a version's SQL fails; the versions before it stay applied.
        """
        if target is not None and not 0 <= target <= len(self.migrations):
            raise SchemaMismatch(
                f"there is no schema V{target}: this release knows V1 to V{len(self.migrations)}", version=target
            )
        self.db_path.parent.mkdir(parents=True, exist_ok=True)
        applied_now: list[int] = []
        with closing(self._connect()) as connection:
            # Checked before anything is changed, so that another program's file stays as it was.
            applied = self._checked(connection)
            _enter_wal(connection)
            if not self.migrations[len(applied) : target]:
                return []  # without the write lock, which another process may hold for long
            while (version := self._apply_next(connection, target)) is not None:
                applied_now.append(version)
        return applied_now

    def rollback_migration(self, version: int) -> Path:
        """Roll back `version`, the newest applied one, after an online backup; return the backup's path.

        The backup contains everything that was committed: no write comes between it and the rollback.

        Raises
        ------
        SchemaMismatch
            When `version` is not the newest applied version; no backup is made then.
        MigrationFailed
            When the recorded rollback SQL fails; nothing is changed then.
        """
        newest = self.current_version()
        if version != newest or newest == 0:
            raise SchemaMismatch(
                f"only the newest applied version can be rolled back: that is V{newest}, not V{version}",
                version=version,
            )
        with closing(self._connect()) as connection, _immediate(connection):
            applied = self._checked(connection)
            if len(applied) != version:
                raise SchemaMismatch(
                    f"another process rolled back V{version} in the meantime; see `skillrank migrate status`",
                    version=version,
                )
            backup = self._backup(version)
            _run(connection, applied[-1].rollback_sql, version=version, direction="down")
            connection.execute(_FORGET, (version,))
        return backup

    def status(self) -> list[MigrationStatus]:
        """Return for each version of this release whether `db_path` has it; changes nothing."""
        applied = {row.version: row.applied_at for row in self._read_applied()}
        return [MigrationStatus(m.version, m.description, applied.get(m.version)) for m in self.migrations]

    def current_version(self) -> int:
        """Return the newest applied version, 0 for a new database; changes nothing."""
        return max((row.version for row in self._read_applied()), default=0)

    def verify(self) -> str | None:
        """Compare the database's schema with a fresh one of the same version.

        Returns
        -------
        str or None
            The first difference in words, None when the schemas are equal.
        """
        if not self.db_path.exists():
            return None
        with closing(self._connect(readonly=True)) as connection:
            applied = self._checked(connection)
            actual = _schema(connection)
        with closing(apsw.Connection(":memory:")) as fresh:
            if actual:
                fresh.execute(_CREATE_RECORD)
            for migration in self.migrations[: len(applied)]:
                fresh.execute(migration.forward_sql)
            expected = _schema(fresh)
        for name in sorted(expected.keys() | actual.keys()):
            if name not in actual:
                return f"{name} is missing"
            if name not in expected:
                return f"{name} is not part of V{len(applied)}"
            if actual[name] != expected[name]:
                return f"{name} differs from V{len(applied)}: {actual[name]}"
        return None

    def _connect(self, *, readonly: bool = False) -> apsw.Connection:
        connection = open_file(self.db_path, readonly=readonly, create=True)
        connection.set_busy_timeout(round(_LOCK_WAIT_S * 1000))
        connection.execute("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL")
        return connection

    def _apply_next(self, connection: apsw.Connection, target: int | None) -> int | None:
        with _immediate(connection):
            applied = self._checked(connection)
            wanted = self.migrations[len(applied) : target]
            if not wanted:
                return None
            migration = wanted[0]
            connection.execute(_CREATE_RECORD)
            started = time.perf_counter()
            _run(connection, migration.forward_sql, version=migration.version, direction="up")
            took_ms = (time.perf_counter() - started) * 1000
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            connection.execute(
                _RECORD,
                (
                    migration.version,
                    migration.description,
                    now,
                    migration.checksum,
                    migration.rollback_sql,
                    took_ms,
                ),
            )
            return migration.version

    def _read_applied(self) -> list[_Applied]:
        if not self.db_path.exists():
            return []
        with closing(self._connect(readonly=True)) as connection:
            return self._checked(connection)

    def _checked(self, connection: apsw.Connection) -> list[_Applied]:
        """Read what is applied. Raises `SchemaMismatch` for every state that the files cannot explain."""
        names = {name for kind, name in _schema(connection) if kind == "table"}
        if "schema_migrations" not in names:
            if names:
                raise SchemaMismatch(
                    f"{self.db_path} has tables ({', '.join(sorted(names)[:3])}…) but no record of migrations: it "
                    "is another program's file or was set up by hand; use another file, or restore a backup"
                )
            return []
        applied = [_Applied(*row) for row in connection.execute(_APPLIED)]
        for position, row in enumerate(applied, start=1):
            self._check_row(position, row)
        if not applied and names != {"schema_migrations"}:
            raise SchemaMismatch(
                f"{self.db_path} has tables ({', '.join(sorted(names)[:3])}…) of a migration that is not recorded: "
                "another tool left it unfinished; restore a backup with `skillrank restore`"
            )
        return applied

    def _check_row(self, position: int, row: _Applied) -> None:
        if row.version != position:
            raise SchemaMismatch(
                f"{self.db_path} records V{row.version} but not V{position}: its records were edited; "
                "restore a backup with `skillrank restore`",
                version=position,
            )
        if row.version > len(self.migrations):
            raise SchemaMismatch(
                f"{self.db_path} has schema V{row.version} ({row.description}), newer than this release "
                f"(V{len(self.migrations)}): upgrade skillrank, or go back with the newer release's "
                "`skillrank migrate down`",
                version=row.version,
            )
        if row.checksum != self.migrations[position - 1].checksum:
            raise SchemaMismatch(
                f"V{row.version} was applied to {self.db_path} from a file with different content "
                f"(sha256 {row.checksum[:12]}…): migrations never change once applied; reinstall skillrank",
                version=row.version,
            )

    def _backup(self, version: int) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        target = self.db_path.with_name(f"{self.db_path.name}.before-down-V{version}-{stamp}")
        # A connection of its own: one that holds the write lock cannot be copied from.
        with (
            closing(self._connect(readonly=True)) as source,
            closing(apsw.Connection(str(target))) as copy,
            copy.backup("main", source, "main") as backup,
        ):
            while not backup.done:
                backup.step(1000)
        return target


def _enter_wal(connection: apsw.Connection) -> None:
    # Changing the journal mode does not wait for a lock as statements do, so racing openers try again.
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def _immediate(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _run(connection: apsw.Connection, sql: str, *, version: int, direction: Literal["up", "down"]) -> None:
    try:
        connection.execute(sql)
    except apsw.Error as error:
        raise MigrationFailed(
            f"V{version} could not be {'applied' if direction == 'up' else 'rolled back'}: {error}. "
            "The database is as it was before; report this with the output of `skillrank doctor`",
            version=version,
            direction=direction,
        ) from error


def _schema(connection: apsw.Connection) -> dict[tuple[str, str], str]:
    # SQLite quotes the name of a renamed table, so going up and down again adds quotes.
    return {(kind, name): " ".join(sql.replace('"', "").split()) for kind, name, sql in connection.execute(_SCHEMA)}
