"""What is believed of a skill's success and speed from its recorded uses.

A rate over few uses is mostly luck, so both estimates are shrunk: success towards the rate over all skills, speed
towards the typical duration among the skills it is compared with.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# How much a use that did not complete counts as a failure of the skill. Somebody who cancels says nothing about the
# skill; a use that was left open may have been forgotten as well as given up.
FAILURE_WEIGHT: Final = {"failed": 1.0, "abandoned": 0.5, "cancelled": 0.0}

PRIOR_USES: Final = 8.0
PRIOR_RATE_RANGE: Final = (0.1, 0.9)
SPEED_PRIOR_USES: Final = 5.0
_SECONDS_FLOOR: Final = 0.1


def prior_rate(completed: int, finished: int) -> float:
    """Return the success rate to expect of a skill nobody has used, in `PRIOR_RATE_RANGE`.

    The bounds keep the prior from being so sure that few uses could outweigh many.
    """
    return float(np.clip((completed + 1) / (finished + 2), *PRIOR_RATE_RANGE))


def success_posterior(
    successes: NDArray[np.float64], failures: NDArray[np.float64], prior: float
) -> NDArray[np.float64]:
    """Return the mean of each skill's Beta posterior, in (0, 1).

    Parameters
    ----------
    successes, failures : float64 (n,)
        Weighted counts, 0 or more.
    prior : float
        The prior's mean; it counts as `PRIOR_USES` uses.
    """
    return (successes + PRIOR_USES * prior) / (successes + failures + PRIOR_USES)


def success_gain(successes: NDArray[np.float64], failures: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Return by how many logits each skill's success stands above the prior; exactly 0 without evidence."""
    gain = _logit(success_posterior(successes, failures, prior)) - _logit(np.float64(prior))
    return np.where(successes + failures > 0, gain, 0.0)


def speed_gain(seconds: NDArray[np.float64], uses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much faster each skill is than is typical here, in log units; exactly 0 without evidence.

    Parameters
    ----------
    seconds : float64 (n,)
        A typical duration of each skill's completed uses, NaN without any.
    uses : float64 (n,)
        How many durations stand behind it.

    Returns
    -------
    float64 (n,)
        Positive is faster. The comparison is with the weighted mean of the log durations, so it needs two skills
        with evidence; each is shrunk as if `SPEED_PRIOR_USES` uses had taken the typical time.
    """
    known = ~np.isnan(seconds) & (uses > 0)
    if known.sum() < 2:  # noqa: PLR2004  a comparison takes two
        return np.zeros_like(seconds)
    logs = np.log(np.maximum(np.where(known, seconds, 1.0), _SECONDS_FLOOR))
    trust = np.where(known, uses / (uses + SPEED_PRIOR_USES), 0.0)
    typical = float((trust * logs).sum() / trust.sum())
    return np.where(known, trust * (typical - logs), 0.0)


def _logit(p: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)
