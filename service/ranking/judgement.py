"""From the evidence of all uses to the order of the candidates of one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.ranking.affinity import preference
from service.ranking.blend import Blend, Weights, blend
from service.ranking.book import EvidenceBook
from service.ranking.prior import Prior
from service.ranking.speed import Pace, pace
from service.ranking.success import Belief, Record, believe, success_gain


@dataclass(frozen=True, slots=True)
class Judgement:
    """The order of candidates and everything it was made from; arrays are in the order of the input.

    `gains` holds every unweighted gain by name, so that other weights can be evaluated on recorded searches.
    """

    blend: Blend
    belief: Belief
    pace: Pace
    record: Record
    prior: Prior
    gains: dict[str, NDArray[np.float64]]

    def likely(self, places: NDArray[np.intp]) -> list[tuple[float, float]]:
        """Return the 80% credible interval of each candidate's success for this query."""
        low, high = self.belief.of(places).interval()
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def uses_alike(self, place: int) -> float:
        """Return the weighted number of uses of a candidate for similar queries."""
        return float(self.record.near_successes[place] + self.record.near_failures[place])


def judge(
    relevance: NDArray[np.float64],
    skills: Sequence[tuple[str, str | None]],
    book: EvidenceBook,
    query: NDArray[np.float32] | None,
    day: float,
    *,
    weights: Weights,
    others: Mapping[str, NDArray[np.float64]] | None = None,
) -> Judgement:
    """Order candidates by relevance and recorded outcomes.

    Parameters
    ----------
    relevance : float64 (n,)
        From `fusion.fused_relevance`.
    skills : sequence of (skill_name, category), n of them, names distinct
    book : EvidenceBook
    query : float32 (dimension,), L2-normalised, or None
    day : float
        The present, in days since the landmark of `decay`.
    weights : Weights
    others : mapping of str to float64 (n,), optional
        Gains that do not come from the book, by their names in `Weights.others`.

    Returns
    -------
    Judgement
    """
    found = book.look([name for name, _ in skills], query, day)
    prior = book.prior(day)
    expected = np.array([prior.expected(category) for _, category in skills], dtype=np.float64)
    belief = believe(found.record, expected, prior)
    fits = relevance >= relevance.max(initial=-np.inf) - weights.gate
    paces = pace(found.durations, fits)
    gains = {
        "success": success_gain(belief, expected, prior),
        "speed": paces.gain,
        "choice": preference(found.preferred, found.passed_over),
        **(others or {}),
    }
    blended = blend(relevance, gains["success"], gains["speed"], weights, gains)
    return Judgement(blended, belief, paces, found.record, prior, gains)
