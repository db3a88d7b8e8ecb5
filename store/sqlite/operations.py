"""The store's own state."""

from __future__ import annotations

from typing import Final

import apsw

from store.records import StoreHealth
from store.sqlite.database import Database
from store.sqlite.rows import one, value

_COUNTS: Final = """
SELECT (SELECT max(version) FROM schema_migrations),
       (SELECT count(*) FROM skills WHERE document_path IS NOT NULL AND removed_at IS NULL),
       (SELECT coalesce(sum(total_invocations), 0) FROM skill_metrics),
       (SELECT count(*) FROM open_invocation)
"""
_LIVE: Final = "SELECT generation, model_id FROM index_state WHERE status = 'live'"
_WITHOUT_VECTOR: Final = """
SELECT count(*) FROM skills s WHERE s.document_path IS NOT NULL AND s.removed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM skill_embedded e WHERE e.skill_id = s.id AND e.generation = ?)
"""


class SqliteOperations:
    """The `store.protocol.Operations` of one SQLite file."""

    _db: Database

    def health(self) -> StoreHealth:
        def query(connection: apsw.Connection) -> StoreHealth:
            version, served, total, running = one(connection, _COUNTS) or (0, 0, 0, 0)
            generation, model_id = one(connection, _LIVE) or (None, None)
            problems = []
            if generation is None:
                problems.append("nothing is indexed yet; run `skillrank index ROOT…`")
            elif missing := value(connection, _WITHOUT_VECTOR, (generation,)):
                problems.append(f"{missing} documents have no vector yet; run `skillrank index`")
            path = self._db.path
            wal = path.with_name(path.name + "-wal")
            return StoreHealth(
                backend="sqlite",
                location=str(path),
                schema_version=version,
                size_bytes=path.stat().st_size,
                wal_bytes=wal.stat().st_size if wal.exists() else 0,
                served_skills=served,
                total_invocations=total,
                open_invocations=running,
                generation=generation,
                model_id=model_id,
                problems=problems,
            )

        return self._db.read("health", query)
