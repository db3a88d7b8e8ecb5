"""Intervals and tests for proportions, over many comparisons at once.

Arrays are float64 or int64; without data the result is NaN, or a p-value of 1, never an error. SciPy is imported when
it is first needed, so that starting the service and searching do not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL: Final = 0.95
# Results are reported up to this false discovery rate.
FALSE_DISCOVERY_RATE: Final = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Values with their intervals; arrays of one shape, NaN without data."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Strata:
    """Counts of successes with and without something, by comparison and stratum; arrays are (rows,).

    Attributes
    ----------
    comparison : int64
        The comparison of each row, in [0, comparisons).
    passed_with, total_with, passed_without, total_without : int64
        ``0 ≤ passed ≤ total``.
    comparisons : int
    """

    comparison: NDArray[np.int64]
    passed_with: NDArray[np.int64]
    total_with: NDArray[np.int64]
    passed_without: NDArray[np.int64]
    total_without: NDArray[np.int64]
    comparisons: int

    def total(self, terms: NDArray[Any]) -> Floats:
        """Sum one term of each row by comparison; (comparisons,)."""
        return np.asarray(np.bincount(self.comparison, weights=terms, minlength=self.comparisons), dtype=np.float64)


def wilson(successes: ArrayLike, totals: ArrayLike, *, level: float = LEVEL) -> Estimate:
    """Return proportions with Wilson's score interval, which stays inside [0, 1] (Wilson, JASA 1927)."""
    hits, n = np.asarray(successes, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    z = NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = hits / n
        middle = (hits + z * z / 2) / (n + z * z)
        half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    # Rounding must not leave the proportion outside its own interval at 0 and 1.
    return Estimate(
        rate, np.minimum(np.clip(middle - half, 0, 1), rate), np.maximum(np.clip(middle + half, 0, 1), rate)
    )


def newcombe(
    passed_with: ArrayLike,
    total_with: ArrayLike,
    passed_without: ArrayLike,
    total_without: ArrayLike,
    *,
    level: float = LEVEL,
) -> Estimate:
    """Return differences of two independent proportions, with minus without, with the hybrid score interval.

    Method 10 of Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998).
    """
    one, other = wilson(passed_with, total_with, level=level), wilson(passed_without, total_without, level=level)
    difference = one.value - other.value
    below = np.hypot(one.value - one.low, other.high - other.value)
    above = np.hypot(one.high - one.value, other.value - other.low)
    return Estimate(difference, difference - below, difference + above)


def pooled_difference(strata: Strata, *, level: float = LEVEL) -> Estimate:
    """Return the Mantel–Haenszel difference of proportions over strata, with minus without; (comparisons,).

    Only strata with both sides count. The variance is that of Sato (Biometrics 45, 1989), which is valid both for many
    small strata and for a few large ones.
    """
    x1, n1 = strata.passed_with.astype(np.float64), strata.total_with.astype(np.float64)
    x0, n0 = strata.passed_without.astype(np.float64), strata.total_without.astype(np.float64)
    both = (n1 > 0) & (n0 > 0)
    n = np.where(both, n1 + n0, 1.0)
    weight = strata.total(np.where(both, n1 * n0 / n, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = strata.total(np.where(both, (x1 * n0 - x0 * n1) / n, 0.0)) / weight
        slope = strata.total(np.where(both, (n1**2 * x0 - n0**2 * x1 + n1 * n0 * (n0 - n1) / 2) / n**2, 0.0))
        scatter = strata.total(np.where(both, (x1 * (n0 - x0) + x0 * (n1 - x1)) / (2 * n), 0.0))
        half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(np.maximum(value * slope + scatter, 0.0)) / weight
    return Estimate(value, np.maximum(value - half, -1.0), np.minimum(value + half, 1.0))


def cochran_mantel_haenszel(strata: Strata) -> Floats:
    """Return two-sided p-values for equal success with and without within every stratum; (comparisons,).

    Cochran (Biometrics 10, 1954), Mantel and Haenszel (JNCI 22, 1959), without continuity correction. Where nothing
    varies inside any stratum the p-value is 1.
    """
    from scipy.special import chdtrc  # noqa: PLC0415  see above

    n1, n0 = strata.total_with.astype(np.float64), strata.total_without.astype(np.float64)
    n, passed = n1 + n0, strata.passed_with + strata.passed_without
    some, several = np.maximum(n, 1.0), np.maximum(n - 1.0, 1.0)
    surplus = strata.total(strata.passed_with - n1 * passed / some)
    variance = strata.total(n1 * n0 * passed * (n - passed) / (some**2 * several))
    varies = variance > 0
    chi_squared = np.where(varies, surplus**2 / np.where(varies, variance, 1.0), 0.0)
    return np.asarray(chdtrc(1, chi_squared), dtype=np.float64)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return q-values: the false discovery rate if all results up to each were accepted (JRSS B 57, 1995)."""
    told = np.asarray(p_values, dtype=np.float64)
    if told.size == 0:
        return told
    from scipy.stats import false_discovery_control  # noqa: PLC0415  see above

    return np.asarray(false_discovery_control(told), dtype=np.float64)
