"""What to expect of a skill before its own record speaks, learnt from the records of all.

Skills scatter around their category, categories around everything, and one skill's queries around the skill. How
widely is the intra-class correlation of a Beta-Binomial, found by the method of moments (Kleinman, "Proportions with
extraneous variance", JASA 1973). Each estimate starts as if a little had been seen already, so that two skills with
three uses between them do not decide how much all later ones are believed.
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
    """Moments of groups around their parent's rate; those of several parents add up.

    Attributes
    ----------
    excess : float
        Weighted squared deviations over their binomial variance, less the degrees of freedom: 0 if all groups were
        alike.
    information : float
        What `excess` would be if groups had nothing in common.
    """

    excess: float
    information: float

    def __add__(self, other: Scatter) -> Scatter:
        """Pool the groups of two parents."""
        return Scatter(self.excess + other.excess, self.information + other.information)

    @property
    def strength(self) -> float:
        """How many uses the parent's rate counts for, in `STRENGTH_RANGE`: few when groups differ widely."""
        usual = 1.0 / (1.0 + USUAL_USES)
        correlation = (self.excess + _FIRST_INFORMATION * usual) / (self.information + _FIRST_INFORMATION)
        least, most = 1.0 / (1.0 + STRENGTH_RANGE[1]), 1.0 / (1.0 + STRENGTH_RANGE[0])
        clipped = float(np.clip(correlation, least, most))
        return (1.0 - clipped) / clipped


@dataclass(frozen=True, slots=True)
class Prior:
    """What is expected without a record of one's own.

    Attributes
    ----------
    mean : float
        Success rate over everything.
    categories : dict
        Success rate of each category with a record, shrunk towards `mean`.
    skill_strength : float
        How many uses a category's rate counts for when a skill is judged.
    query_strength : float
        How many uses a skill's other queries count for when it is judged at one query.
    """

    mean: float
    categories: dict[str, float]
    skill_strength: float
    query_strength: float

    def expected(self, category: str | None) -> float:
        """Return the success rate to expect of a skill nobody has used; exactly `mean` for an unknown category."""
        return self.categories.get(category, self.mean) if category is not None else self.mean


NO_HISTORY: Final = Prior(_MEAN_FROM[0], {}, USUAL_USES, USUAL_USES)


def scatter(
    successes: NDArray[np.float64], trials: NDArray[np.float64], squares: NDArray[np.float64] | None = None
) -> Scatter:
    """Return how widely the groups of one parent scatter around its rate.

    Parameters
    ----------
    successes, trials : float64 (groups,)
        Weighted counts; groups without trials are left out.
    squares : float64 (groups,), optional
        The sum of the squared weights of each group's trials; all weights are 1 without.
    """
    known = trials > 0
    squares = trials[known] if squares is None else squares[known]
    successes, trials = successes[known], trials[known]
    total = float(trials.sum())
    if len(trials) < 2:  # noqa: PLR2004  one group does not differ from itself
        return Scatter(0.0, 0.0)
    rate = float(successes.sum()) / total
    variance = max(rate * (1.0 - rate), 0.01)
    # A rate of trials of weights w varies by Σw² / (Σw)² of a single trial.
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
        Of each skill's queries around the skill, pooled.
    squares : float64 (skills,), optional
        As for `scatter`.

    Returns
    -------
    Prior
        `NO_HISTORY`'s values where the data says nothing.
    """
    strength = scatter(successes, trials, squares).strength
    rates = np.divide(successes, trials, out=np.zeros_like(successes), where=trials > 0)
    # A skill used a thousand times is one skill: it says no more of others than one used often enough.
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
