"""Measures how well queries find the document that is known to answer them."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Means over queries, each in [0, 1]."""

    hit_at_1: float
    ndcg_at_10: float
    recall_at_50: float


def measure(
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    asked_of: NDArray[np.str_],
    ids: NDArray[np.str_],
) -> Found:
    """Rank all documents for each query by cosine.

    Parameters
    ----------
    queries : float32 (queries, dimension), rows L2-normalised
    documents : float32 (documents, dimension), rows L2-normalised
    asked_of : str (queries,)
        The id of the document that answers each query. As it alone is relevant, nDCG is 1 / log2(1 + rank).
    ids : str (documents,)
        Of several texts with the same id, the nearest represents the document.
    """
    cosines = queries @ documents.T
    right = asked_of[:, None] == ids
    nearest = np.where(right, cosines, -np.inf).max(axis=1)
    above = ((cosines > nearest[:, None]) & ~right).sum(axis=1)
    return Found(
        hit_at_1=round(float((above == 0).mean()), 4),
        ndcg_at_10=round(float(np.where(above < 10, 1 / np.log2(above + 2), 0.0).mean()), 4),  # noqa: PLR2004  at 10
        recall_at_50=round(float((above < 50).mean()), 4),  # noqa: PLR2004  at 50
    )
