"""The SQLite backend: the only code that knows SQL, apsw and sqlite-vec."""

from store.sqlite.backup import restore
from store.sqlite.backup_files import KEPT, list_backups, next_backup, prune_backups, remove_leftovers
from store.sqlite.schema import migrate_down, migrate_up, migration_status, schema_difference
from store.sqlite.store import SqliteStore, open_store
from store.sqlite.writer import LOCK_DEADLINE_S

__all__ = [
    "KEPT",
    "LOCK_DEADLINE_S",
    "SqliteStore",
    "list_backups",
    "migrate_down",
    "migrate_up",
    "migration_status",
    "next_backup",
    "open_store",
    "prune_backups",
    "remove_leftovers",
    "restore",
    "schema_difference",
]
