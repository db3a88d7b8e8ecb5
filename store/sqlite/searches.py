"""Records queries and the lists that were served for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import apsw
import msgspec

from store.contract.searches import SearchRecord, ServedSkill
from store.errors import NotFound
from store.sqlite.database import Database
from store.sqlite.rows import encode, one, record, require_same, rows

_ENSURE_SESSION: Final = """
INSERT INTO session(id, project_id, user_id, started_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ADD: Final = """
INSERT INTO search(id, searched_at, query, query_hash, query_vector, model_id, session_id, user_id, project_id,
                   filters, weights_version, explored, confidence, degraded, elapsed_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_ADD_RESULTS: Final = "INSERT INTO search_result(search_id, position, skill_name, score, components) VALUES "
_SEARCH: Final = """
SELECT id, searched_at, query, query_hash, query_vector, model_id, session_id, user_id, project_id, filters,
       weights_version, explored, confidence, degraded, elapsed_ms
FROM search WHERE id = ?
"""
_RESULTS: Final = """
SELECT position, skill_name, score, components FROM search_result WHERE search_id = ? ORDER BY position
"""


class SqliteSearchLog:
    """The `store.protocol.SearchLog` of one SQLite file."""

    _db: Database
    _keep_queries: bool

    def record_search(self, search: SearchRecord) -> None:
        self._db.write("record_search", self._recording(search))

    def start_recording(self, search: SearchRecord) -> Callable[[], None]:
        return self._db.offer("record_search", self._recording(search))

    def _recording(self, search: SearchRecord) -> Callable[[apsw.Connection], None]:
        if not self._keep_queries:
            search = msgspec.structs.replace(search, query=None)
        added = (
            search.id,
            search.searched_at,
            search.query,
            search.query_hash,
            search.query_vector,
            search.model_id,
            search.session_id,
            search.user_id,
            search.project_id,
            encode(search.filters),
            search.weights_version,
            search.explored,
            search.confidence,
            encode(search.degraded),
            search.elapsed_ms,
        )
        cells = [
            cell
            for r in search.results
            for cell in (search.id, r.position, r.skill_name, r.score, encode(r.components))
        ]

        # The caller composes the answer meanwhile, and each statement must wait for the interpreter's lock once, so
        # there are few of them.
        def unit(connection: apsw.Connection) -> None:
            if search.session_id is not None:
                connection.execute(
                    _ENSURE_SESSION, (search.session_id, search.project_id, search.user_id, search.searched_at)
                )
            connection.execute(_ADD, added)
            kept = None if connection.changes() else _find(connection, search.id)
            if kept is not None:
                require_same("search", search.id, kept, search)
            elif cells:
                connection.execute(_ADD_RESULTS + ", ".join(["(?, ?, ?, ?, ?)"] * len(search.results)), cells)

        return unit

    def search(self, search_id: str) -> SearchRecord:
        def query(connection: apsw.Connection) -> SearchRecord:
            found = _find(connection, search_id)
            if found is None:
                raise NotFound("search", search_id)
            return found

        return self._db.read("search", query)


def _find(connection: apsw.Connection, search_id: str) -> SearchRecord | None:
    row = one(connection, _SEARCH, (search_id,))
    if row is None:
        return None
    served = [
        record(ServedSkill, line, json=frozenset({"components"})) for line in rows(connection, _RESULTS, (search_id,))
    ]
    cells = list(row)
    cells[11] = bool(cells[11])
    return record(SearchRecord, (*cells, served), json=frozenset({"filters", "degraded"}))
