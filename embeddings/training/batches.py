"""Puts documents that are mistaken for each other into one step, where they are each other's negatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Further mistaken documents than these are not looked at when a group is filled.
_LOOKED_AT = 30


def grouped_order(
    mistaken: NDArray[np.float32], duplicate: NDArray[np.bool_], *, group_size: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Return all documents in an order in which neighbours are hard to tell apart.

    Parameters
    ----------
    mistaken : float32 (documents, documents)
        How near the row's queries come to the column's document.
    duplicate : bool (documents, documents)
        Pairs that cannot be told apart, which are put into no group together.
    group_size : int
        Each group has a document drawn at random and the most mistaken ones for it that are still free.
    random : numpy.random.Generator
        Draws the first of each group, and the order of groups.

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
