"""What was seen of a served list.

Two models. The cascade (Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click position-bias
models", WSDM 2008) says of one list what was surely passed over: everything above what was taken. The position-based
model says how likely a position is looked at at all, fitted by expectation maximisation (Wang, Golbandi, Bendersky,
Metzler and Najork, "Position bias estimation for unbiased learning to rank", WSDM 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 100
_STARTING_VIEWS: Final = 2.0


def passed_over(served: Sequence[str], taken: Sequence[str], chosen: str) -> tuple[str, ...]:
    """Return what stood above the chosen skill and was never taken from this list, in the order served.

    What stood below may not have been seen, so it is not judged. A skill that is not in the list was found
    otherwise, and nothing was passed over for it.
    """
    if chosen not in served:
        return ()
    above = served[: served.index(chosen)]
    return tuple(name for name in above if name not in taken)


@dataclass(frozen=True, slots=True)
class PositionModel:
    """How lists are read.

    Attributes
    ----------
    looked : float64 (positions,)
        How likely each position is looked at, beside the first; in (0, 1], 1 at the first, never rising.
    attraction : float64 (skills,)
        How likely each skill is taken once it is looked at, in (0, 1).
    """

    looked: NDArray[np.float64]
    attraction: NDArray[np.float64]


def fit_position_model(shown: NDArray[np.float64], taken: NDArray[np.float64]) -> PositionModel:
    """Tell apart how likely a position is looked at and how much is wanted of what stands there.

    Parameters
    ----------
    shown, taken : float64 (skills, positions)
        How often each skill was served at each position, and how often it was then taken.

    Returns
    -------
    PositionModel
        Without any choice nothing is known against any position: all are looked at.
    """
    positions = shown.shape[1]
    # From all looked at, expectation maximisation would never leave: everything unseen would count as unwanted.
    looked = 1.0 / np.arange(1, positions + 1) if taken.sum() > 0 else np.ones(positions)
    attraction = (taken.sum(axis=1) + 1.0) / (shown.sum(axis=1) + _STARTING_VIEWS)
    for _ in range(_ROUNDS if taken.sum() > 0 else 0):
        both = attraction[:, None] * looked
        unseen = 1.0 / np.maximum(1.0 - both, 1e-9)
        # Not taken: looked at but not wanted, or wanted but not looked at.
        seen = taken + (shown - taken) * looked * (1.0 - attraction[:, None]) * unseen
        wanted = taken + (shown - taken) * attraction[:, None] * (1.0 - looked) * unseen
        looked = (seen.sum(axis=0) + _STARTING_VIEWS) / (shown.sum(axis=0) + _STARTING_VIEWS)
        attraction = (wanted.sum(axis=1) + 1.0) / (shown.sum(axis=1) + _STARTING_VIEWS)
        looked = np.minimum.accumulate(looked / looked[0])
    return PositionModel(looked, attraction)
