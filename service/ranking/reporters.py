"""How much the reports of one reporter count.

Many reports by one person are not as many independent observations. So repeated reports about one skill count less and
less (`concave`), reporters with far more reports than the median count less (`moderation`), and so do reporters who
disagree with all others by more than chance and the variety of queries explain (`agreement`). A single user keeps full
weight.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.prior import Prior

# Squared standardised differences average 1 when a reporter is like the others; up to this much is tolerated.
TOLERATED: Final = 1.5
# Up to this many times the median number of reports count in full.
USUAL_TIMES: Final = 2.0
_MODERATION: Final = 0.75
_FIRST_SKILLS: Final = 4.0


def concave(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of independent uses that n uses by one reporter count for: 2(√(1+n) − 1)."""
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
        A reporter's rate is unchanged. One more success never lowers the first nor raises the second.
    """
    worth = _worth(successes + failures)
    return (successes * worth).sum(axis=1), (failures * worth).sum(axis=1)


def counted_squares(uses: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of squared weights of the result of `counted`, (n, slots) to (n,)."""
    return np.asarray((squares * _worth(uses) ** 2).sum(axis=1))


def trust(successes: NDArray[np.float64], failures: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """Return the weight of each reporter's reports, float64 (slots,) in (0, 1]: `moderation` times `agreement`.

    Parameters
    ----------
    successes, failures : float64 (skills, slots)
        Weighted counts, 0 or more.
    prior : Prior
    """
    return moderation(successes + failures) * agreement(successes, failures, prior)


def moderation(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each reporter's reports by their number alone, from uses (skills, slots), in (0, 1].

    Above `USUAL_TIMES` the median of all reporters, each report counts less, but a busy reporter still counts for more
    than others: the sum grows with the fourth root.
    """
    totals = uses.sum(axis=0)
    reporting = totals > 0
    if not reporting.any():
        return np.ones(len(totals))
    usual = USUAL_TIMES * float(np.median(totals[reporting]))
    return np.where(reporting, np.minimum(usual / np.where(reporting, totals, 1.0), 1.0) ** _MODERATION, 1.0)


def agreement(successes: NDArray[np.float64], failures: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """Return the weight of each reporter's reports by their agreement with others' reports on the same skills.

    Parameters
    ----------
    successes, failures : float64 (skills, slots)
        Weighted counts, 0 or more.
    prior : Prior

    Returns
    -------
    float64 (slots,)
        In (0, 1]. The inverse of a reporter's design effect: the mean squared difference between their rate and that of
        the others, standardised by chance, the number of others, and the scatter of skills and queries. With only one
        reporter the scatter of skills is the reference, so a single user keeps full weight.
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
    # Skills are weighted by the reporter's uses, so that a few odd reports cannot hide among many skills.
    says = np.where(reported, n, 0.0)
    effect = ((says * squared).sum(axis=0) + _FIRST_SKILLS) / (says.sum(axis=0) + _FIRST_SKILLS)
    return np.asarray(np.minimum(TOLERATED / effect, 1.0))


def _worth(uses: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(concave(uses), uses, out=np.zeros_like(uses), where=uses > 0)
