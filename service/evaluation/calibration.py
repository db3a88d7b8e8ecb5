"""Measures the scale of a model's cosines on queries with known answers that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from embeddings.scale import BEYOND, Scale
from service.ranking.fusion import DEPTH, LEXICAL_WEIGHT, fused_relevance

FEWEST_QUERIES: Final = 40
TOLD_NOTHING_FITS: Final = 0.03
RIGHT_AT_MEDIUM: Final = 0.80
RIGHT_AT_HIGH: Final = 0.93
FIRST: Final = 3
LEXICAL_WEIGHTS: Final = (0.05, 0.1, 0.15, LEXICAL_WEIGHT, 0.25, 0.3, 0.4, 0.5)

# A level that fewer queries reach is not supported by the data.
_FEWEST_AT_A_LEVEL: Final = 10
_SPREAD_FLOOR: Final = 1e-6
_CUT: Final = 10
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Asked:
    """A query's candidates, in an order that does not depend on which are right.

    Attributes
    ----------
    similarity : float64 (n,), n > 0
        Cosines; NaN where a candidate has no vector, but not everywhere.
    bm25 : float64 (n,)
        Lexical scores; NaN where no word matches.
    right : bool (n,)
        Which of them answer the query.
    answers : int
        The number of skills that answer it, candidates or not; at least 1.
    """

    similarity: NDArray[np.float64]
    bm25: NDArray[np.float64]
    right: NDArray[np.bool_]
    answers: int


def measure_scale(asked: Sequence[Asked], model_id: str, *, words: bool = True) -> Scale | None:
    """Return the scale measured on held-out queries; None if there are fewer than `FEWEST_QUERIES`.

    Parameters
    ----------
    asked : sequence of Asked
        In any order.
    model_id : str
        Recorded in the scale.
    words : bool
        Whether the queries are worded as users would word them. Sentences of the documents themselves are always found
        by full-text search, so in that case words are ignored, and their weight stays `LEXICAL_WEIGHT`.
    """
    if len(asked) < FEWEST_QUERIES:
        return None
    spread = max(float(np.mean([_spread(each.similarity) for each in asked])), _SPREAD_FLOOR)
    weight = _lexical_weight(asked, spread) if words else LEXICAL_WEIGHT
    nearest = np.array([np.nanmax(each.similarity) for each in asked])
    found = np.array([_order(each, spread, weight if words else 0.0)[:FIRST].any() for each in asked])
    low, medium, high = levels(nearest, found)
    return Scale(
        low=low,
        medium=medium,
        high=high,
        spread=spread,
        lexical_weight=weight,
        model_id=model_id,
        queries=len(asked),
    )


def levels(nearest: NDArray[np.float64], found: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the least cosines of low, medium and high confidence, in rising order.

    At most `TOLD_NOTHING_FITS` of the queries are below the first. The others are the cosines from which on the share
    of queries with the right skill among the first `FIRST` is `RIGHT_AT_MEDIUM` and `RIGHT_AT_HIGH`, according to the
    isotonic regression of `found` on `nearest`: no group of queries at or above a level has a lower share. The share of
    all queries at or above a level would let many certain queries hide a few doubtful ones. A level that fewer than ten
    queries reach is beyond every cosine (`embeddings.scale.BEYOND`).

    Parameters
    ----------
    nearest : float64 (n,), n > 0
        The cosine of each query's most similar skill.
    found : bool (n,)
        Whether the right skill was among the first.

    References
    ----------
    .. [1] Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates",
       KDD 2002.
    """
    low = float(np.sort(nearest)[int(TOLD_NOTHING_FITS * nearest.size + _ROUNDING)])
    cosines, of, counts = np.unique(nearest, return_inverse=True, return_counts=True)
    shares = isotonic_regression(np.bincount(of, weights=found) / counts, weights=counts).x
    reaching = counts[::-1].cumsum()[::-1]

    def level(share: float) -> float:
        places = np.flatnonzero((shares >= share - _ROUNDING) & (cosines >= low))
        if places.size == 0 or reaching[places[0]] < _FEWEST_AT_A_LEVEL:
            return BEYOND
        return float(cosines[places[0]])

    return low, level(RIGHT_AT_MEDIUM), level(RIGHT_AT_HIGH)


def _spread(similarity: NDArray[np.float64]) -> float:
    return float(np.sort(similarity[~np.isnan(similarity)])[::-1][:DEPTH].std())


def _lexical_weight(asked: Sequence[Asked], spread: float) -> float:
    """Return the weight closest to the default whose nDCG is within one standard error of the best."""
    scores = np.array([[_ndcg(each, spread, weight) for each in asked] for weight in LEXICAL_WEIGHTS])
    lost = scores[scores.mean(axis=1).argmax()] - scores
    error = lost.std(axis=1, ddof=1) / np.sqrt(len(asked))
    good = [weight for weight, each in zip(LEXICAL_WEIGHTS, lost.mean(axis=1) <= error, strict=True) if each]
    return min(good, key=lambda weight: abs(weight - LEXICAL_WEIGHT))


def _order(each: Asked, spread: float, weight: float) -> NDArray[np.bool_]:
    """Return which candidates are right, best first."""
    fused = fused_relevance(each.similarity, each.bm25, spread=spread, lexical_weight=weight)
    return each.right[np.argsort(-fused, kind="stable")]


def _ndcg(each: Asked, spread: float, weight: float) -> float:
    discounts = 1 / np.log2(np.arange(2, _CUT + 2))
    right = _order(each, spread, weight)[:_CUT]
    return float(discounts[: right.size][right].sum() / discounts[: each.answers].sum())
