"""Which skills go together: used one after another, or in the same phase of a workflow.

"After X, people who succeeded used Y" is a lift: how much more often the pair occurs than its parts' frequencies
predict. Pseudo-counts on both sides keep the lift of rare pairs small.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SMOOTHING: Final = 4.0


def lift(together: NDArray[np.float64], left: float, right: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """Return the smoothed log lift of each skill in one context, exactly 0 without any count.

    Parameters
    ----------
    together : float64 (n,)
        How often each skill succeeded in the context, 0 or more.
    left : float
        How often anything succeeded in the context.
    right : float64 (n,)
        How often each skill succeeded at all.
    total : float
        How often anything succeeded at all.

    Returns
    -------
    float64 (n,)
        log((together + s) / (expected + s)) with s = `SMOOTHING`: finite, and rising in `together`.
    """
    expected = left * right / total if total > 0 else np.zeros_like(right)
    return np.log((together + SMOOTHING) / (expected + SMOOTHING))


def preference(preferred: NDArray[np.float64], passed_over: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smoothed log-odds of being preferred over skills listed above, against being passed over.

    Parameters
    ----------
    preferred, passed_over : float64 (n,)
        Weighted counts of choices that succeeded, 0 or more (`evidence.Stat`).

    Returns
    -------
    float64 (n,)
        Exactly 0 without any choice.
    """
    return np.log((preferred + SMOOTHING) / (passed_over + SMOOTHING))
