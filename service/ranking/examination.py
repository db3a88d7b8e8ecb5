"""Which lines of a served list were seen.

There are two models. In the cascade model (Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click
position-bias models", WSDM 2008), everything above the chosen line was seen and passed over. The position-based model
estimates the probability that a position is seen at all, by expectation maximisation (Wang, Golbandi, Bendersky,
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
    """Return the skills above the chosen one that were never chosen from this list, in the order served.

    Skills below may not have been seen, so nothing is concluded about them. A skill that is not in the list was found
    in another way, and nothing was passed over for it.
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
        The probability that each position is seen, relative to the first; in (0, 1], 1 at the first, never rising.
    attraction : float64 (skills,)
        The probability that each skill is chosen once it is seen, in (0, 1).
    """

    looked: NDArray[np.float64]
    attraction: NDArray[np.float64]


def fit_position_model(shown: NDArray[np.float64], taken: NDArray[np.float64]) -> PositionModel:
    """Separate the probability that a position is seen from the attraction of the skills at it.

    Parameters
    ----------
    shown, taken : float64 (skills, positions)
        How often each skill was served at each position, and how often it was then chosen.

    Returns
    -------
    PositionModel
        Without any choice, all positions count as seen.
    """
    positions = shown.shape[1]
    # Expectation maximisation would never leave the start "everything is seen", where all unchosen skills are unwanted.
    looked = 1.0 / np.arange(1, positions + 1) if taken.sum() > 0 else np.ones(positions)
    attraction = (taken.sum(axis=1) + 1.0) / (shown.sum(axis=1) + _STARTING_VIEWS)
    for _ in range(_ROUNDS if taken.sum() > 0 else 0):
        both = attraction[:, None] * looked
        unseen = 1.0 / np.maximum(1.0 - both, 1e-9)
        # Not chosen: seen but not wanted, or wanted but not seen.
        seen = taken + (shown - taken) * looked * (1.0 - attraction[:, None]) * unseen
        wanted = taken + (shown - taken) * attraction[:, None] * (1.0 - looked) * unseen
        looked = (seen.sum(axis=0) + _STARTING_VIEWS) / (shown.sum(axis=0) + _STARTING_VIEWS)
        attraction = (wanted.sum(axis=1) + 1.0) / (shown.sum(axis=1) + _STARTING_VIEWS)
        looked = np.minimum.accumulate(looked / looked[0])
    return PositionModel(looked, attraction)
