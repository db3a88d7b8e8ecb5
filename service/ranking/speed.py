"""How much faster a skill is than the others that answer this query.

Durations are compared on the log scale. A use that ended without success shows only that success would have taken
longer: it is censored, and replaced by the expected duration beyond that point (Buckley and James, "Linear regression
with censored data", Biometrika 1979). Log durations are assumed to be logistic, so that this has a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PRIOR_USES: Final = 5.0
_USUAL_SPREAD: Final = 0.6
_SPREAD_USES: Final = 10.0
_LOGISTIC_SCALE: Final = float(np.sqrt(3.0) / np.pi)
_ROUNDS: Final = 5
_FARTHEST: Final = 30.0


@dataclass(frozen=True, slots=True)
class Durations:
    """Weighted sums of each skill's log durations; float64 (n,), counts 0 or more.

    `timed` counts completed uses, with the sums of their logs and squared logs; `censored` counts the others, with
    the sum of the logs of the times at which they ended.
    """

    timed: NDArray[np.float64]
    log_seconds: NDArray[np.float64]
    log_seconds_squared: NDArray[np.float64]
    censored: NDArray[np.float64]
    censored_log_seconds: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """Each skill's typical duration and the gain from it; float64 (n,).

    `seconds` is the geometric mean, with censored uses replaced by their expectation; NaN without a completed use.
    `gain` is in log units, positive is faster, exactly 0 without evidence.
    """

    seconds: NDArray[np.float64]
    gain: NDArray[np.float64]


def pace(durations: Durations, among: NDArray[np.bool_]) -> Pace:
    """Return each skill's pace, compared with the skills in `among`.

    Parameters
    ----------
    durations : Durations
    among : bool (n,)
        The skills that answer the query; only they are compared, and it takes two with a completed use.

    Returns
    -------
    Pace
        Each gain is shrunk as if `PRIOR_USES` uses had taken the typical time. Censored uses never make a skill
        faster than its completed ones alone.
    """
    known = durations.timed > 0
    uses = np.where(known, durations.timed, 1.0)
    mean = np.where(known, durations.log_seconds / uses, 0.0)
    squared = np.maximum(np.where(known, durations.log_seconds_squared / uses - mean**2, 0.0), 0.0)
    weight = durations.timed[known].sum()
    variance = ((durations.timed * squared)[known].sum() + _SPREAD_USES * _USUAL_SPREAD**2) / (weight + _SPREAD_USES)
    completed = _completed_mean(durations, mean, known, float(np.sqrt(variance)) * _LOGISTIC_SCALE)
    compared = known & among
    gain = np.zeros_like(mean)
    if compared.sum() >= 2:  # noqa: PLR2004  a comparison takes two
        trust = durations.timed / (durations.timed + PRIOR_USES)
        typical = float((trust * completed)[compared].sum() / trust[compared].sum())
        gain = np.where(compared, trust * (typical - completed), 0.0)
    return Pace(seconds=np.where(known, np.exp(completed), np.nan), gain=gain)


def _completed_mean(
    durations: Durations, mean: NDArray[np.float64], known: NDArray[np.bool_], scale: float
) -> NDArray[np.float64]:
    """Return the mean log duration with censored uses at their expected one, by iteration from the plain mean."""
    censored = np.where(known, durations.censored, 0.0)
    ended = np.where(censored > 0, durations.censored_log_seconds / np.where(censored > 0, censored, 1.0), 0.0)
    share = censored / np.where(known, durations.timed + censored, 1.0)
    completed = mean
    for _ in range(_ROUNDS if censored.any() else 0):
        past = np.minimum(np.maximum((ended - completed) / scale, -_FARTHEST), _FARTHEST)
        beyond = ended + scale * np.log1p(np.exp(-past)) * (1.0 + np.exp(past))
        completed = (1.0 - share) * mean + share * np.maximum(beyond, completed)
    return completed
