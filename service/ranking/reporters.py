"""How much one reporter's word counts.

Many reports of one person are not as many independent observations. So their number on one matter counts ever less
(`concave`); so does reporting far more than is usual (`moderation`); and disagreement with everybody else beyond what
chance and the variety of queries explain is held against all that a reporter says (`agreement`). A lone user is
nobody's outlier and keeps full weight.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.prior import Prior

# Squared standardised differences average 1 when a reporter is like the others; this much is let pass.
TOLERATED: Final = 1.5
# So many times the usual number of reports are still taken in full.
USUAL_TIMES: Final = 2.0
_MODERATION: Final = 0.75
_FIRST_SKILLS: Final = 4.0


def concave(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many independent uses so many of one reporter are worth: 2(√(1+n) − 1), rising ever more slowly."""
    return np.asarray(2.0 * (np.sqrt(1.0 + uses) - 1.0))


def counted(
    successes: NDArray[np.float64], failures: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (successes, failures) summed over reporters, each reporter's uses counted by `concave`.

    Parameters
    ----------
    successes, failures : float64 (n, slots)
        Weighted counts, 0 or more.

    Returns
    -------
    successes, failures : float64 (n,)
        A reporter's rate stays what it is. One success more never lowers the first nor raises the second.
    """
    worth = _worth(successes + failures)
    return (successes * worth).sum(axis=1), (failures * worth).sum(axis=1)


def counted_squares(uses: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of squared weights of what `counted` returns, (n, slots) to (n,), from that of the uses."""
    return np.asarray((squares * _worth(uses) ** 2).sum(axis=1))


def trust(successes: NDArray[np.float64], failures: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """Return what each reporter's reports count for, float64 (slots,) in (0, 1]: `moderation` times `agreement`.

    Parameters
    ----------
    successes, failures : float64 (skills, slots)
        Weighted counts, 0 or more.
    prior : Prior
    """
    return moderation(successes + failures) * agreement(successes, failures, prior)


def moderation(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a reporter's reports count for by their number alone, from uses (skills, slots), in (0, 1].

    Beyond `USUAL_TIMES` the median of all who report, each counts less, though somebody busy still counts for more
    than others do: the sum grows by the fourth root.
    """
    totals = uses.sum(axis=0)
    reporting = totals > 0
    if not reporting.any():
        return np.ones(len(totals))
    usual = USUAL_TIMES * float(np.median(totals[reporting]))
    return np.where(reporting, np.minimum(usual / np.where(reporting, totals, 1.0), 1.0) ** _MODERATION, 1.0)


def agreement(successes: NDArray[np.float64], failures: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """Return what each reporter's reports count for, from how they agree with the others' on the same skills.

    Parameters
    ----------
    successes, failures : float64 (skills, slots)
        Weighted counts, 0 or more.
    prior : Prior

    Returns
    -------
    float64 (slots,)
        In (0, 1]. The inverse of a reporter's design effect: the mean squared difference between their rate and the
        others', standardised by what chance, the others' number, and the scatter of skills and of queries explain.
        With one reporter only, the scatter of skills is the yardstick, so nothing is held against a lone user.
    """
    uses = successes + failures
    worth = _worth(uses)
    s, n = successes * worth, uses * worth
    others_n = n.sum(axis=1, keepdims=True) - n
    others_s = s.sum(axis=1, keepdims=True) - s
    rate = np.clip((others_s + prior.skill_strength * prior.mean) / (others_n + prior.skill_strength), 0.02, 0.98)
    reported = uses > 0
    own = np.divide(successes, uses, out=np.zeros_like(uses), where=reported)
    unexplained = 1.0 / np.where(reported, uses, 1.0)
    unexplained = unexplained + 1.0 / (others_n + prior.skill_strength + 1.0) + 1.0 / (prior.query_strength + 1.0)
    squared = np.where(reported, (own - rate) ** 2 / (rate * (1.0 - rate) * unexplained), 0.0)
    # Skills are weighted by how much the reporter says of them, so one odd report among many skills hides nothing.
    says = np.where(reported, n, 0.0)
    effect = ((says * squared).sum(axis=0) + _FIRST_SKILLS) / (says.sum(axis=0) + _FIRST_SKILLS)
    return np.asarray(np.minimum(TOLERATED / effect, 1.0))


def _worth(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(concave(uses), uses, out=np.zeros_like(uses), where=uses > 0)
