"""Off-policy evaluation: what another order would have achieved, estimated from what the served order recorded.

Each recorded choice has a propensity, the probability that it was made; where another order agrees with it, its
outcome counts with the inverse of that. IPS is unbiased when the propensities are right. SNIPS divides by the sum of
the weights (Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015). DR
starts from the expected outcome and corrects it by the recorded one (Dudík, Langford and Li, "Doubly robust policy
evaluation and learning", ICML 2011), so it is right when either the propensities or the expectations are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_WEIGHT: Final = 20.0
CONFIDENCE_QUANTILE: Final = 1.281552


@dataclass(frozen=True, slots=True)
class Replayed:
    """Recorded choices, compared with what one order would have put first; arrays are (n,).

    Attributes
    ----------
    agrees : bool
        Whether the order puts first what was chosen.
    propensity : float64
        The probability of the choice, in (0, 1].
    reward : float64
        Its outcome, in [0, 1].
    expected_taken, expected_first : float64
        The success that was expected of the chosen skill and of the one that the order puts first.
    """

    agrees: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]
    expected_taken: NDArray[np.float64]
    expected_first: NDArray[np.float64]

    @property
    def weight(self) -> NDArray[np.float64]:
        """Inverse propensities where the order agrees, else 0; capped at `MOST_WEIGHT`, trading bias for variance."""
        return np.where(self.agrees, np.minimum(1.0 / self.propensity, MOST_WEIGHT), 0.0)

    @property
    def ips(self) -> NDArray[np.float64]:
        """Each choice's term of the inverse propensity estimate; their mean is the estimate."""
        return self.weight * self.reward

    @property
    def snips(self) -> float:
        """The self-normalised estimate, NaN when the order never agrees with a choice."""
        total = float(self.weight.sum())
        return float((self.weight * self.reward).sum() / total) if total > 0 else float("nan")

    @property
    def dr(self) -> NDArray[np.float64]:
        """Each choice's term of the doubly robust estimate; their mean is the estimate."""
        return self.expected_first + self.weight * (self.reward - self.expected_taken)

    @property
    def effective(self) -> float:
        """The effective sample size (Σw)² / Σw²."""
        squares = float((self.weight**2).sum())
        return float(self.weight.sum()) ** 2 / squares if squares > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 80% confidence interval, whose lower bound the true value exceeds with 90% confidence."""

    mean: float
    low: float
    high: float


def mean_over_reporters(terms: NDArray[np.float64], reporters: Sequence[str]) -> Interval:
    """Return the mean of per-choice terms, with an interval that treats all choices of a reporter as one observation.

    With fewer than two reporters the interval is unbounded: one person does not decide for all others.
    """
    names = sorted(set(reporters))
    if len(names) < 2:  # noqa: PLR2004
        return Interval(float(terms.mean()) if terms.size else float("nan"), -np.inf, np.inf)
    place = {name: at for at, name in enumerate(names)}
    of = np.array([place[name] for name in reporters], dtype=np.intp)
    mean = float(terms.mean())
    deviations = np.bincount(of, weights=terms - mean, minlength=len(names))
    count = len(names)
    error = float(np.sqrt(count / (count - 1) * (deviations**2).sum())) / terms.size
    return Interval(mean, mean - CONFIDENCE_QUANTILE * error, mean + CONFIDENCE_QUANTILE * error)


def choice_chances(looked: NDArray[np.float64], attraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that each line of a list is the chosen one, given that one is.

    Parameters
    ----------
    looked, attraction : float64 (n,)
        The values of the lines' positions and skills (`examination.PositionModel`), positive.

    Returns
    -------
    float64 (n,)
        Positive; they sum to 1.
    """
    wanted = looked * attraction
    return np.asarray(wanted / wanted.sum(), dtype=np.float64)
