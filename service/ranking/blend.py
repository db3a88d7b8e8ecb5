"""Combines relevance and outcomes into one order.

The score is log-linear: log r + success + speed + others, each part bounded. Relevance is a gate: outcomes move only
candidates that fit nearly as well as the best one, and all of those come before all that do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Part:
    """The weight of a further component (0 switches it off), and the most it may move a score."""

    weight: float
    bound: float


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each component counts.

    Attributes
    ----------
    version : str
        Stored with every search, so that its order can be explained later.
    temperature : float
        Units of fused relevance for one unit of log r.
    gate : float
        A candidate fits when its fused relevance is at most this far below the best one's.
    success, success_bound : float
        Weight of the success gain (logits), and the most it may move a score.
    speed, speed_bound : float
        The same for the speed gain (log seconds).
    others : mapping of str to Part
        The same for every further component, by its name.
    """

    version: str
    temperature: float
    gate: float
    success: float
    success_bound: float
    speed: float
    speed_bound: float
    others: Mapping[str, Part] = field(default_factory=dict)


DEFAULT_WEIGHTS: Final = Weights(
    version="outcomes-1",
    temperature=1.0,
    gate=2.0,
    # Chosen in the simulator (tests/benchmarks/outcomes.py): a sufficiently certain posterior outweighs any difference
    # in relevance among skills that fit.
    success=2.5,
    success_bound=4.0,
    speed=0.25,
    speed_bound=0.3,
    others={
        "choice": Part(weight=0.15, bound=0.3),
        "co_use": Part(weight=0.25, bound=0.4),
        "phase": Part(weight=0.25, bound=0.4),
        "scope": Part(weight=0.25, bound=0.5),
    },
)


@dataclass(frozen=True, slots=True)
class Blend:
    """The order and its parts; every array is in the order of the input.

    Attributes
    ----------
    order : intp (n,)
        Positions of the candidates, best first.
    score : float64 (n,)
        log r plus the bounded parts; 0 is a best fit without evidence.
    log_relevance, success, speed : float64 (n,)
        The parts of the score.
    others : dict of str to float64 (n,)
        The further parts that have a weight.
    fits : bool (n,)
    """

    order: NDArray[np.intp]
    score: NDArray[np.float64]
    log_relevance: NDArray[np.float64]
    success: NDArray[np.float64]
    speed: NDArray[np.float64]
    others: dict[str, NDArray[np.float64]]
    fits: NDArray[np.bool_]


def blend(
    relevance: NDArray[np.float64],
    success_gain: NDArray[np.float64],
    speed_gain: NDArray[np.float64],
    weights: Weights = DEFAULT_WEIGHTS,
    others: Mapping[str, NDArray[np.float64]] | None = None,
) -> Blend:
    """Order candidates by relevance and outcomes.

    Parameters
    ----------
    relevance : float64 (n,)
        Fused relevance (`fusion.fused_relevance`).
    success_gain, speed_gain : float64 (n,)
        From `success` and `speed`; 0 where there is no evidence.
    weights : Weights
    others : mapping of str to float64 (n,), optional
        Further gains, by their names in `Weights.others`; those without a weight are left out.

    Returns
    -------
    Blend
        Candidates that fit come first, by score, then the others by relevance alone. Ties keep the input's order.
        With gains of 0 the order is exactly that of relevance.
    """
    best = relevance.max(initial=-np.inf)
    fits = relevance >= best - weights.gate
    log_relevance = (relevance - best) / weights.temperature if relevance.size else relevance
    success = np.clip(weights.success * success_gain, -weights.success_bound, weights.success_bound)
    # Failing quickly is no advantage: speed counts only for skills that succeed at least as often as expected.
    speed = np.clip(weights.speed * speed_gain, -weights.speed_bound, weights.speed_bound)
    speed = np.where((success_gain < 0) & (speed > 0), 0.0, speed)
    success, speed = np.where(fits, success, 0.0), np.where(fits, speed, 0.0)
    parts = {
        name: np.where(fits, np.clip(part.weight * others[name], -part.bound, part.bound), 0.0)
        for name, part in weights.others.items()
        if others is not None and name in others
    }
    score = log_relevance + success + speed + sum(parts.values(), np.zeros_like(success))
    # Subtracting the best may round two relevances to the same score, so the relevances themselves break ties.
    order = np.lexsort((np.arange(relevance.size), -relevance, -score, ~fits))
    return Blend(
        order=order,
        score=score,
        log_relevance=log_relevance,
        success=success,
        speed=speed,
        others=parts,
        fits=fits,
    )
