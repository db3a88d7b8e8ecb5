"""Which past queries are similar to this one.

Queries are assigned to cells by cross-polytope hashing: a cell is the nearest of many seeded random axes, with its sign
(Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt, "Practical and optimal LSH for angular distance", NeurIPS 2015). A
cell depends on the vector alone, so the sums of a history do not depend on the order in which it arrived, as they would
with online clustering. The similarity of a query and a cell is measured with the mean of the cell's queries.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

AXES: Final = 1024
MAX_CELLS: Final = 2 * AXES
_SEED: Final = 20_240_101
# With the default model, 95% of unrelated pairs of everyday queries have a cosine below 0.15 and all below 0.33.
# Paraphrases of one task lie between 0.36 and 0.60 (10% to 75%), and are closer to the mean of several.
UNLIKE_BELOW: Final = 0.2
ALIKE_FROM: Final = 0.5


def cells_of(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each query's cell, in [0, `MAX_CELLS`).

    Parameters
    ----------
    vectors : float32 (n, dimension)
        Not zero; only the direction counts.
    """
    along = vectors @ _axes(vectors.shape[1])
    nearest = np.abs(along).argmax(axis=1)
    positive = along[np.arange(len(along)), nearest] > 0
    return np.asarray(2 * nearest + positive, dtype=np.int64)


def alikeness(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of evidence from queries at these cosines, in [0, 1].

    It rises smoothly from 0 at `UNLIKE_BELOW` to 1 at `ALIKE_FROM`: exactly 0 for unrelated queries, so that many of
    them do not add up, and exactly 1 for paraphrases.
    """
    step = np.clip((cosines - UNLIKE_BELOW) / (ALIKE_FROM - UNLIKE_BELOW), 0.0, 1.0)
    return step * step * (3.0 - 2.0 * step)


@lru_cache(maxsize=8)
def _axes(dimension: int) -> NDArray[np.float32]:
    axes = np.random.default_rng([_SEED, dimension]).standard_normal((dimension, AXES)).astype(np.float32)
    return np.asarray(axes / np.linalg.norm(axes, axis=0))
