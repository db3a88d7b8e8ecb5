"""Giving skills a chance: Thompson sampling for the first place, within what fits nearly as well.

Each skill's chance of the first place is how often it wins when success is drawn from what is believed (Thompson,
Biometrika 1933). The first place is then drawn from exactly these chances, mixed with the order that would have been
served, so the logged propensity of what was served is exact, as off-policy evaluation needs it.
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
    """How much is explored; nothing by default.

    Attributes
    ----------
    share : float
        Of the lists, in [0, 1], that may put another skill first.
    relevance_loss : float
        The first skill's log relevance is at most this far below the best one's.
    """

    share: float = 0.0
    relevance_loss: float = 1.0


@dataclass(frozen=True, slots=True)
class Explored:
    """What to serve.

    Attributes
    ----------
    order : intp (n,)
        Candidates, best first: the blend's order with the drawn one moved to the front.
    propensity : float64 (n,)
        Each candidate's probability of the first place; sums to 1, all on the blend's first without exploration.
    explored : bool
        Whether chance had a say in this list.
    """

    order: NDArray[np.intp]
    propensity: NDArray[np.float64]
    explored: bool


def explore(
    blended: Blend, belief: Belief, weights: Weights, exploration: Exploration, random: np.random.Generator
) -> Explored:
    """Draw which candidate stands first.

    Parameters
    ----------
    blended : Blend
        What would be served: its order may leave candidates out, and what it leaves out does not fit.
    belief : Belief
        Of the same candidates.
    weights : Weights
        Those that `blended` was made with.
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
    # A drawn rate moves the score as a believed one does, by the same weight and within the same bound.
    drawn = logit(np.clip(rates, 1e-6, 1 - 1e-6)) - belief.log_odds[allowed]
    moved = np.clip(blended.success[allowed] + weights.success * drawn, -weights.success_bound, weights.success_bound)
    winners = (blended.score[allowed] - blended.success[allowed] + moved).argmax(axis=1)
    propensity[allowed] = exploration.share * np.bincount(winners, minlength=allowed.size) / DRAWS
    propensity[blended.order[0]] += 1.0 - exploration.share
    first = int(random.choice(propensity.size, p=propensity / propensity.sum()))
    rest = blended.order[blended.order != first]
    return Explored(np.concatenate([np.array([first], dtype=np.intp), rest]), propensity, explored=True)
