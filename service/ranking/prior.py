"""The prior: what to expect of a skill without a record of its own, estimated from the records of all skills.

Skills vary around their category, categories around the overall mean, and the queries of a skill around the skill. How
much is the intra-class correlation of a beta-binomial distribution, estimated by the method of moments (Kleinman,
"Proportions with extraneous variance", JASA 1973). Each estimate starts with a little prior information, so that two
skills with three uses between them do not determine the shrinkage of all later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

USUAL_USES: Final = 8.0
STRENGTH_RANGE: Final = (2.0, 100.0)
MEAN_RANGE: Final = (0.1, 0.9)
_FIRST_INFORMATION: Final = 60.0
_MEAN_FROM: Final = (0.5, 4.0)


@dataclass(frozen=True, slots=True)
class Scatter:
    """Moments of groups around the rate of their parent; those of several parents add up.

    Attributes
    ----------
    excess : float
        Weighted squared deviations divided by their binomial variance, minus the degrees of freedom: 0 in expectation
        if all groups have the same rate.
    information : float
        The expected value of `excess` if groups have nothing in common.
    """

    excess: float
    information: float

    def __add__(self, other: Scatter) -> Scatter:
        """Pool the groups of two parents."""
        return Scatter(self.excess + other.excess, self.information + other.information)

    @property
    def strength(self) -> float:
        """The number of uses that the parent's rate counts for, in `STRENGTH_RANGE`: few when groups differ widely."""
        usual = 1.0 / (1.0 + USUAL_USES)
        correlation = (self.excess + _FIRST_INFORMATION * usual) / (self.information + _FIRST_INFORMATION)
        least, most = 1.0 / (1.0 + STRENGTH_RANGE[1]), 1.0 / (1.0 + STRENGTH_RANGE[0])
        clipped = float(np.clip(correlation, least, most))
        return (1.0 - clipped) / clipped


@dataclass(frozen=True, slots=True)
class Prior:
    """Expected success rates, and how strongly they count.

    Attributes
    ----------
    mean : float
        The overall success rate.
    categories : dict
        The success rate of each category with a record, shrunk towards `mean`.
    skill_strength : float
        The number of uses that the rate of its category counts for in a skill's rate.
    query_strength : float
        The number of uses that a skill's overall rate counts for in its rate for one query.
    """

    mean: float
    categories: dict[str, float]
    skill_strength: float
    query_strength: float

    def expected(self, category: str | None) -> float:
        """Return the expected success rate of an unused skill; exactly `mean` for an unknown category."""
        return self.categories.get(category, self.mean) if category is not None else self.mean


NO_HISTORY: Final = Prior(_MEAN_FROM[0], {}, USUAL_USES, USUAL_USES)


def scatter(
    successes: NDArray[np.float64], trials: NDArray[np.float64], squares: NDArray[np.float64] | None = None
) -> Scatter:
    """Return the scatter of the groups of one parent around its rate.

    Parameters
    ----------
    successes, trials : float64 (groups,)
        Weighted counts; groups without trials are left out.
    squares : float64 (groups,), optional
        The sum of the squared weights of each group's trials; by default all weights are 1.
    """
    known = trials > 0
    squares = trials[known] if squares is None else squares[known]
    successes, trials = successes[known], trials[known]
    total = float(trials.sum())
    if len(trials) < 2:  # noqa: PLR2004  one group does not differ from itself
        return Scatter(0.0, 0.0)
    rate = float(successes.sum()) / total
    variance = max(rate * (1.0 - rate), 0.01)
    # The variance of a weighted rate is Σw² / (Σw)² times that of a single trial.
    freedom = float((squares / trials).sum()) - float(squares.sum()) / total
    deviations = float((trials * (successes / trials - rate) ** 2).sum()) / variance
    information = total - float((trials**2).sum()) / total - freedom
    return Scatter(deviations - freedom, information) if information > 0 else Scatter(0.0, 0.0)


def fit_prior(
    successes: NDArray[np.float64],
    trials: NDArray[np.float64],
    categories: list[str | None],
    within: Scatter,
    squares: NDArray[np.float64] | None = None,
) -> Prior:
    """Fit the prior to the records of all skills.

    Parameters
    ----------
    successes, trials : float64 (skills,)
        Each skill's weighted counts; skills without a record may be among them.
    categories : list of str or None, one for each skill
    within : Scatter
        The scatter of each skill's queries around the skill, pooled.
    squares : float64 (skills,), optional
        As for `scatter`.

    Returns
    -------
    Prior
        With the values of `NO_HISTORY` where there is no data.
    """
    strength = scatter(successes, trials, squares).strength
    rates = np.divide(successes, trials, out=np.zeros_like(successes), where=trials > 0)
    # A skill used a thousand times is still one skill, so its weight in the mean is bounded by `strength`.
    say = trials * strength / (trials + strength)
    start, weight = _MEAN_FROM
    mean = float(np.clip(((say * rates).sum() + weight * start) / (say.sum() + weight), *MEAN_RANGE))
    names = sorted({name for name, counted in zip(categories, trials, strict=True) if name is not None and counted > 0})
    place = {name: at for at, name in enumerate(names)}
    of_skill = np.array([place.get(name, -1) if name is not None else -1 for name in categories], dtype=np.intp)
    member = (of_skill >= 0) & (trials > 0)
    said = np.zeros(len(names))
    well = np.zeros(len(names))
    np.add.at(said, of_skill[member], say[member])
    np.add.at(well, of_skill[member], (say * rates)[member])
    pull = scatter(well, said).strength
    shrunk = np.clip((well + pull * mean) / (said + pull), *MEAN_RANGE)
    return Prior(mean, dict(zip(names, shrunk.tolist(), strict=True)), strength, within.strength)
