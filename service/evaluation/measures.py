"""Measures of ranked lists, with intervals and paired tests.

The measures are those of trec_eval, computed with ir-measures; intervals and tests come from SciPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ir_measures
import numpy as np
from ir_measures import RR, R, Success, nDCG
from numpy.typing import NDArray
from scipy import stats

from service.evaluation.judgements import SERVES, JudgedQuery

DEPTH: Final = 50
MEASURES: Final = ("Hit@1", "MRR@10", "nDCG@10", "Recall@10", "Recall@50")
_DRAWS: Final = 2_000
_PERMUTATIONS: Final = 9_999
_SEED: Final = 0
# Grades are passed on as gains 2^grade - 1, which gives nDCG exponential gains; the other measures use the same gains.
_SERVES_GAIN: Final = 2**SERVES - 1
_TREC: Final[dict[str, Any]] = {
    "Hit@1": Success(rel=_SERVES_GAIN) @ 1,
    "MRR@10": RR(rel=_SERVES_GAIN) @ 10,
    "nDCG@10": nDCG @ 10,
    "Recall@10": R(rel=_SERVES_GAIN) @ 10,
    "Recall@50": R(rel=_SERVES_GAIN) @ 50,
}

# trec_eval computes the reciprocal rank over the whole list, so lists are cut beforehand.
_MEASURES_OF: Final = {10: MEASURES[:4], DEPTH: MEASURES[4:]}

Scores = dict[str, NDArray[np.float64]]
"""By measure, float64 (queries,) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% bootstrap interval over queries."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference between two settings on the same queries.

    Attributes
    ----------
    mean, low, high : float
        The second setting minus the first, with the 95% bootstrap interval.
    p : float
        The two-sided p-value of the paired randomisation test (Smucker, Allan and Carterette, CIKM 2007).
    """

    mean: float
    low: float
    high: float
    p: float


def score(queries: Sequence[JudgedQuery], ranked: Sequence[Sequence[str]]) -> Scores:
    """Return the measures of each query.

    Parameters
    ----------
    queries : sequence of JudgedQuery
    ranked : sequence of sequence of str
        The names served for each query, best first, distinct; the first `DEPTH` count.
    """
    gains = {str(at): {name: 2**grade - 1 for name, grade in q.expected.items()} for at, q in enumerate(queries)}
    found = {name: np.zeros(len(queries)) for name in MEASURES}
    for depth, names in _MEASURES_OF.items():
        # Scores fall with the place, since trec_eval sorts by score and ignores the order of the list.
        run = {
            str(at): {name: float(-place) for place, name in enumerate(served[:depth])}
            for at, served in enumerate(ranked)
        }
        name_of = {_TREC[name]: name for name in names}
        for each in ir_measures.pytrec_eval.iter_calc(list(name_of), gains, run):
            found[name_of[each.measure]][int(each.query_id)] = each.value
    return found


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of float64 (n,), n > 0, with its interval; for a single query both bounds are its value."""
    low, high = _interval(values)
    return Estimate(float(values.mean()), low, high)


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    """Return the difference of the second setting from the first, float64 (n,) each, query by query."""
    change = second - first
    low, high = _interval(change)
    # One query cannot show that a difference is more than chance, and the test needs two.
    if len(change) == 1 or not change.any():
        return Difference(float(change.mean()), low, high, 1.0)
    tested = stats.permutation_test(
        (first, second),
        lambda one, other, axis: np.mean(other - one, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        rng=np.random.default_rng(_SEED),
    )
    return Difference(float(change.mean()), low, high, float(tested.pvalue))


def by_kind(queries: Sequence[JudgedQuery], scores: Scores) -> Mapping[str, dict[str, Estimate]]:
    """Return the estimates for all queries, and for each kind if there are several, sorted by name."""
    kinds = np.array([each.kind for each in queries])
    parts = {"all": np.ones(len(queries), dtype=bool)}
    if len(set(kinds)) > 1:
        parts |= {str(kind): kinds == kind for kind in sorted(set(kinds))}
    return {
        f"{name} ({part.sum()})": {measure: estimate(values[part]) for measure, values in scores.items()}
        for name, part in parts.items()
    }


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    if len(values) == 1:
        return float(values[0]), float(values[0])
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=_DRAWS, method="percentile", rng=np.random.default_rng(_SEED)
    ).confidence_interval
    return float(found.low), float(found.high)
