"""Finds near-identical documents among a few: by their vectors, then by their words. Nothing of it is stored.

A search looks at a few dozen skills, so what is compared is what is served: no pass over the whole library, at index
time or at start, however large it is.
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

# About as many kilobytes; beyond it everything is forgotten and read again when it is needed.
_MOST_SKETCHES: Final = 50_000
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
        """Return the groups of two or more near-identical skills among these, each in the order of `skill_ids`."""
        near = self.resemblances(connection, skill_ids)
        return _components(skill_ids, [pair for pair, (alike, cosine) in near.items() if near_identical(alike, cosine)])

    def resemblances(
        self, connection: apsw.Connection, skill_ids: Sequence[int]
    ) -> dict[tuple[int, int], tuple[float, float]]:
        """Return (resemblance, cosine) of the pairs whose vectors are near enough to be near-identical."""
        ids, cosines = self._matrix.cosines_among(connection, skill_ids)
        pairs = np.argwhere(np.triu(cosines >= LEAST_COSINE, k=1)).tolist()
        with self._lock:
            state = self._follow(connection, {ids[place] for pair in pairs for place in pair})
            return {
                (ids[a], ids[b]): (self._resemblance(ids[a], ids[b], state), float(cosines[a, b])) for a, b in pairs
            }

    def _follow(self, connection: apsw.Connection, skill_ids: Iterable[int]) -> dict[int, int]:
        """Sketch the documents that are new or have changed; return the state that each is known in."""
        state = dict(rows(connection, _STATE, (encode(sorted(skill_ids)),)))
        if len(self._sketches) > _MOST_SKETCHES:
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


def _components(skill_ids: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components of two or more."""
    head = {skill_id: skill_id for skill_id in skill_ids}

    def find(skill_id: int) -> int:
        while head[skill_id] != skill_id:
            skill_id = head[skill_id]
        return skill_id

    for one, other in pairs:
        head[find(other)] = find(one)
    members: dict[int, list[int]] = defaultdict(list)
    for skill_id in skill_ids:
        members[find(skill_id)].append(skill_id)
    return [group for group in members.values() if len(group) > 1]
