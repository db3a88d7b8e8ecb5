"""Finds candidates: FTS5 for the words, the matrix for the meaning."""

from __future__ import annotations

from typing import Final

import apsw
import numpy as np
from numpy.typing import NDArray

from store.errors import NotFound
from store.records import Candidate
from store.sqlite.database import Database
from store.sqlite.fulltext import match_any, terms_of
from store.sqlite.matrix import VectorMatrix
from store.sqlite.rows import encode, one, rows

# FTS5 fixes k1 and b; small weights act like a larger k1, which suits long documents that repeat themselves.
_LEXICAL: Final = """
SELECT rowid, -bm25(skill_fts, 4.0, 2.0, 0.2) AS score FROM skill_fts WHERE skill_fts MATCH :match
ORDER BY score DESC, rowid LIMIT :depth
"""
_LEXICAL_IN_CATEGORY: Final = """
SELECT f.rowid, -bm25(skill_fts, 4.0, 2.0, 0.2) AS score FROM skill_fts f JOIN skills s ON s.id = f.rowid
WHERE skill_fts MATCH :match AND s.category = :category
ORDER BY score DESC, f.rowid LIMIT :depth
"""
_IN_CATEGORY: Final = """
SELECT id FROM skills WHERE category = ? AND document_path IS NOT NULL AND removed_at IS NULL
"""
_NAMES: Final = """
SELECT s.id, s.skill_name, s.category FROM json_each(?) wanted JOIN skills s ON s.id = wanted.value
WHERE s.document_path IS NOT NULL AND s.removed_at IS NULL ORDER BY s.skill_name
"""
_ID: Final = "SELECT id FROM skills WHERE skill_name = ?"


class SqliteRetrieval:
    """The `store.protocol.Retrieval` of one SQLite file."""

    _db: Database
    _matrix: VectorMatrix

    def candidates(
        self, text: str, vectors: NDArray[np.float32] | None, *, depth: int, category: str | None = None
    ) -> list[Candidate]:
        def query(connection: apsw.Connection) -> list[Candidate]:
            bm25 = _lexical(connection, text, depth, category)
            similarity = self._nearest(connection, vectors, depth, category, also=bm25)
            return _named(connection, similarity, bm25)

        return self._db.read("candidates", query)

    def terms(self, text: str) -> list[str]:
        return terms_of(text)

    def similar(self, skill_name: str, *, limit: int) -> list[Candidate]:
        def query(connection: apsw.Connection) -> list[Candidate]:
            row = one(connection, _ID, (skill_name,))
            if row is None:
                raise NotFound("skill", skill_name)
            vector = self._matrix.vector(connection, row[0])
            if vector is None:
                return []
            similarity = self._nearest(connection, vector[None, :], limit + 1, None, also={})
            similarity.pop(row[0], None)
            found = _named(connection, similarity, {})
            return sorted(found, key=lambda candidate: -(candidate.similarity or 0.0))[:limit]

        return self._db.read("similar", query)

    def refresh(self) -> None:
        self._db.read("refresh", self._matrix.follow)

    def _nearest(
        self,
        connection: apsw.Connection,
        vectors: NDArray[np.float32] | None,
        depth: int,
        category: str | None,
        *,
        also: dict[int, float],
    ) -> dict[int, float]:
        """Return the cosines of the `depth` nearest skills and of those in `also`."""
        if vectors is None or not len(vectors):
            return {}
        ids, cosines = self._matrix.similarities(connection, vectors)
        eligible = cosines
        if category is not None:
            members = [row[0] for row in rows(connection, _IN_CATEGORY, (category,))]
            eligible = np.where(np.isin(ids, members), cosines, -np.inf)
        take = min(depth, len(ids))
        nearest = np.argpartition(-eligible, take - 1)[:take] if take else np.empty(0, dtype=np.intp)
        lexical = np.flatnonzero(np.isin(ids, list(also)))
        chosen = np.union1d(nearest[np.isfinite(eligible[nearest])], lexical)
        return {int(ids[place]): float(cosines[place]) for place in chosen}


def _lexical(connection: apsw.Connection, text: str, depth: int, category: str | None) -> dict[int, float]:
    match = match_any(text)
    if match is None:
        return {}
    sql = _LEXICAL if category is None else _LEXICAL_IN_CATEGORY
    bindings = {"match": match, "depth": depth} | ({} if category is None else {"category": category})
    return {row[0]: row[1] for row in rows(connection, sql, bindings)}


def _named(connection: apsw.Connection, similarity: dict[int, float], bm25: dict[int, float]) -> list[Candidate]:
    wanted = encode(sorted(similarity.keys() | bm25.keys()))
    return [
        Candidate(
            skill_id=skill_id,
            skill_name=name,
            category=category,
            similarity=similarity.get(skill_id),
            bm25=bm25.get(skill_id),
        )
        for skill_id, name, category in rows(connection, _NAMES, (wanted,))
    ]
