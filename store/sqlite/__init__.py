"""The SQLite backend: the only code that knows SQL, apsw and sqlite-vec."""

from store.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
