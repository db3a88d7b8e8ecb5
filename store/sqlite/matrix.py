"""The in-memory copy of the live generation: a contiguous float32 matrix of vectors, with names and categories.

Before each use it is compared with the reader's snapshot (the live generation and the newest `index_seq`, two index
lookups), so it follows every writer, also those in other processes.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import apsw
import numpy as np
from numpy.typing import NDArray

from store.sqlite.rows import one, rows, value

_HEAD: Final = """
SELECT (SELECT generation FROM index_state WHERE status = 'live'),
       (SELECT dimension FROM index_state WHERE status = 'live'),
       (SELECT max(index_seq) FROM skills)
"""
_SERVED: Final = "s.document_path IS NOT NULL AND s.removed_at IS NULL"
_ALL: Final = f"""
SELECT v.skill_id, v.embedding, s.skill_name, s.category
FROM skill_vector v JOIN skills s ON s.id = v.skill_id WHERE {_SERVED}
"""
_COUNT: Final = f"SELECT count(*) FROM skill_vector v JOIN skills s ON s.id = v.skill_id WHERE {_SERVED}"
_CHANGED: Final = "SELECT id FROM skills WHERE index_seq > ? ORDER BY index_seq"
_ONE: Final = f"""
SELECT v.embedding, s.skill_name, s.category
FROM skill_vector v JOIN skills s ON s.id = v.skill_id WHERE v.skill_id = ? AND {_SERVED}
"""


_PAIRED_AT_ONCE: Final = 512


class Found(NamedTuple):
    """A skill and its cosine with the query, in [-1, 1]; None when the query has no vector."""

    skill_id: int
    skill_name: str
    category: str | None
    similarity: float | None


class VectorMatrix:
    """Unit vectors by skill id, kept in step with the database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation: int | None = None
        self._seq = -1
        self._rows = np.empty((0, 0), dtype=np.float32)
        self._ids = np.empty(0, dtype=np.int64)
        self._names: list[str] = []
        # Categories are numbered, so that one vectorised comparison filters by category.
        self._categories = np.empty(0, dtype=np.int32)
        self._category_codes: dict[str | None, int] = {}
        self._category_names: list[str | None] = []
        self._place: dict[int, int] = {}

    def nearest(
        self,
        connection: apsw.Connection,
        vectors: NDArray[np.float32] | None,
        *,
        depth: int,
        category: str | None = None,
        also: Iterable[int] = (),
    ) -> list[Found]:
        """Return the `depth` skills nearest to any row of `vectors`, and those of `also` that are held.

        Parameters
        ----------
        connection : apsw.Connection
            Inside a read transaction; the matrix is brought to its snapshot first.
        vectors : float32 (windows, dimension), rows L2-normalised, or None
            With None, or another dimension than the live generation's, similarities are None.
        depth : int
        category : str, optional
            Only skills of this category are among the nearest.
        also : iterable of int
            Skill ids.

        Returns
        -------
        list of Found
            In no particular order, each skill once.
        """
        with self._lock:
            self._follow(connection)
            held = len(self._place)
            places = {self._place[skill_id] for skill_id in also if skill_id in self._place}
            if not held or vectors is None or not len(vectors) or vectors.shape[1] != self._rows.shape[1]:
                return self._found(places, None)
            cosines = np.clip(_nearest_window(self._rows[:held], vectors), -1.0, 1.0)
            eligible = cosines
            if category is not None:
                code = self._category_codes.get(category, -1)
                eligible = np.where(self._categories[:held] == code, cosines, -np.inf)
            take = min(depth, held)
            near = np.argpartition(eligible, held - take)[held - take :]
            places.update(near[np.isfinite(eligible[near])].tolist())
            return self._found(places, cosines)

    def vector(self, connection: apsw.Connection, skill_id: int) -> NDArray[np.float32] | None:
        """Return one skill's vector, None when it has none."""
        with self._lock:
            self._follow(connection)
            place = self._place.get(skill_id)
            return None if place is None else self._rows[place].copy()

    def cosines_among(
        self, connection: apsw.Connection, skill_ids: Sequence[int]
    ) -> tuple[list[int], NDArray[np.float32]]:
        """Return the skills among these that have a vector, in order, and their pairwise cosines."""
        with self._lock:
            self._follow(connection)
            ids = [skill_id for skill_id in skill_ids if skill_id in self._place]
            vectors = self._rows[[self._place[skill_id] for skill_id in ids]]
        # Not BLAS, as in `_nearest_window`.
        return ids, np.asarray(np.einsum("ij,kj->ik", vectors, vectors), dtype=np.float32)

    def closest_pairs(
        self, connection: apsw.Connection, *, least: float, limit: int, skill_id: int | None = None
    ) -> list[tuple[str, str, float]]:
        """Return the pairs of skill names with a cosine of at least `least`, nearest first."""
        with self._lock:
            self._follow(connection)
            held = len(self._place)
            # A copy: comparing all pairs takes longer than a search should wait for the lock.
            vectors, names = self._rows[:held].copy(), list(self._names)
            asked = range(held) if skill_id is None else [self._place[skill_id]] if skill_id in self._place else []
        best: list[tuple[float, str, str]] = []
        for start in range(0, len(asked), _PAIRED_AT_ONCE):
            block = np.array(asked[start : start + _PAIRED_AT_ONCE], dtype=np.intp)
            cosines = vectors[block] @ vectors.T
            # Each pair once; for one skill, all pairs but the one with itself.
            others = np.arange(held) > block[:, None] if skill_id is None else np.arange(held) != block[:, None]
            one, other = np.nonzero((cosines >= least) & others)
            if len(one) > limit:
                # Only the nearest of the block can be among the nearest of all.
                near = cosines[one, other]
                kept = near >= np.partition(near, -limit)[-limit]
                one, other = one[kept], other[kept]
            away = (-cosines[one, other]).tolist()
            best += [(far, names[block[a]], names[b]) for far, a, b in zip(away, one, other, strict=True)]
            best = heapq.nsmallest(limit, best)
            if len(best) == limit:
                least = max(least, -best[-1][0])
        return [(min(one, other), max(one, other), -far) for far, one, other in best]

    def held(self, connection: apsw.Connection) -> int:
        """Return how many skills have a vector."""
        with self._lock:
            self._follow(connection)
            return len(self._place)

    def follow(self, connection: apsw.Connection) -> None:
        """Bring the matrix to the connection's snapshot."""
        with self._lock:
            self._follow(connection)

    def _follow(self, connection: apsw.Connection) -> None:
        generation, dimension, seq = one(connection, _HEAD) or (None, None, None)
        if generation is None or dimension is None or (self._generation is not None and generation < self._generation):
            return
        if generation != self._generation:
            self._load(connection, dimension)
        elif seq is not None and seq > self._seq:
            for (skill_id,) in rows(connection, _CHANGED, (self._seq,)):
                row = one(connection, _ONE, (skill_id,))
                if row is None:
                    self._forget(skill_id)
                else:
                    self._put(skill_id, np.frombuffer(row[0], dtype=np.float32), row[1], row[2])
        # When two searches overlap, a snapshot may be older than the matrix, which must not be turned back.
        self._generation, self._seq = generation, max(self._seq, seq or 0)

    def _load(self, connection: apsw.Connection, dimension: int) -> None:
        count = int(value(connection, _COUNT))
        self._rows = np.empty((count, dimension), dtype=np.float32)
        self._ids = np.empty(count, dtype=np.int64)
        self._categories = np.empty(count, dtype=np.int32)
        self._names = []
        # Row by row: a list of all of them would hold every vector twice.
        for place, (skill_id, vector, name, category) in enumerate(connection.execute(_ALL)):
            self._rows[place] = np.frombuffer(vector, dtype=np.float32)
            self._ids[place], self._categories[place] = skill_id, self._code(category)
            self._names.append(name)
        self._place = {int(skill_id): place for place, skill_id in enumerate(self._ids)}
        self._seq = -1

    def _put(self, skill_id: int, vector: NDArray[np.float32], name: str, category: str | None) -> None:
        place = self._place.get(skill_id)
        if place is None:
            place = len(self._place)
            if place == len(self._rows):
                grown = max(64, place * 2)
                self._rows = np.resize(self._rows, (grown, vector.shape[0]))
                self._ids = np.resize(self._ids, grown)
                self._categories = np.resize(self._categories, grown)
            self._place[skill_id] = place
            self._ids[place] = skill_id
            self._names.append(name)
        self._rows[place] = vector
        self._names[place] = name
        self._categories[place] = self._code(category)

    def _forget(self, skill_id: int) -> None:
        place = self._place.pop(skill_id, None)
        if place is None:
            return
        last = len(self._place)
        if place != last:
            self._rows[place] = self._rows[last]
            self._ids[place] = self._ids[last]
            self._names[place] = self._names[last]
            self._categories[place] = self._categories[last]
            self._place[int(self._ids[place])] = place
        self._names.pop()

    def _code(self, category: str | None) -> int:
        code = self._category_codes.setdefault(category, len(self._category_names))
        if code == len(self._category_names):
            self._category_names.append(category)
        return code

    def _found(self, places: Collection[int], cosines: NDArray[np.float32] | None) -> list[Found]:
        at = np.fromiter(places, np.intp, len(places))
        near = [None] * len(at) if cosines is None else cosines[at].tolist()
        cells = zip(at.tolist(), self._ids[at].tolist(), self._categories[at].tolist(), near, strict=True)
        return [
            Found(skill_id, self._names[place], self._category_names[code], cosine)
            for place, skill_id, code, cosine in cells
        ]


def _nearest_window(rows: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's largest product with a window, float32 (rows,)."""
    if len(windows) > 1:
        return np.asarray((rows @ windows.T).max(axis=1), dtype=np.float32)
    # One product is bound by memory, not arithmetic: waking the threads of BLAS would gain nothing and costs
    # milliseconds where the model's threads use the cores.
    return np.asarray(np.einsum("ij,j->i", rows, windows[0]), dtype=np.float32)
