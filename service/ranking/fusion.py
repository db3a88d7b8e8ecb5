"""How well candidates fit a query: the sum of their similarity in meaning and in words.

The similarity of a document is that of its whole text and, for a small part, of the most similar of its first chunks.
Both sides count by their values, not by their ranks within one query: ten shared words are more evidence than one, and
a skill far ahead of all others is more than one among many (DECISIONS.md, 48).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# The number of candidates from each side, and of the most similar skills from which the spread is estimated.
DEPTH: Final = 200
# For models without a scale; the better a model, the less words add.
LEXICAL_WEIGHT: Final = 0.2
# The share of the most similar chunk in a skill's similarity. Values from 0.1 to 0.2 hardly differ on held-out queries.
CHUNK_WEIGHT: Final = 0.15
_SPREAD_FLOOR: Final = 1e-9


def fused_relevance(
    similarity: NDArray[np.float64],
    bm25: NDArray[np.float64],
    chunk: NDArray[np.float64] | None = None,
    /,
    *,
    spread: float | None = None,
    lexical_weight: float = LEXICAL_WEIGHT,
) -> NDArray[np.float64]:
    """Return the fused score of each candidate, higher is better.

    Parameters
    ----------
    similarity : float64 (n,)
        Cosines in [-1, 1]; NaN where a candidate has no vector.
    bm25 : float64 (n,)
        Lexical scores, higher is better; NaN where no word matches or `DEPTH` others match better.
    chunk : float64 (n,), optional
        The cosine of each candidate's most similar chunk, in [-1, 1]; NaN where it is not known, and only the whole
        document counts.
    spread : float, optional
        The standard deviation of the cosines of the `DEPTH` most similar skills, as measured for the model. Where it
        was not measured, it is estimated from these candidates.
    lexical_weight : float
        Units of `spread` per unit of `bm25`.

    Returns
    -------
    float64 (n,)
        In units of `spread`. A missing cosine counts as the lowest of the `DEPTH` best, a missing lexical score as the
        lowest one when `DEPTH` candidates have one, else as 0.
    """
    return _semantic(similarity, chunk, spread) + lexical_weight * _lexical(bm25)


def _semantic(
    similarity: NDArray[np.float64], chunk: NDArray[np.float64] | None, spread: float | None
) -> NDArray[np.float64]:
    nearest = np.sort(similarity[~np.isnan(similarity)])[::-1][:DEPTH]
    if nearest.size == 0:
        return np.zeros_like(similarity)
    unit = float(nearest.std()) if spread is None else spread
    known = np.where(np.isnan(similarity), nearest[-1], similarity)
    if chunk is not None:
        known = np.where(np.isnan(chunk), known, (1.0 - CHUNK_WEIGHT) * known + CHUNK_WEIGHT * chunk)
    # Equal cosines carry no information.
    return np.asarray((known - nearest.mean()) / unit if unit > _SPREAD_FLOOR else np.zeros_like(known))


def _lexical(bm25: NDArray[np.float64]) -> NDArray[np.float64]:
    known = bm25[~np.isnan(bm25)]
    return np.where(np.isnan(bm25), known.min() if known.size >= DEPTH else 0.0, bm25)
