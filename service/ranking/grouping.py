"""Near-identical skills share one place of a list.

They answer a query equally well, whatever small difference in wording made one more relevant than another. So within a
group relevance only breaks ties, and outcomes decide which one is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The weight of differences in relevance within a group: enough to order it when nothing else does.
_WITHIN: Final = 1e-6


def shared_relevance(relevance: NDArray[np.float64], groups: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return the relevance with every group as relevant as its best member.

    Parameters
    ----------
    relevance : float64 (n,)
    groups : sequence of sequence of int
        Places in `relevance`; no place is in two groups.

    Returns
    -------
    float64 (n,)
        The order of groups and single skills is that of their best members; members of a group keep their order.
    """
    shared = relevance.copy()
    for group in groups:
        members = np.asarray(group, dtype=np.intp)
        best = relevance[members].max()
        shared[members] = best - _WITHIN * (best - relevance[members])
    return shared


def representatives(order: NDArray[np.intp], groups: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """Return which places each served place represents.

    Parameters
    ----------
    order : intp (n,)
        Places, best first.
    groups : sequence of sequence of int

    Returns
    -------
    dict of int to list of int
        In the order of `order`: each ungrouped place with an empty list, and the first of each group with its other
        members, best first.
    """
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    first: dict[int, int] = {}
    found: dict[int, list[int]] = {}
    for place in order.tolist():
        number = group_of.get(place)
        if number in first:
            found[first[number]].append(place)
            continue
        found[place] = []
        if number is not None:
            first[number] = place
    return found
