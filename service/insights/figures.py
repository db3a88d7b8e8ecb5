"""Figures with their intervals, or with the reason why there is none."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from service.insights import sentences
from service.insights.inference import Estimate, wilson
from service.text import counted

# A share of fewer trials would change with the next few.
LEAST_TRIALS: Final = 20


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A share of trials; where there is not enough data, `share` is None and `reason` says so."""

    n: int
    of: int
    share: Interval | None
    reason: str | None


def interval(estimate: Estimate, place: int) -> Interval | None:
    """Return one of many estimates, None where there is none."""
    value, low, high = (float(column[place]) for column in (estimate.value, estimate.low, estimate.high))
    return None if np.isnan(value) else Interval(value=value, low=low, high=high)


def rate(n: int, of: int, trial: str, trials: str | None = None) -> Rate:
    """Return the share `n` of `of` trials; `trial` names one in words, `trials` several."""
    if of < LEAST_TRIALS:
        return Rate(n=n, of=of, share=None, reason=sentences.too_few(counted(of, trial, trials), LEAST_TRIALS))
    found = wilson([n], [of])
    return Rate(n=n, of=of, share=interval(found, 0), reason=None)
