"""The hot copy of the live generation's vectors: one contiguous float32 matrix in memory.

It follows the database through what each reader's snapshot says (the live generation and the newest `index_seq`),
two index look-ups, so it notices every writer, those in other processes too.
"""

from __future__ import annotations

import threading
from typing import Final

import apsw
import numpy as np
from numpy.typing import NDArray

from store.sqlite.rows import one, rows

_HEAD: Final = """
SELECT (SELECT generation FROM index_state WHERE status = 'live'),
       (SELECT dimension FROM index_state WHERE status = 'live'),
       (SELECT max(index_seq) FROM skills)
"""
_ALL: Final = "SELECT skill_id, embedding FROM skill_vector"
_CHANGED: Final = "SELECT id FROM skills WHERE index_seq > ? ORDER BY index_seq"
_ONE: Final = "SELECT embedding FROM skill_vector WHERE skill_id = ?"


class VectorMatrix:
    """Rows of unit vectors by skill id, kept in step with the database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation: int | None = None
        self._seq = -1
        self._rows = np.empty((0, 0), dtype=np.float32)
        self._ids = np.empty(0, dtype=np.int64)
        self._place: dict[int, int] = {}

    def similarities(
        self, connection: apsw.Connection, vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return every skill's cosine with its nearest row of `vectors`.

        Parameters
        ----------
        connection : apsw.Connection
            Inside a read transaction; the matrix is brought to its snapshot first.
        vectors : float32 (windows, dimension), rows L2-normalised

        Returns
        -------
        ids : int64 (skills,)
        cosines : float32 (skills,), in [-1, 1]
            Both empty when the vectors' dimension is not the live generation's.
        """
        with self._lock:
            self._follow(connection)
            if not self._place or vectors.shape[1] != self._rows.shape[1]:
                return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
            held = len(self._place)
            return self._ids[:held].copy(), np.clip(_nearest_window(self._rows[:held], vectors), -1.0, 1.0)

    def vector(self, connection: apsw.Connection, skill_id: int) -> NDArray[np.float32] | None:
        """Return one skill's vector, None when it has none."""
        with self._lock:
            self._follow(connection)
            place = self._place.get(skill_id)
            return None if place is None else self._rows[place].copy()

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
                    self._put(skill_id, np.frombuffer(row[0], dtype=np.float32))
        # A snapshot may be older than the matrix, when two searches overlap; it must not turn the matrix back.
        self._generation, self._seq = generation, max(self._seq, seq or 0)

    def _load(self, connection: apsw.Connection, dimension: int) -> None:
        held = rows(connection, _ALL)
        self._ids = np.array([row[0] for row in held], dtype=np.int64)
        self._rows = np.frombuffer(b"".join(row[1] for row in held), dtype=np.float32).reshape(-1, dimension).copy()
        self._place = {int(skill_id): place for place, skill_id in enumerate(self._ids)}
        self._seq = -1

    def _put(self, skill_id: int, vector: NDArray[np.float32]) -> None:
        place = self._place.get(skill_id)
        if place is None:
            place = len(self._place)
            if place == len(self._rows):
                grown = max(64, place * 2)
                self._rows = np.resize(self._rows, (grown, vector.shape[0]))
                self._ids = np.resize(self._ids, grown)
            self._place[skill_id] = place
            self._ids[place] = skill_id
        self._rows[place] = vector

    def _forget(self, skill_id: int) -> None:
        place = self._place.pop(skill_id, None)
        if place is None:
            return
        last = len(self._place)
        if place != last:
            self._rows[place] = self._rows[last]
            self._ids[place] = self._ids[last]
            self._place[int(self._ids[place])] = place


def _nearest_window(rows: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's largest product with a window, float32 (rows,)."""
    if len(windows) > 1:
        return np.asarray((rows @ windows.T).max(axis=1), dtype=np.float32)
    # One product waits for memory, not for arithmetic: BLAS would wake its threads for nothing, which costs
    # milliseconds where the model's threads hold the cores.
    return np.asarray(np.einsum("ij,j->i", rows, windows[0]), dtype=np.float32)
