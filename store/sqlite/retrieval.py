"""Finds candidates: FTS5 for the words, the matrix for the meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import apsw
import numpy as np
from numpy.typing import NDArray

from store.contract.retrieval import Candidate, Term
from store.errors import NotFound
from store.sqlite.chunk_vectors import chunk_similarities
from store.sqlite.database import Database
from store.sqlite.duplicates import NearDuplicates
from store.sqlite.fulltext import body_weight, match_any, terms_of
from store.sqlite.matrix import Found, VectorMatrix
from store.sqlite.rows import encode, one, rows
from store.sqlite.spelling import Spelling, plain_words, unknown_words
from store.sqlite.vocabulary import SMALL_LIBRARY, Vocabulary

_LEXICAL: Final = """
SELECT rowid, -bm25(skill_fts, 4.0, 2.0, :body) AS score FROM skill_fts WHERE skill_fts MATCH :match
ORDER BY score DESC, rowid LIMIT :depth
"""
_LEXICAL_IN_CATEGORY: Final = """
SELECT f.rowid, -bm25(skill_fts, 4.0, 2.0, :body) AS score FROM skill_fts f JOIN skills s ON s.id = f.rowid
WHERE skill_fts MATCH :match AND s.category = :category
ORDER BY score DESC, f.rowid LIMIT :depth
"""
_NAMES: Final = """
SELECT s.id, s.skill_name, s.category, NULL FROM json_each(?) wanted JOIN skills s ON s.id = wanted.value
WHERE s.document_path IS NOT NULL AND s.removed_at IS NULL
"""
_ID: Final = "SELECT id FROM skills WHERE skill_name = ?"


class SqliteRetrieval:
    """The `store.protocol.Retrieval` of one SQLite file."""

    _db: Database
    _matrix: VectorMatrix
    _vocabulary: Vocabulary
    _spelling: Spelling
    _duplicates: NearDuplicates

    def candidates(
        self,
        text: str,
        vectors: NDArray[np.float32] | Callable[[], NDArray[np.float32] | None] | None,
        *,
        depth: int,
        category: str | None = None,
    ) -> list[Candidate]:
        def query(connection: apsw.Connection) -> list[Candidate]:
            words = terms_of(text)
            body = body_weight(words)
            if self._matrix.held(connection) > SMALL_LIBRARY:
                words = self._vocabulary.telling(connection, words)
            bm25 = _lexical(connection, words, body, depth, category)
            asked = vectors() if callable(vectors) else vectors
            found = self._matrix.nearest(connection, asked, depth=depth, category=category, also=bm25)
            found += _without_vector(connection, bm25.keys() - {each.skill_id for each in found})
            candidates = [_candidate(each, bm25.get(each.skill_id)) for each in found]
            return sorted(candidates, key=lambda candidate: candidate.skill_name)

        return self._db.read("candidates", query)

    def chunk_similarities(
        self, skill_ids: Sequence[int], vectors: NDArray[np.float32]
    ) -> dict[int, NDArray[np.float32]]:
        return self._db.read(
            "chunk_similarities", lambda connection: chunk_similarities(connection, skill_ids, vectors)
        )

    def terms(self, text: str) -> list[str]:
        return terms_of(text)

    def similar(self, skill_name: str, *, limit: int) -> list[Candidate]:
        def query(connection: apsw.Connection) -> list[Candidate]:
            skill_id = _id_of(connection, skill_name)
            vector = self._matrix.vector(connection, skill_id)
            if vector is None:
                return []
            near = self._matrix.nearest(connection, vector[None, :], depth=limit + 1)
            others = [_candidate(each, None) for each in near if each.skill_id != skill_id]
            return sorted(others, key=lambda other: (-(other.similarity or 0.0), other.skill_name))[:limit]

        return self._db.read("similar", query)

    def corrections(self, text: str) -> dict[str, str]:
        words = plain_words(text)
        # Before the transaction begins: reading the word lists takes a moment, once in a process.
        unknown = unknown_words(words)
        if not unknown:
            return {}
        return self._db.read("corrections", lambda connection: self._spelling.corrections(connection, words, unknown))

    def vocabulary(self, text: str) -> list[Term]:
        return self._db.read("vocabulary", lambda connection: self._vocabulary.terms(connection, terms_of(text)))

    def closest_pairs(self, *, least: float, limit: int, skill_name: str | None = None) -> list[tuple[str, str, float]]:
        def query(connection: apsw.Connection) -> list[tuple[str, str, float]]:
            skill_id = None if skill_name is None else _id_of(connection, skill_name)
            return self._matrix.closest_pairs(connection, least=least, limit=limit, skill_id=skill_id)

        return self._db.read("closest_pairs", query)

    def resemblance(self, first: str, second: str) -> float | None:
        def query(connection: apsw.Connection) -> float | None:
            both = _id_of(connection, first), _id_of(connection, second)
            return self._duplicates.resemblance(connection, *both)

        return self._db.read("resemblance", query)

    def near_duplicates(self, skill_ids: Sequence[int]) -> list[list[int]]:
        return self._db.read("near_duplicates", lambda connection: self._duplicates.groups(connection, skill_ids))

    def refresh(self) -> None:
        self._db.read("refresh", self._matrix.follow)


def _id_of(connection: apsw.Connection, skill_name: str) -> int:
    row = one(connection, _ID, (skill_name,))
    if row is None:
        raise NotFound("skill", skill_name)
    return int(row[0])


def _lexical(
    connection: apsw.Connection, words: list[str], body: float, depth: int, category: str | None
) -> dict[int, float]:
    if not words:
        return {}
    match = match_any(words)
    sql = _LEXICAL if category is None else _LEXICAL_IN_CATEGORY
    bindings = {"match": match, "depth": depth, "body": body} | ({} if category is None else {"category": category})
    return {row[0]: row[1] for row in rows(connection, sql, bindings)}


def _without_vector(connection: apsw.Connection, skill_ids: AbstractSet[int]) -> list[Found]:
    """Return the skills among these that are served, not those of a generation that is being built."""
    if not skill_ids:
        return []
    return [Found(*row) for row in rows(connection, _NAMES, (encode(sorted(skill_ids)),))]


def _candidate(found: Found, bm25: float | None) -> Candidate:
    return Candidate(
        skill_id=found.skill_id,
        skill_name=found.skill_name,
        category=found.category,
        similarity=found.similarity,
        bm25=bm25,
    )
