"""Older outcomes count less: forward exponential decay.

A use on day t has weight 2^(t / half-life), and every sum is divided by the weight of the present day when it is read.
So sums change only by addition, in any order, and nothing is rewritten as time passes (Cormode, Shkapenyuk, Srivastava
and Xu, "Forward decay", ICDE 2009).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

HALF_LIFE_DAYS: Final = 90.0
_LANDMARK: Final = datetime(2024, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY: Final = 86_400.0
# Squares of 2^±400 times any count stay finite; at 90 days that is half a century on either side of the landmark.
_MOST_HALF_LIVES: Final = 200.0


def days_since_landmark(moment: datetime) -> float:
    """Return the time as days, negative before the landmark (2024-01-01 UTC)."""
    return (moment - _LANDMARK).total_seconds() / _SECONDS_A_DAY


def decay_weight(days: float | NDArray[np.float64], *, half_life_days: float = HALF_LIFE_DAYS) -> NDArray[np.float64]:
    """Return 2^(days / half-life), finite and positive for any day.

    Parameters
    ----------
    days : float or float64 (n,)
        Days since the landmark.
    half_life_days : float
        The number of days after which a use counts half.
    """
    return np.asarray(np.exp2(np.clip(np.asarray(days) / half_life_days, -_MOST_HALF_LIVES, _MOST_HALF_LIVES)))
