"""Turns outcomes into evidence, and keeps the evidence of a store in memory and up to date."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.affinity import lift
from service.ranking.book import EvidenceBook
from service.ranking.cells import cells_of
from service.ranking.decay import HALF_LIFE_DAYS, days_since_landmark, decay_weight
from service.ranking.evidence import ANY_VERSION, NO_CELL, EvidenceRows, Use, evidence_of
from service.ranking.examination import passed_over
from store.clock import Clock, read_time, system_clock
from store.contract.evidence import AffinityCount, AffinityKind, EvidenceSum, OutcomeToLearn, QueryCell
from store.protocol import Store

# The most outcomes that one search learns from; a bulk import is learnt over several searches, or by `learn_all`.
AT_A_SEARCH: Final = 200
AT_ONCE: Final = 2000
# Nobody saw these uses end, so their recorded durations mean nothing.
_UNWATCHED: Final = frozenset({"session_end", "sweep"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The state of the store that was read last."""

    epoch: int = -1
    revision: int = -1
    catalogue_seq: int = -1


class Learning:
    """The evidence of one store; safe to use from many threads and while other processes write.

    Parameters
    ----------
    store : Store
    clock : Clock
        Tells the present time.
    """

    def __init__(self, store: Store, *, clock: Clock = system_clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._model_id: str | None = None
        self._book = EvidenceBook(1, half_life_days=HALF_LIFE_DAYS)
        self._catalogue: dict[str, tuple[int, str | None]] = {}

    @property
    def today(self) -> float:
        """The present, in days since the landmark of `service.ranking.decay`."""
        return days_since_landmark(self._clock())

    def learn(self, limit: int = AT_A_SEARCH) -> int:
        """Learn from at most `limit` outcomes that were not learnt from yet; return their number."""
        after, outcomes = self._store.outcomes_to_learn(limit=limit)
        if outcomes:
            cells, sums, affinities = summarise(outcomes, self.today)
            # If another process was faster, the store keeps its evidence, which is the same.
            self._store.add_evidence(after=after, upto=outcomes[-1].seq, cells=cells, sums=sums, affinities=affinities)
        return len(outcomes)

    def learn_all(self) -> int:
        """Learn from every outcome that was not learnt from yet; return their number."""
        learnt = 0
        while count := self.learn(AT_ONCE):
            learnt += count
        return learnt

    def book(self, model_id: str | None, dimension: int) -> tuple[EvidenceBook, threading.Lock]:
        """Return all evidence as of now, and the lock to hold while using it.

        Parameters
        ----------
        model_id : str or None
            The model that encodes queries now. Evidence of queries that another model encoded counts as evidence of
            other queries.
        dimension : int
            The dimension of its vectors.
        """
        with self._lock:
            self._follow(model_id, dimension)
            return self._book, self._lock

    def affinity(self, kind: AffinityKind, context: str | None, skill_names: Sequence[str]) -> NDArray[np.float64]:
        """Return each skill's lift after another skill or in a phase, exactly 0 without a context or counts."""
        if context is None:
            return np.zeros(len(skill_names))
        found = self._store.affinities(kind, context, skill_names)
        if ("", "") not in found:
            return np.zeros(len(skill_names))
        now = 1.0 / float(decay_weight(self.today))
        return lift(
            np.array([found.get((context, name), 0.0) for name in skill_names]) * now,
            found.get((context, ""), 0.0) * now,
            np.array([found.get(("", name), 0.0) for name in skill_names]) * now,
            found["", ""] * now,
        )

    def _follow(self, model_id: str | None, dimension: int) -> None:
        if model_id != self._model_id:
            self._seen, self._model_id = _Seen(), model_id
        seen = self._seen
        change = self._store.evidence_since(seen.epoch, seen.revision, seen.catalogue_seq)
        if change.anew:
            self._book = EvidenceBook(dimension, half_life_days=HALF_LIFE_DAYS)
        for entry in change.catalogue:
            version = ANY_VERSION if entry.version is None else entry.version
            self._catalogue[entry.skill_name] = (version, entry.category)
        placed = [cell for cell in change.cells if cell.model_id == model_id]
        if placed:
            self._book.put_cells(
                np.array([cell.id for cell in placed], dtype=np.int64),
                np.array([np.frombuffer(cell.vector_sum, dtype=np.float32) for cell in placed]),
            )
        if change.sums:
            self._book.put(
                EvidenceRows(
                    skill_names=[row[0] for row in change.sums],
                    versions=np.array([row[1] for row in change.sums], dtype=np.int64),
                    cells=np.array([row[2] for row in change.sums], dtype=np.int64),
                    slots=np.array([row[3] for row in change.sums], dtype=np.int64),
                    sums=np.array([row[4:] for row in change.sums], dtype=np.float64),
                )
            )
        names = {row[0] for row in change.sums} | {entry.skill_name for entry in change.catalogue}
        for name in names & self._book.skills if names else ():
            version, category = self._catalogue.get(name, (ANY_VERSION, None))
            self._book.describe(name, version=version, category=category)
        self._seen = _Seen(change.epoch, change.revision, change.catalogue_seq)


def summarise(
    outcomes: Sequence[OutcomeToLearn], today: float
) -> tuple[list[QueryCell], list[EvidenceSum], list[AffinityCount]]:
    """Return what outcomes add to the sums in the store.

    Parameters
    ----------
    outcomes : sequence of OutcomeToLearn
    today : float
        In days since the landmark; outcomes with a later time count as of today.
    """
    queries: dict[tuple[str, int], list[NDArray[np.float32]]] = defaultdict(list)
    # A cell's code is only unique within a model, so each (model, code) gets a number here.
    numbers: dict[tuple[str, int], int] = {}
    affinities: dict[tuple[AffinityKind, str, str], float] = defaultdict(float)
    uses = []
    for outcome in outcomes:
        day = min(days_since_landmark(read_time(outcome.finished_at)), today)
        cell = NO_CELL
        if outcome.query_vector is not None and outcome.model_id is not None:
            vector = np.frombuffer(outcome.query_vector, dtype=np.float32)
            key = (outcome.model_id, int(cells_of(vector[None])[0]))
            queries[key].append(vector)
            cell = numbers.setdefault(key, len(numbers))
        uses.append(_use(outcome, cell, day))
        for pair in _affinities(outcome):
            affinities[pair] += float(decay_weight(day))
    rows = evidence_of(uses)
    keys = list(numbers)
    sums = [
        EvidenceSum(
            skill_name=name,
            version=int(version),
            query=None if cell == NO_CELL else keys[cell],
            reporter_slot=int(slot),
            sums=row.tolist(),
        )
        for name, version, cell, slot, row in zip(
            rows.skill_names, rows.versions, rows.cells, rows.slots, rows.sums, strict=True
        )
    ]
    cells = [
        QueryCell(model_id=model_id, code=code, queries=len(asked), vector_sum=_sum(asked).tobytes())
        for (model_id, code), asked in queries.items()
    ]
    return (
        cells,
        sums,
        [AffinityCount(kind=k, context=c, skill_name=n, successes=s) for (k, c, n), s in affinities.items()],
    )


def _use(outcome: OutcomeToLearn, cell: int, day: float) -> Use:
    return Use(
        skill_name=outcome.skill_name,
        version=ANY_VERSION if outcome.skill_version_id is None else outcome.skill_version_id,
        cell=cell,
        reporter=outcome.user_id or outcome.session_id or "",
        outcome=outcome.outcome,
        seconds=None if outcome.source in _UNWATCHED else outcome.duration_seconds,
        day=day,
        passed_over=passed_over(outcome.served, outcome.taken, outcome.skill_name),
    )


def _affinities(outcome: OutcomeToLearn) -> list[tuple[AffinityKind, str, str]]:
    if outcome.outcome != "completed":
        return []
    pairs: list[tuple[AffinityKind, str, str]] = [
        ("after", name, outcome.skill_name) for name in outcome.succeeded_before
    ]
    pairs += [("after", outcome.skill_name, name) for name in outcome.succeeded_after]
    if outcome.workflow_phase:
        pairs.append(("phase", outcome.workflow_phase, outcome.skill_name))
    return [
        (kind, context, name)
        for kind, context_name, skill in pairs
        for context, name in ((context_name, skill), (context_name, ""), ("", skill), ("", ""))
    ]


def _sum(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.sum(vectors, axis=0), dtype=np.float32)
