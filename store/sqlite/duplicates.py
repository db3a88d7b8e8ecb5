"""Finds near-identical documents among a few, by their vectors and then by their words. Nothing is stored.

Only the few dozen skills of a search are compared: the whole library is never scanned, neither when it is indexed nor
at start.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import apsw
import numpy as np

from store.near_duplicates import LEAST_COSINE, Sketch, near_identical, resemblance, sketch
from store.sqlite.matrix import VectorMatrix
from store.sqlite.rows import encode, rows

# A sketch takes a kilobyte, a verdict 200 bytes. Beyond these bounds everything is forgotten and read again when it is
# needed.
MOST_SKETCHES: Final = 20_000
MOST_VERDICTS: Final = 100_000
_STATE: Final = "SELECT id, index_seq FROM skills WHERE id IN (SELECT value FROM json_each(?))"
_TEXTS: Final = """
SELECT skill_id, text FROM skill_chunk
WHERE skill_id IN (SELECT value FROM json_each(?)) AND kind = 'body' ORDER BY skill_id, ordinal
"""


class NearDuplicates:
    """Remembers the sketches of documents that were compared, until they change."""

    def __init__(self, matrix: VectorMatrix) -> None:
        self._matrix = matrix
        self._lock = threading.Lock()
        self._sketches: dict[int, tuple[int, Sketch]] = {}
        self._verdicts: dict[tuple[int, int, int, int], float] = {}

    def groups(self, connection: apsw.Connection, skill_ids: Sequence[int]) -> list[list[int]]:
        """Return the groups of two or more near-identical skills among these, each in the order of `skill_ids`.

        Members are near-identical to the first of their group, so groups never chain from one thing to another.
        """
        ids, cosines = self._matrix.cosines_among(connection, skill_ids)
        near = np.triu(cosines >= LEAST_COSINE, k=1)
        found = []
        grouped: set[int] = set()
        with self._lock:
            state = self._follow(connection, {ids[place] for pair in np.argwhere(near).tolist() for place in pair})
            for first in np.flatnonzero(near.any(axis=1)).tolist():
                if first in grouped:
                    continue
                group = [
                    other
                    for other in np.flatnonzero(near[first]).tolist()
                    if other not in grouped
                    and near_identical(self._resemblance(ids[first], ids[other], state), float(cosines[first, other]))
                ]
                if group:
                    grouped.update(group)
                    found.append([ids[place] for place in (first, *group)])
        return found

    def resemblance(self, connection: apsw.Connection, one: int, other: int) -> float | None:
        """Return the resemblance of two skills, None when their vectors are too far apart for it to be meaningful."""
        ids, cosines = self._matrix.cosines_among(connection, (one, other))
        if len(ids) < 2 or cosines[0, 1] < LEAST_COSINE:  # noqa: PLR2004  both
            return None
        with self._lock:
            return self._resemblance(one, other, self._follow(connection, ids))

    def _follow(self, connection: apsw.Connection, skill_ids: Iterable[int]) -> dict[int, int]:
        """Sketch the documents that are new or have changed; return the version of each."""
        state = dict(rows(connection, _STATE, (encode(sorted(skill_ids)),)))
        if len(self._sketches) > MOST_SKETCHES or len(self._verdicts) > MOST_VERDICTS:
            self._sketches.clear()
            self._verdicts.clear()
        changed = [each for each, seq in state.items() if self._sketches.get(each, (None,))[0] != seq]
        texts: dict[int, list[str]] = defaultdict(list)
        if changed:
            for skill_id, text in rows(connection, _TEXTS, (encode(changed),)):
                texts[skill_id].append(text)
        for skill_id in changed:
            self._sketches[skill_id] = (state[skill_id], sketch("\n".join(texts[skill_id])))
        return state

    def _resemblance(self, one: int, other: int, state: dict[int, int]) -> float:
        key = (one, state[one], other, state[other])
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = resemblance(self._sketches[one][1], self._sketches[other][1])
        return known
