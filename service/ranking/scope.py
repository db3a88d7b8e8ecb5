"""How much a skill belongs to what a user or project works on: a bounded, decaying gain.

A declaration by the project and recent use each add at most one unit. A thousand updates therefore count little more
than the first dozen, and old ones not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.text import counted

HALF_LIFE_DAYS: Final = 30.0
WINDOW_DAYS: Final = 90.0
MONTH_DAYS: Final = 30.0
# This much strength (as many updates of today) gives about two thirds of the gain for recent use.
_TYPICAL_STRENGTH: Final = 4.0


@dataclass(frozen=True, slots=True)
class SkillScope:
    """How one skill belongs to current work, as reasons show it.

    Attributes
    ----------
    declared : bool
        Whether the project of the search declares the skill.
    strength : float
        Decayed weights of its recent signals (`decayed_strength`), 0 or more.
    user_updates, project_updates : int
        Updates of the last `MONTH_DAYS` days by the user and in the project of the search.
    """

    declared: bool = False
    strength: float = 0.0
    user_updates: int = 0
    project_updates: int = 0


NO_SCOPE: Final = SkillScope()


def decayed_strength(weights: NDArray[np.float64], ages_days: NDArray[np.float64]) -> float:
    """Return the sum of signals' weights, each halved every `HALF_LIFE_DAYS` days.

    Parameters
    ----------
    weights : float64 (n,)
        0 or more.
    ages_days : float64 (n,)
        Ages; a negative one, from a clock that went back, counts as 0.
    """
    return float((weights * np.exp2(-np.maximum(ages_days, 0.0) / HALF_LIFE_DAYS)).sum())


def scope_gain(scopes: list[SkillScope]) -> NDArray[np.float64]:
    """Return each skill's gain, float64 (n,) in [0, 2]; exactly 0 without a declaration or signals."""
    declared = np.array([scope.declared for scope in scopes], dtype=np.float64)
    strength = np.array([scope.strength for scope in scopes], dtype=np.float64)
    return declared - np.expm1(-strength / _TYPICAL_STRENGTH)


def scope_reasons(scope: SkillScope) -> list[str]:
    """Say how a skill belongs to current work; nothing when it does not."""
    said = ["declared by this project"] if scope.declared else []
    if scope.user_updates:
        said.append(f"used in {counted(scope.user_updates, 'update')} this month by this user")
    elif scope.project_updates:
        said.append(f"used in {counted(scope.project_updates, 'update')} this month in this project")
    elif scope.strength > 0:
        said.append("part of this user's or project's recent work")
    return said
