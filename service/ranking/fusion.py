"""How well candidates fit a query: how near they are in meaning and how much of its wording they share, added up.

A document is near as a whole and, for a small part, by the nearest of its first chunks. Meaning and words count as they
are, not by how they compare within one query: ten shared words are more evidence than one, and a nearest skill that
stands alone is more than one among many (DECISIONS.md, 23).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# How many candidates each side gives, and how many of the nearest show how far apart a model puts skills.
DEPTH: Final = 200
# For a model of which nothing is known; the better a model, the less words add.
LEXICAL_WEIGHT: Final = 0.2
# A skill is as near as its whole document and, to this part, as its nearest chunk. Held-out queries hardly tell 0.1
# to 0.2 apart.
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
        Lexical scores, higher is better; NaN where no word matches, or `DEPTH` others match better.
    chunk : float64 (n,), optional
        Cosines of each candidate's nearest chunk, in [-1, 1]; NaN where it is not known, and the document stands alone.
    spread : float, optional
        The standard deviation of the cosines of the `DEPTH` nearest skills, as it usually is for the model. For a
        model of which that is not known, it is taken from these candidates.
    lexical_weight : float
        How many units of `spread` one unit of `bm25` is worth.

    Returns
    -------
    float64 (n,)
        In units of `spread`. A missing cosine counts as the lowest of the nearest, a missing lexical score as the
        lowest there is when `DEPTH` candidates have one, else as 0.
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
    # Where all are equally near, meaning tells nothing.
    return np.asarray((known - nearest.mean()) / unit if unit > _SPREAD_FLOOR else np.zeros_like(known))


def _lexical(bm25: NDArray[np.float64]) -> NDArray[np.float64]:
    known = bm25[~np.isnan(bm25)]
    return np.where(np.isnan(bm25), known.min() if known.size >= DEPTH else 0.0, bm25)
