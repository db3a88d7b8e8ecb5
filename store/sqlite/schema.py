"""What `skillrank migrate` does: the migration runner, with the store's errors and under the store's lock file."""

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
        When a restore has the database, or it cannot be read or written.
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
    """Take the newest version back after a backup; return the backup's path.

    Raises
    ------
    StoreUnavailable
        When anything has the database open: a service would go on with a schema that is no longer there.
    """
    if not database.exists():
        return MigrationRunner(database).rollback_migration(version)  # says that there is nothing to take back
    with translated(), occupy(database):
        return MigrationRunner(database).rollback_migration(version)


def migration_status(database: Path) -> list[MigrationStatus]:
    """Return where each version stands; changes nothing."""
    with translated():
        return MigrationRunner(database).status()


def schema_difference(database: Path) -> str | None:
    """Return the first difference to a fresh schema of the same version, None without one."""
    with translated():
        return MigrationRunner(database).verify()
