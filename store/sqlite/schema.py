"""The operations of `skillrank migrate`: the migration runner with the store's errors and lock file."""

from __future__ import annotations

from pathlib import Path

from migrations import MigrationRunner, MigrationStatus
from migrations.opening import can_write_beside
from store.errors import StoreUnavailable
from store.sqlite.backup_files import os_errors
from store.sqlite.connection import translated
from store.sqlite.occupancy import occupy, share


def migrate_up(database: Path) -> list[int]:
    """Apply every pending version; return them.

    Raises
    ------
    StoreUnavailable
        When a restore holds the database, or it cannot be read or written.
    """
    with translated(), os_errors("the database cannot be migrated"):
        database.parent.mkdir(parents=True, exist_ok=True)
        if database.exists() and not can_write_beside(database):
            pending = [each.version for each in MigrationRunner(database).status() if each.applied_at is None]
            if pending:
                raise StoreUnavailable(
                    f"V{pending[0]} is pending and {database.parent} cannot be written", cause="read_only"
                )
            return []
    with translated(), os_errors("the database cannot be migrated"), share(database):
        return MigrationRunner(database).run_migrations()


def migrate_down(database: Path, version: int) -> Path:
    """Roll back the newest version after a backup; return the backup's path.

    Raises
    ------
    StoreUnavailable
        When any process has the database open: it would go on with a schema that is no longer there.
    """
    if not database.exists():
        return MigrationRunner(database).rollback_migration(version)  # says that there is nothing to roll back
    with translated(), occupy(database):
        return MigrationRunner(database).rollback_migration(version)


def migration_status(database: Path) -> list[MigrationStatus]:
    """Return the state of each version; changes nothing."""
    with translated():
        return MigrationRunner(database).status()


def schema_difference(database: Path) -> str | None:
    """Return the first difference from a fresh schema of the same version, None if there is none."""
    with translated():
        return MigrationRunner(database).verify()
