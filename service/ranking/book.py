"""The evidence of all recorded uses in memory; the cost of a query depends on the rows it touches, not on the total.

The same sums are kept in two layouts: by cell, where a query looks up the few similar cells, and by skill and slot,
where the evidence of other queries is the total minus the similar part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.ranking.cells import alikeness
from service.ranking.decay import decay_weight
from service.ranking.evidence import ANY_VERSION, NO_CELL, REPORTER_SLOTS, EvidenceRows, Stat
from service.ranking.prior import Prior, Scatter, fit_prior
from service.ranking.reporters import concave, counted, counted_squares, trust
from service.ranking.speed import Durations
from service.ranking.success import Record

# The weight of evidence from earlier versions of a document.
EARLIER_VERSIONS: Final = 0.5
# The weight of durations from other queries, which say less about this query than successes do.
OTHER_DURATIONS: Final = 0.2
_FIRST_ROWS: Final = 256
# Fitting takes milliseconds, and a few rows among thousands hardly change the result.
_ROWS_PER_FIT: Final = 500
_OUTCOMES: Final = (Stat.SUCCESS, Stat.FAILURE)
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence of some skills for one query on one day; arrays are float64 (n,).

    `record` holds counts after the cap on single reporters; `preferred` and `passed_over` are choices at similar
    queries.
    """

    record: Record
    durations: Durations
    preferred: NDArray[np.float64]
    passed_over: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was fitted to all records as of one day: the prior, and the weight of each slot of reporters."""

    day: float
    prior: Prior
    trust: NDArray[np.float64]


class EvidenceBook:
    """Sums of evidence by skill, version, cell and slot. Addition commutes, so the order of arrival does not matter.

    Parameters
    ----------
    dimension : int
        The dimension of the query vectors.
    half_life_days : float
        The half-life of the decay that the rows were made with.
    """

    def __init__(self, dimension: int, *, half_life_days: float) -> None:
        self._half_life_days = half_life_days
        self._skills: dict[str, int] = {}
        self._current: NDArray[np.int64] = np.full(_FIRST_ROWS, ANY_VERSION, dtype=np.int64)
        self._categories: list[str | None] = []
        self._totals: NDArray[np.float64] = np.zeros((_FIRST_ROWS, 2, REPORTER_SLOTS, len(Stat)))
        self._row_of: dict[tuple[int, int, int, int], int] = {}
        self._keys: NDArray[np.int64] = np.zeros((_FIRST_ROWS, 4), dtype=np.int64)
        self._sums: NDArray[np.float64] = np.zeros((_FIRST_ROWS, len(Stat)))
        self._rows_of_skill: list[list[int]] = []
        self._cells: dict[int, int] = {}
        self._rows_of_cell: list[list[int]] = []
        self._row_arrays: dict[int, NDArray[np.intp]] = {}
        self._cell_sums: NDArray[np.float32] = np.zeros((_FIRST_ROWS, dimension), dtype=np.float32)
        self._cell_directions: NDArray[np.float32] = np.zeros((_FIRST_ROWS, dimension), dtype=np.float32)
        self._per_cell: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._within: NDArray[np.float64] = np.zeros((_FIRST_ROWS, 6))
        self._fitted: _Fitted | None = None
        self._changes = 0

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self._row_of)

    @property
    def skills(self) -> set[str]:
        """The names of the skills that have a record."""
        return set(self._skills)

    def put_cells(self, cells: NDArray[np.int64], sums: NDArray[np.float32]) -> None:
        """Set the sum of the query vectors of each cell; float32 (n, dimension)."""
        for cell, total in zip(cells.tolist(), sums, strict=True):
            place = self._cell_place(cell)
            self._cell_sums[place] = total
            self._cell_directions[place] = total / max(float(np.linalg.norm(total)), 1e-12)

    def add_queries(self, cells: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add queries to their cells; float32 (n, dimension)."""
        for cell, vector in zip(cells.tolist(), vectors, strict=True):
            place = self._cell_place(cell)
            self.put_cells(np.array([cell]), (self._cell_sums[place] + vector)[None])

    def put(self, rows: EvidenceRows) -> None:
        """Set rows to these sums."""
        for key, sums in self._with_keys(rows):
            row = self._row_of.get(key)
            self._change(key, sums if row is None else sums - self._sums[row])

    def add(self, rows: EvidenceRows) -> None:
        """Add these sums."""
        for key, sums in self._with_keys(rows):
            self._change(key, sums)

    def describe(self, skill_name: str, *, version: int, category: str | None) -> None:
        """Set a skill's current version and category; its evidence is kept when either changes."""
        skill = self._skill_place(skill_name)
        if self._categories[skill] != category:
            self._categories[skill] = category
            self._changes += 1
        if self._current[skill] != version:
            self._current[skill] = version
            self._totals[skill] = 0.0
            for row in self._rows_of_skill[skill]:
                _, of_version, _, slot = self._keys[row]
                self._totals[skill, self._age(skill, int(of_version)), slot] += self._sums[row]
            self._changes += 1

    def prior(self, day: float) -> Prior:
        """Return the prior, fitted to all records, as of a day.

        It is fitted again each day, and when one row in `_ROWS_PER_FIT` has changed.
        """
        return self._fit(day).prior

    def look(self, skill_names: Sequence[str], query: NDArray[np.float32] | None, day: float) -> Found:
        """Return the evidence of these skills for a query.

        Parameters
        ----------
        skill_names : sequence of str, n of them, distinct
        query : float32 (dimension,), L2-normalised, or None
            None counts all evidence as that of other queries.
        day : float
            The present, in days since the landmark of `decay`.
        """
        everyone = np.array([self._skills.get(name, -1) for name in skill_names], dtype=np.intp)
        # Most candidates have no record, so all their sums are 0; only the others are computed.
        recorded = np.flatnonzero(everyone >= 0)
        places = everyone[recorded]
        now = 1.0 / float(decay_weight(day, half_life_days=self._half_life_days))
        counts_for = now * self._fit(day).trust[:, None]
        held = self._totals[places]
        near = self._near(places, query, len(places))
        other = np.maximum(held[:, 0] + EARLIER_VERSIONS * held[:, 1] - near, 0.0) * counts_for
        near = near * counts_for
        near_s, near_f = counted(near[..., Stat.SUCCESS], near[..., Stat.FAILURE])
        other_s, other_f = counted(other[..., Stat.SUCCESS], other[..., Stat.FAILURE])
        timed = near.sum(axis=1) + OTHER_DURATIONS * other.sum(axis=1)

        def of_all(column: NDArray[np.float64]) -> NDArray[np.float64]:
            spread = np.zeros(len(everyone))
            spread[recorded] = column
            return spread

        return Found(
            record=Record(of_all(near_s), of_all(near_f), of_all(other_s), of_all(other_f)),
            durations=Durations(
                of_all(timed[:, Stat.TIMED]),
                of_all(timed[:, Stat.LOG_SECONDS]),
                of_all(timed[:, Stat.LOG_SECONDS_SQUARED]),
                of_all(timed[:, Stat.CENSORED]),
                of_all(timed[:, Stat.CENSORED_LOG_SECONDS]),
            ),
            preferred=of_all(concave(near[..., Stat.PREFERRED]).sum(axis=1)),
            passed_over=of_all(concave(near[..., Stat.PASSED_OVER]).sum(axis=1)),
        )

    def _near(self, places: NDArray[np.intp], query: NDArray[np.float32] | None, n: int) -> NDArray[np.float64]:
        near = np.zeros((n * REPORTER_SLOTS, len(Stat)))
        if n and query is not None and self._cells:
            alike = alikeness((self._cell_directions[: len(self._cells)] @ query).astype(np.float64))
            touched = np.flatnonzero(alike)
            rows = np.concatenate([self._rows_in(cell) for cell in touched.tolist()] or [np.empty(0, dtype=np.intp)])
            candidate = np.full(len(self._skills) + 1, -1, dtype=np.intp)
            candidate[places] = np.arange(n)
            skills, versions, cells, slots = self._keys[rows].T
            wanted = candidate[skills] >= 0
            rows, skills, versions, cells, slots = (part[wanted] for part in (rows, skills, versions, cells, slots))
            present = (versions == self._current[skills]) | (versions == ANY_VERSION)
            weight = alike[cells] * np.where(present, 1.0, EARLIER_VERSIONS)
            group = candidate[skills] * REPORTER_SLOTS + slots
            weighted = self._sums[rows] * weight[:, None]
            for stat in Stat:
                near[:, stat] = np.bincount(group, weights=weighted[:, stat], minlength=len(near))
        return near.reshape(n, REPORTER_SLOTS, len(Stat))

    def _rows_in(self, cell: int) -> NDArray[np.intp]:
        held = self._row_arrays.get(cell)
        if held is None:
            held = self._row_arrays[cell] = np.array(self._rows_of_cell[cell], dtype=np.intp)
        return held

    def _with_keys(self, rows: EvidenceRows) -> list[tuple[tuple[int, int, int, int], NDArray[np.float64]]]:
        parts = zip(
            rows.skill_names, rows.versions.tolist(), rows.cells.tolist(), rows.slots.tolist(), rows.sums, strict=True
        )
        # Here a cell is identified by its place; a use without a query has none.
        return [
            ((self._skill_place(name), version, cell if cell == NO_CELL else self._cell_place(cell), slot), sums)
            for name, version, cell, slot, sums in parts
        ]

    def _change(self, key: tuple[int, int, int, int], change: NDArray[np.float64]) -> None:
        skill, version, cell, slot = key
        row = self._row_of.get(key)
        if row is None:
            row = self._row_of[key] = len(self._row_of)
            self._keys, self._sums = _room(self._keys, row), _room(self._sums, row)
            self._keys[row] = key
            self._rows_of_skill[skill].append(row)
            if cell != NO_CELL:
                self._rows_of_cell[cell].append(row)
                self._row_arrays.pop(cell, None)
        self._sums[row] += change
        self._totals[skill, self._age(skill, version), slot] += change
        if cell != NO_CELL:
            self._change_scatter(skill, cell, change)
        self._changes += 1

    def _change_scatter(self, skill: int, cell: int, change: NDArray[np.float64]) -> None:
        """Update what `_pooled_scatter` needs: Σs, Σn, Σw² of a skill and, over its cells, Σs²/n, Σn² and ΣΣw²/n."""
        was = self._per_cell.get((skill, cell), np.zeros(3))
        successes, failures = change[Stat.SUCCESS], change[Stat.FAILURE]
        now = was + np.array([successes, successes + failures, change[Stat.SQUARED]])
        self._per_cell[skill, cell] = now
        for sign, (s, n, w2) in ((-1.0, was), (1.0, now)):
            if n > 0:
                self._within[skill] += sign * np.array([s, n, w2, s * s / n, n * n, w2 / n])

    def _fit(self, day: float) -> _Fitted:
        """Fit the prior and the trust in reporters to all records, once a day and whenever enough has changed.

        The first prior gives all reporters full weight and serves to estimate trust; the second one is returned.
        """
        today = float(np.floor(day))
        enough = 1 + len(self._row_of) // _ROWS_PER_FIT
        if self._fitted is None or self._fitted.day != today or self._changes >= enough:
            now = 1.0 / float(decay_weight(today, half_life_days=self._half_life_days))
            held = self._totals[: len(self._skills)]
            s, f = (now * (held[:, 0, :, at] + EARLIER_VERSIONS * held[:, 1, :, at]) for at in _OUTCOMES)
            squares = now**2 * (held[:, 0, :, Stat.SQUARED] + EARLIER_VERSIONS**2 * held[:, 1, :, Stat.SQUARED])
            within = self._pooled_scatter(now)
            trusted = trust(s, f, self._fit_prior(s, f, squares, within))
            self._fitted = _Fitted(
                today, self._fit_prior(s * trusted, f * trusted, squares * trusted**2, within), trusted
            )
            self._changes = 0
        return self._fitted

    def _fit_prior(
        self,
        successes: NDArray[np.float64],
        failures: NDArray[np.float64],
        squares: NDArray[np.float64],
        within: Scatter,
    ) -> Prior:
        well, badly = counted(successes, failures)
        return fit_prior(well, well + badly, self._categories, within, counted_squares(successes + failures, squares))

    def _pooled_scatter(self, now: float) -> Scatter:
        """Return the scatter of a skill's cells around the skill, pooled over skills.

        As `prior.scatter`, with unequal weights: the variance of a group's rate is Σw² / (Σw)² times that of one use.
        """
        s, n, w2, s2, n2, of_cells = self._within[self._within[:, 1] > 0].T
        rate = np.clip(s / n, 0.0, 1.0)
        variance = np.maximum(rate * (1.0 - rate), 0.01)
        freedom = of_cells - w2 / n
        excess = now * ((s2 - s * s / n) / variance - freedom)
        information = now * (n - n2 / n - freedom)
        useful = information > 0
        return Scatter(float(excess[useful].sum()), float(information[useful].sum()))

    def _age(self, skill: int, version: int) -> int:
        return 0 if version in {ANY_VERSION, self._current[skill]} else 1

    def _skill_place(self, name: str) -> int:
        place = self._skills.get(name)
        if place is None:
            place = self._skills[name] = len(self._skills)
            self._categories.append(None)
            self._rows_of_skill.append([])
            self._current = _room(self._current, place, fill=ANY_VERSION)
            self._totals, self._within = _room(self._totals, place), _room(self._within, place)
        return place

    def _cell_place(self, cell: int) -> int:
        place = self._cells.get(cell)
        if place is None:
            place = self._cells[cell] = len(self._cells)
            self._rows_of_cell.append([])
            self._cell_sums = _room(self._cell_sums, place)
            self._cell_directions = _room(self._cell_directions, place)
        return place


def _room(array: NDArray[Scalar], place: int, *, fill: int = 0) -> NDArray[Scalar]:
    """Return `array`, doubled in length if it has no room for `place`."""
    if place < len(array):
        return array
    grown = np.full((2 * len(array), *array.shape[1:]), fill, dtype=array.dtype)
    grown[: len(array)] = array
    return grown
