"""The posterior of each skill's success for a query: a beta distribution, with its credible interval.

The record is split in two. Outcomes of similar queries are the data; outcomes of other queries form the prior for them,
which in turn starts from the prior of the skill's category (`prior`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.prior import Prior

# How far, in units of its spread, a posterior must be from the prior before it moves the score.
CAUTION: Final = 0.4
INTERVAL: Final = 0.8
_REACH: Final = 8.0
_GRID: Final = 201


@dataclass(frozen=True, slots=True)
class Record:
    """Weighted counts of each skill, for similar queries and for others; float64 (n,), 0 or more."""

    near_successes: NDArray[np.float64]
    near_failures: NDArray[np.float64]
    other_successes: NDArray[np.float64]
    other_failures: NDArray[np.float64]

    @property
    def trials(self) -> NDArray[np.float64]:
        """The number of uses of each skill, for any query."""
        return self.near_successes + self.near_failures + self.other_successes + self.other_failures


@dataclass(frozen=True, slots=True)
class Belief:
    """Beta posteriors; `alpha` and `beta` are float64 (n,), positive. `known` marks skills with their own record."""

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    known: NDArray[np.bool_]

    def of(self, places: NDArray[np.intp]) -> Belief:
        """Return the posteriors of some of the skills, in the order of `places`."""
        return Belief(self.alpha[places], self.beta[places], self.known[places])

    @property
    def mean(self) -> NDArray[np.float64]:
        """The expected success rate, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """The log-odds of the mean, always finite."""
        return np.log(self.alpha) - np.log(self.beta)

    @property
    def spread(self) -> NDArray[np.float64]:
        """The standard error of the log-odds, sqrt(1/(α+½) + 1/(β+½)) (Anscombe, Biometrika 1956)."""
        return np.sqrt(1.0 / (self.alpha + 0.5) + 1.0 / (self.beta + 0.5))

    def interval(self, level: float = INTERVAL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the central credible interval of the rate at `level`, in [0, 1].

        The quantiles are computed by summing each density over a grid of log-odds that is wide enough for any shape.
        """
        log_odds = self.log_odds[:, None] + _REACH * self.spread[:, None] * np.linspace(-1.0, 1.0, _GRID)
        rising, falling = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
        density = self.alpha[:, None] * rising + self.beta[:, None] * falling
        mass = np.cumsum(np.exp(density - density.max(axis=1, keepdims=True)), axis=1)
        below = (mass - 0.5 * np.diff(mass, axis=1, prepend=0.0)) / mass[:, -1:]
        low, high = (expit(_crossing(below, log_odds, tail)) for tail in ((1.0 - level) / 2, (1.0 + level) / 2))
        return low, high


def _crossing(rising: NDArray[np.float64], at: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return where each row of `rising` reaches `level`, linear between the points `at`; (n, points) to (n,)."""
    rows = np.arange(len(rising))
    above = np.clip((rising < level).sum(axis=1), 1, rising.shape[1] - 1)
    before, after = rising[rows, above - 1], rising[rows, above]
    share = np.clip((level - before) / np.maximum(after - before, 1e-300), 0.0, 1.0)
    return np.asarray(at[rows, above - 1] + share * (at[rows, above] - at[rows, above - 1]))


def believe(record: Record, expected: NDArray[np.float64], prior: Prior) -> Belief:
    """Return the posterior of each skill's success at this query.

    Parameters
    ----------
    record : Record
    expected : float64 (n,)
        Each skill's prior rate (`Prior.expected`), in (0, 1).
    prior : Prior

    Returns
    -------
    Belief
        One more success anywhere never lowers a mean, one more failure never raises it. Other queries count for at most
        `Prior.query_strength` uses, and for less while there are few uses of them.
    """
    behind = record.other_successes + record.other_failures + prior.skill_strength
    share = prior.query_strength / (prior.query_strength + behind)
    return Belief(
        alpha=record.near_successes + share * (record.other_successes + prior.skill_strength * expected),
        beta=record.near_failures + share * (record.other_failures + prior.skill_strength * (1.0 - expected)),
        known=record.trials > 0,
    )


def success_gain(
    belief: Belief, expected: NDArray[np.float64], prior: Prior, *, caution: float = CAUTION
) -> NDArray[np.float64]:
    """Return by how many logits each skill is above the expectation for any skill.

    Parameters
    ----------
    belief : Belief
    expected : float64 (n,)
        As for `believe`.
    prior : Prior
    caution : float
        The number of standard errors by which the distance between posterior and prior is reduced towards 0: the bound
        of an interval counts rather than its middle, on either side, so that chance alone moves little.

    Returns
    -------
    float64 (n,)
        Finite; never lowered by a success nor raised by a failure. Without a record it is the distance of the category
        from the overall mean, and exactly 0 where the category has no record.
    """
    own = belief.log_odds - logit(expected)
    sure = np.sign(own) * np.maximum(np.abs(own) - caution * belief.spread, 0.0)
    category = np.where(expected == prior.mean, 0.0, logit(expected) - logit(np.float64(prior.mean)))
    return category + np.where(belief.known, sure, 0.0)


def logit(rate: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Return log(p / (1 − p)) of rates in (0, 1)."""
    return np.asarray(np.log(rate) - np.log1p(-np.asarray(rate)), dtype=np.float64)


def expit(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rate of these log-odds, in [0, 1], without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * log_odds))
