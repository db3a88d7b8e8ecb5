"""Figures as they are told: with their interval, or the words that there is too little to tell."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from service.insights.inference import Estimate, wilson

# A share of fewer trials says nothing that would not change with the next few.
LEAST_TRIALS: Final = 20


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A share of trials; `share` is None and `reason` says so where there is not enough data."""

    n: int
    of: int
    share: Interval | None
    reason: str | None


def interval(estimate: Estimate, place: int) -> Interval | None:
    """Return one of many estimates, None where there is none."""
    value, low, high = (float(column[place]) for column in (estimate.value, estimate.low, estimate.high))
    return None if np.isnan(value) else Interval(value=value, low=low, high=high)


def rate(n: int, of: int, what: str) -> Rate:
    """Return the share `n` of `of` trials; `what` names the trials in words."""
    if of < LEAST_TRIALS:
        return Rate(n=n, of=of, share=None, reason=f"not enough data: {of} {what}, {LEAST_TRIALS} are needed")
    found = wilson([n], [of])
    return Rate(n=n, of=of, share=interval(found, 0), reason=None)
