"""Overdispersion: how much more than by chance values scatter, estimated for each with the help of all others."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights.findings import Floats

# With fewer values there is too little information about a common distribution.
MIN_THINGS: Final = 10
_ROUNDS: Final = 50


def moderated(scatter: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Shrink estimates of scatter towards their common value, as far as they differ from it by chance.

    Empirical Bayes estimation of variances (Smyth, "Linear models and empirical Bayes methods", Statistical
    Applications in Genetics and Molecular Biology 3, 2004): a few weeks say little about the scatter of one skill, but
    a hundred skills show which scatter to expect.

    Parameters
    ----------
    scatter : float64 (things,)
        Mean squares, > 0 in theory; 0 is taken as very small.
    freedom : float64 (things,)
        Their degrees of freedom, at least 1.

    Returns
    -------
    tuple of float64 (things,)
        The moderated mean squares and their degrees of freedom.
    """
    if len(scatter) < MIN_THINGS:
        return scatter, freedom
    from scipy.special import digamma, polygamma  # noqa: PLC0415  only who asks for insights waits for SciPy

    half = freedom / 2.0
    centred = np.log(np.maximum(scatter, 1e-3)) - digamma(half) + np.log(half)
    middle = float(centred.mean())
    excess = float(((centred - middle) ** 2).sum() / (len(centred) - 1) - polygamma(1, half).mean())
    if excess <= 0:
        # All have the same scatter, so the pooled estimate holds for each.
        return np.full_like(scatter, np.exp(middle)), np.full_like(freedom, float(freedom.sum()))
    prior = _half_of_prior(excess)
    usual = np.exp(middle + digamma(prior) - np.log(prior))
    together = freedom + 2.0 * prior
    return (freedom * scatter + 2.0 * prior * usual) / together, together


def _half_of_prior(excess: float) -> float:
    """Return x with trigamma(x) = `excess`, by Newton's method on its reciprocal, which is nearly linear."""
    from scipy.special import polygamma  # noqa: PLC0415  see above

    x = 0.5 + 1.0 / excess
    for _ in range(_ROUNDS):
        value = float(polygamma(1, x))
        step = value * (1.0 - value / excess) / float(polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            break
    return x
