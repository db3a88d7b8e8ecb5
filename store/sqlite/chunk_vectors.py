"""The vectors of documents' first chunks, read for the few skills of a search and never held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import apsw
import numpy as np
from numpy.typing import NDArray

from store.sqlite.rows import encode, rows

_STORED: Final = np.dtype("<f2")
_WRITE: Final = """
INSERT INTO skill_chunk_vectors(skill_id, generation, vectors) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET vectors = excluded.vectors
"""
_FORGET: Final = "DELETE FROM skill_chunk_vectors WHERE skill_id = ? AND generation = ?"
_FORGET_SKILL: Final = "DELETE FROM skill_chunk_vectors WHERE skill_id = ?"
_FORGET_GENERATION: Final = "DELETE FROM skill_chunk_vectors WHERE generation = ?"
# Vectors of another dimension than the query's, of a generation that was published meanwhile, cannot be compared.
_LIVE: Final = """
SELECT p.skill_id, p.vectors FROM index_state i, json_each(?) wanted
JOIN skill_chunk_vectors p ON p.skill_id = wanted.value AND p.generation = i.generation
WHERE i.status = 'live' AND i.dimension = ?
"""


def write_chunks(
    connection: apsw.Connection, skill_id: int, generation: int, vectors: NDArray[np.float32] | None
) -> None:
    """Replace a skill's vectors in a generation by these; None or no rows remove them."""
    if vectors is None or not len(vectors):
        connection.execute(_FORGET, (skill_id, generation))
    else:
        connection.execute(_WRITE, (skill_id, generation, vectors.astype(_STORED).tobytes()))


def forget_skill_chunks(connection: apsw.Connection, skill_id: int) -> None:
    """Drop a skill's vectors, those of every generation."""
    connection.execute(_FORGET_SKILL, (skill_id,))


def forget_generation_chunks(connection: apsw.Connection, generation: int) -> None:
    """Drop a generation's vectors, those of every skill."""
    connection.execute(_FORGET_GENERATION, (generation,))


def chunk_similarities(
    connection: apsw.Connection, skill_ids: Sequence[int], windows: NDArray[np.float32]
) -> dict[int, NDArray[np.float32]]:
    """See `store.protocol.Retrieval.chunk_similarities`."""
    if not len(windows):
        return {}
    found = rows(connection, _LIVE, (encode(list(skill_ids)), windows.shape[1]))
    if not found:
        return {}
    # All at once: a product for each skill would take longer than the reading.
    held = np.frombuffer(b"".join(vectors for _, vectors in found), dtype=_STORED).astype(np.float32)
    # Not BLAS, whose threads take longer to wake than a few hundred rows to multiply.
    cosines = np.clip(np.einsum("ij,kj->ik", held.reshape(-1, windows.shape[1]), windows).max(axis=1), -1.0, 1.0)
    ends = np.cumsum([0, *(len(vectors) // (_STORED.itemsize * windows.shape[1]) for _, vectors in found)]).tolist()
    return {skill_id: cosines[start:end] for (skill_id, _), (start, end) in zip(found, pairwise(ends), strict=True)}
