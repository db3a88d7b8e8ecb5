"""The SQLite backend: the only code that knows SQL, apsw and sqlite-vec."""

from store.sqlite.backup import KEPT, backup_name, prune_backups, restore
from store.sqlite.schema import migrate_down, migrate_up, migration_status, schema_difference
from store.sqlite.store import SqliteStore, open_store

__all__ = [
    "KEPT",
    "SqliteStore",
    "backup_name",
    "migrate_down",
    "migrate_up",
    "migration_status",
    "open_store",
    "prune_backups",
    "restore",
    "schema_difference",
]
