"""What another order would have achieved, told from what was recorded under the one that was served.

Each recorded choice has a probability of having been made; where another order agrees with it, its outcome counts by
the inverse of that. IPS is unbiased when the probabilities are right; SNIPS divides by the weights' sum (Swaminathan
and Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015); DR starts from what was
believed and corrects it by what was seen (Dudík, Langford and Li, "Doubly robust policy evaluation and learning",
ICML 2011), so it is right when either is.
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
    """Recorded choices beside what one order would have put first; arrays are (n,).

    Attributes
    ----------
    agrees : bool
        Whether what the order puts first is what was taken.
    propensity : float64
        How likely it was taken, in (0, 1].
    reward : float64
        How it ended, in [0, 1].
    expected_taken, expected_first : float64
        The success believed then, of what was taken and of what the order puts first.
    """

    agrees: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]
    expected_taken: NDArray[np.float64]
    expected_first: NDArray[np.float64]

    @property
    def weight(self) -> NDArray[np.float64]:
        """Inverse propensities where the order agrees, else 0; capped at `MOST_WEIGHT`, a bias for less variance."""
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
        """How many choices of weight 1 the estimate rests on: (Σw)² / Σw²."""
        squares = float((self.weight**2).sum())
        return float(self.weight.sum()) ** 2 / squares if squares > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the 80% interval whose lower bound the truth exceeds with 90% confidence."""

    mean: float
    low: float
    high: float


def mean_over_reporters(terms: NDArray[np.float64], reporters: Sequence[str]) -> Interval:
    """Return the mean of per-choice terms, its interval treating all choices of one reporter as one observation.

    With fewer than two reporters the interval is unbounded: one person's word does not change how all are served.
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
    """Return how likely each line of a list is the one that is taken, given that one is.

    Parameters
    ----------
    looked, attraction : float64 (n,)
        Of the lines' positions and of their skills (`examination.PositionModel`), positive.

    Returns
    -------
    float64 (n,)
        Positive; they sum to 1.
    """
    wanted = looked * attraction
    return np.asarray(wanted / wanted.sum(), dtype=np.float64)
