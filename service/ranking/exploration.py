"""Exploration: Thompson sampling of the first place among skills that fit nearly as well as the best.

The probability of a skill is how often it wins when success rates are drawn from their posteriors (Thompson, Biometrika
1933). The first place is drawn from exactly these probabilities, mixed with the order that would have been served. So
the logged propensity is exact, as off-policy evaluation requires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.blend import Blend, Weights
from service.ranking.success import Belief, logit

DRAWS: Final = 200


@dataclass(frozen=True, slots=True)
class Exploration:
    """How much to explore; nothing by default.

    Attributes
    ----------
    share : float
        The share of lists, in [0, 1], in which another skill may come first.
    relevance_loss : float
        The most by which the first skill's log relevance may be below the best one's.
    """

    share: float = 0.0
    relevance_loss: float = 1.0


@dataclass(frozen=True, slots=True)
class Explored:
    """The order to serve.

    Attributes
    ----------
    order : intp (n,)
        Candidates, best first: the blend's order with the drawn one moved to the front.
    propensity : float64 (n,)
        Each candidate's probability of the first place; sums to 1, and is 1 for the blend's first without exploration.
    explored : bool
        Whether the first place was drawn at random.
    """

    order: NDArray[np.intp]
    propensity: NDArray[np.float64]
    explored: bool


def explore(
    blended: Blend, belief: Belief, weights: Weights, exploration: Exploration, random: np.random.Generator
) -> Explored:
    """Draw the candidate that comes first.

    Parameters
    ----------
    blended : Blend
        The order that would be served; candidates that it leaves out do not fit.
    belief : Belief
        The posteriors of the same candidates.
    weights : Weights
        The weights that `blended` was made with.
    exploration : Exploration
    random : numpy Generator

    Returns
    -------
    Explored
        Only candidates that fit and lose at most `relevance_loss` can come first; the others keep their order.
    """
    propensity = np.zeros(blended.score.size)
    allowed = np.flatnonzero(blended.fits & (blended.log_relevance >= -exploration.relevance_loss))
    if exploration.share <= 0 or not allowed.size:
        propensity[blended.order[:1]] = 1.0
        return Explored(blended.order, propensity, explored=False)
    rates = random.beta(belief.alpha[allowed], belief.beta[allowed], size=(DRAWS, allowed.size))
    # A drawn rate moves the score as an expected one does, with the same weight and bound.
    drawn = logit(np.clip(rates, 1e-6, 1 - 1e-6)) - belief.log_odds[allowed]
    moved = np.clip(blended.success[allowed] + weights.success * drawn, -weights.success_bound, weights.success_bound)
    winners = (blended.score[allowed] - blended.success[allowed] + moved).argmax(axis=1)
    propensity[allowed] = exploration.share * np.bincount(winners, minlength=allowed.size) / DRAWS
    propensity[blended.order[0]] += 1.0 - exploration.share
    first = int(random.choice(propensity.size, p=propensity / propensity.sum()))
    rest = blended.order[blended.order != first]
    return Explored(np.concatenate([np.array([first], dtype=np.intp), rest]), propensity, explored=True)
