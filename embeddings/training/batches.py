"""Puts documents that are easily confused into the same step, where they are negatives for each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# How many confusable documents are considered when a group is filled.
_LOOKED_AT = 30


def grouped_order(
    mistaken: NDArray[np.float32], duplicate: NDArray[np.bool_], *, group_size: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Return all documents in an order in which neighbours are easily confused.

    Parameters
    ----------
    mistaken : float32 (documents, documents)
        Similarity of the row's queries to the column's document.
    duplicate : bool (documents, documents)
        Pairs that say the same, which are never put into one group.
    group_size : int
        Each group has a document drawn at random and those that are most often mistaken for it and still free.
    random : numpy.random.Generator
        Draws the first document of each group and the order of the groups.

    Returns
    -------
    intp (documents,)
        A permutation.
    """
    free = np.ones(len(mistaken), bool)
    groups: list[list[int]] = []
    for first in random.permutation(len(mistaken)):
        if not free[first]:
            continue
        free[first] = False
        group = [int(first)]
        for other in np.argsort(-mistaken[first], kind="stable")[:_LOOKED_AT]:
            if len(group) == group_size:
                break
            if free[other] and not duplicate[group, other].any():
                free[other] = False
                group.append(int(other))
        groups.append(group)
    return np.array([row for place in random.permutation(len(groups)) for row in groups[place]], np.intp)
