"""Health, checks and backups of one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from migrations import MigrationRunner
from store.contract.operations import BackupReport, StoreHealth
from store.errors import StoreUnavailable
from store.sqlite.backup import backup, integrity_problems
from store.sqlite.database import THOROUGH_DEADLINE_S, Database
from store.sqlite.projection import first_difference
from store.sqlite.rows import one, value

_COUNTS: Final = """
SELECT (SELECT max(version) FROM schema_migrations),
       (SELECT count(*) FROM skills WHERE document_path IS NOT NULL AND removed_at IS NULL),
       (SELECT count(*) FROM skills),
       (SELECT count(*) FROM skill_metrics),
       (SELECT coalesce(sum(total_invocations), 0) FROM skill_metrics),
       (SELECT count(*) FROM open_invocation)
"""
# A program that does not check references can commit this row, which disables the triggers that count.
_PAUSED: Final = "SELECT count(*) FROM projection_paused"
_LIVE: Final = "SELECT generation, model_id FROM index_state WHERE status = 'live'"
_SERVED: Final = "SELECT id FROM skills WHERE document_path IS NOT NULL AND removed_at IS NULL"
_WITHOUT_VECTOR: Final = f"""
SELECT count(*) FROM ({_SERVED}) s
WHERE NOT EXISTS (SELECT 1 FROM skill_embedded e WHERE e.skill_id = s.id AND e.generation = ?)
"""
# The text index and the vectors have the ids of skills as their row numbers.
_DRIFT: Final = {
    (
        "document has no text in the index",
        "documents have no text in the index",
    ): f"SELECT count(*) FROM ({_SERVED} EXCEPT SELECT rowid FROM skill_fts)",
    (
        "text in the index belongs to no document",
        "texts in the index belong to no document",
    ): f"SELECT count(*) FROM (SELECT rowid FROM skill_fts EXCEPT {_SERVED})",
    ("document has no chunks", "documents have no chunks"): f"""
SELECT count(*) FROM ({_SERVED} EXCEPT SELECT skill_id FROM skill_chunk)
""",
    # What an abandoned generation or a removed skill would leave behind.
    ("set of chunk vectors belongs to no document", "sets of chunk vectors belong to no document"): """
SELECT count(*) FROM (SELECT generation, skill_id FROM skill_chunk_vectors
                      EXCEPT SELECT generation, skill_id FROM skill_embedded)
""",
}
_HAS_VECTORS: Final = "SELECT count(*) FROM sqlite_schema WHERE name = 'skill_vector'"
_VECTOR_DRIFT: Final = {
    ("vector is missing", "vectors are missing"): """
SELECT count(*) FROM (SELECT skill_id FROM skill_embedded WHERE generation = :live
                      EXCEPT SELECT skill_id FROM skill_vector)
""",
    ("vector belongs to no document", "vectors belong to no document"): """
SELECT count(*) FROM (SELECT skill_id FROM skill_vector
                      EXCEPT SELECT skill_id FROM skill_embedded WHERE generation = :live)
""",
}


class SqliteOperations:
    """The `store.protocol.Operations` of one SQLite file."""

    _db: Database

    def health(self) -> StoreHealth:
        unusable = self._db.problems()

        def query(connection: apsw.Connection) -> StoreHealth:
            version, served, skills, used, total, running = one(connection, _COUNTS) or (0, 0, 0, 0, 0, 0)
            generation, model_id = one(connection, _LIVE) or (None, None)
            problems = list(unusable)
            if generation is None:
                problems.append("nothing is indexed yet; run `skillrank index ROOT…`")
            elif missing := value(connection, _WITHOUT_VECTOR, (generation,)):
                said = "document has" if missing == 1 else "documents have"
                problems.append(f"{missing} {said} no vector yet; run `skillrank index`")
            if value(connection, _PAUSED):
                problems.append(
                    "uses are not being counted: another program disabled that; run `skillrank metrics rebuild`"
                )
            path = self._db.path
            return StoreHealth(
                backend="sqlite",
                location=str(path),
                schema_version=version,
                size_bytes=_size(path),
                wal_bytes=_size(path.with_name(path.name + "-wal")),
                served_skills=served,
                total_skills=skills,
                used_skills=used,
                total_invocations=total,
                open_invocations=running,
                generation=generation,
                model_id=model_id,
                slow_queries=self._db.slow.found(),
                lock_waits=self._db.waited(),
                problems=problems,
            )

        try:
            return self._db.read("health", query)
        except StoreUnavailable as error:
            if error.cause != "replaced":
                raise
            return self._gone(str(error))

    def _gone(self, problem: str) -> StoreHealth:
        """Return the health of a store whose file is no longer there."""
        return StoreHealth(
            backend="sqlite",
            location=str(self._db.path),
            schema_version=0,
            size_bytes=0,
            wal_bytes=0,
            served_skills=0,
            total_skills=0,
            total_invocations=0,
            open_invocations=0,
            generation=None,
            model_id=None,
            slow_queries=self._db.slow.found(),
            lock_waits=self._db.waited(),
            problems=[problem],
        )

    def check(self) -> list[str]:
        def query(connection: apsw.Connection) -> list[str]:
            damaged = integrity_problems(connection)
            if damaged:
                return damaged  # what is read from a damaged file means nothing
            difference = first_difference(connection)
            metrics = [f"metrics differ from the log: {difference}; run `skillrank metrics rebuild`"]
            return _index_drift(connection) + metrics * (difference is not None)

        problems = self._db.read("check", query, deadline_s=THOROUGH_DEADLINE_S)
        schema = MigrationRunner(self._db.path).verify()
        return problems + [f"the schema differs: {schema}"] * (schema is not None)

    def backup(self, target: Path) -> BackupReport:
        return self._db.read("backup", lambda connection: backup(connection, target), deadline_s=THOROUGH_DEADLINE_S)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _index_drift(connection: apsw.Connection) -> list[str]:
    counts = {said: value(connection, sql) for said, sql in _DRIFT.items()}
    live = one(connection, _LIVE)
    if live is not None and value(connection, _HAS_VECTORS):
        counts |= {said: value(connection, sql, {"live": live[0]}) for said, sql in _VECTOR_DRIFT.items()}
    remedy = "remove each root with `skillrank index --forget ROOT` and index it again"
    return [
        f"{count} {single if count == 1 else plural}; {remedy}" for (single, plural), count in counts.items() if count
    ]
