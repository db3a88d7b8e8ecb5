"""Tunes the weights of ranking; a change is adopted only when recorded choices show that it is better.

Candidates are compared by replaying recorded choices (`service.ranking.offpolicy`). One half of the searches selects
the best candidate and the other half evaluates it, so that selecting among many does not bias the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.blend import Part, Weights, blend
from service.ranking.evidence import FAILURE_WEIGHT
from service.ranking.examination import fit_position_model
from service.ranking.offpolicy import Interval, Replayed, choice_chances, mean_over_reporters
from store.contract.evidence import RecordedChoice

FEWEST_CHOICES: Final = 100
# The most nDCG that judged queries may lose, whatever outcomes show.
MOST_RELEVANCE_LOST: Final = 0.005
_FACTORS: Final = (0.0, 0.5, 0.75, 1.33, 2.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """How people read lists: `examination.PositionModel`, with attraction by name."""

    looked: NDArray[np.float64]
    attraction: dict[str, float]

    def chance(self, choice: RecordedChoice, taken: int, position: int) -> float:
        """Return the probability that the skill at place `taken` of a list is chosen at `position` instead."""
        names = [line.skill_name for line in choice.served]
        names.insert(position, names.pop(taken))
        attraction = np.array([self.attraction[name] for name in names], dtype=np.float64)
        return float(choice_chances(self.looked[: len(names)], attraction)[position])


@dataclass(frozen=True, slots=True)
class Report:
    """The result of tuning; the true value exceeds the `low` of an interval with 90% confidence.

    `refused` says why the weights are kept, None when the change is adopted.
    """

    current: str
    proposed: Weights
    choices: int
    reporters: int
    effective: float
    snips_current: float
    snips_proposed: float
    ips_gain: Interval
    dr_gain: Interval
    judged: int
    ndcg_current: float | None
    ndcg_proposed: float | None
    refused: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values; numbers that are not finite become None."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=float), parse_constant=lambda _: None)
        return plain


def propose(current: Weights) -> list[Weights]:
    """Return the candidates, in each of which one weight is smaller, larger, or 0."""
    found = [replace(current, success=current.success * factor) for factor in _FACTORS if factor]
    found += [replace(current, speed=current.speed * factor) for factor in _FACTORS]
    for name, part in current.others.items():
        found += [
            replace(current, others={**current.others, name: Part(part.weight * factor, part.bound)})
            for factor in _FACTORS
        ]
    return [replace(weights, version=weights_version(weights)) for weights in found]


def weights_version(weights: Weights) -> str:
    """Return a version that depends on the values only."""
    told = json.dumps({**asdict(weights), "version": None}, sort_keys=True)
    return "tuned-" + hashlib.sha256(told.encode()).hexdigest()[:12]


def tune(
    choices: Sequence[RecordedChoice], current: Weights, ndcg: Callable[[Weights], float] | None, judged: int
) -> Report:
    """Return the best change of the current weights, and whether to adopt it.

    Parameters
    ----------
    choices : sequence of RecordedChoice
    current : Weights
    ndcg : callable, optional
        Returns the mean nDCG@10 of the judged queries under some weights. None without judged queries, in which case
        every change is refused.
    judged : int
        The number of judged queries.
    """
    usable = [choice for choice in choices if choice.outcome != "cancelled" and _is_replayable(choice)]
    picking = [choice for choice in usable if _half(choice) == 0]
    judging = [choice for choice in usable if _half(choice) == 1]
    reading = read_lists(usable)
    candidates = propose(current)
    if picking:
        gains = [_gain(picking, reading, current, weights).mean() for weights in candidates]
        proposed = candidates[int(np.argmax(gains))]
    else:
        proposed = candidates[0]
    reporters = [choice.reporter for choice in judging]
    before, after = replay(judging, reading, current), replay(judging, reading, proposed)
    dr_gain = mean_over_reporters(after.dr - before.dr, reporters)
    ndcg_current, ndcg_proposed = (ndcg(current), ndcg(proposed)) if ndcg else (None, None)
    return Report(
        current=current.version,
        proposed=proposed,
        choices=len(judging),
        reporters=len(set(reporters)),
        effective=after.effective,
        snips_current=before.snips,
        snips_proposed=after.snips,
        ips_gain=mean_over_reporters(after.ips - before.ips, reporters),
        dr_gain=dr_gain,
        judged=judged,
        ndcg_current=ndcg_current,
        ndcg_proposed=ndcg_proposed,
        refused=_refusal(len(judging), dr_gain, ndcg_current, ndcg_proposed),
    )


def read_lists(choices: Sequence[RecordedChoice]) -> Reading:
    """Fit the position model to recorded choices."""
    skills = {name: place for place, name in enumerate(sorted({s.skill_name for c in choices for s in c.served}))}
    shown = np.zeros((len(skills), max((len(choice.served) for choice in choices), default=0)))
    taken = np.zeros_like(shown)
    for choice in choices:
        for place, line in enumerate(choice.served):
            shown[skills[line.skill_name], place] += 1
            taken[skills[line.skill_name], place] += line.skill_name == choice.skill_name
    model = fit_position_model(shown, taken)
    return Reading(model.looked, {name: float(model.attraction[place]) for name, place in skills.items()})


def replay(choices: Sequence[RecordedChoice], reading: Reading, weights: Weights) -> Replayed:
    """Compare recorded choices with what these weights would have served first.

    Parameters
    ----------
    choices : sequence of RecordedChoice
        With the components that `service.search.engine` records of each served skill.
    reading : Reading
        From `read_lists`.
    weights : Weights
    """
    rows = []
    for choice in choices:
        first = _first(choice, weights)
        taken = _position(choice) - 1
        lines = choice.served
        rows.append(
            (
                first == taken,
                _propensity(choice, taken, reading),
                1.0 - FAILURE_WEIGHT.get(choice.outcome, 0.0),
                lines[taken].components["believed"],
                lines[first].components["believed"],
            )
        )
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Replayed(table[:, 0] > 0, table[:, 1], table[:, 2], table[:, 3], table[:, 4])


def _refusal(choices: int, gain: Interval, current: float | None, proposed: float | None) -> str | None:
    if choices < FEWEST_CHOICES:
        return f"{choices} recorded choices to judge by; it takes {FEWEST_CHOICES}"
    if not gain.low > 0:
        return f"no change is better with 90% confidence (the best gains {gain.mean:+.3f}, at least {gain.low:+.3f})"
    if current is None or proposed is None:
        return "no judged queries were given, so a loss of relevance could not be noticed; give them with --judged"
    if proposed < current - MOST_RELEVANCE_LOST:
        return f"it costs relevance: nDCG@10 of the judged queries falls from {current:.3f} to {proposed:.3f}"
    return None


def _gain(
    choices: Sequence[RecordedChoice], reading: Reading, current: Weights, proposed: Weights
) -> NDArray[np.float64]:
    return replay(choices, reading, proposed).dr - replay(choices, reading, current).dr


def _first(choice: RecordedChoice, weights: Weights) -> int:
    """Return the place in the served list of the skill that these weights put first."""
    told = [line.components for line in choice.served]
    # The best of all candidates has log relevance 0, whether or not it was served.
    relevance = np.array([*(line["log_relevance"] for line in told), 0.0], dtype=np.float64) * weights.temperature
    gains = {
        name: np.array([*(line["gains"].get(name, 0.0) for line in told), 0.0], dtype=np.float64)
        for name in ("success", "speed", *weights.others)
    }
    order = blend(relevance, gains["success"], gains["speed"], weights, gains).order
    return int(next(place for place in order if place < len(told)))


def _propensity(choice: RecordedChoice, taken: int, reading: Reading) -> float:
    """Return the propensity of the choice, from the skill's probability of each position and the position model."""
    first = float(choice.served[taken].components["propensity"])
    # The first skill would be second if another one had been drawn.
    otherwise = min(max(taken, 1), len(choice.served) - 1)
    return first * reading.chance(choice, taken, 0) + (1.0 - first) * reading.chance(choice, taken, otherwise)


def _position(choice: RecordedChoice) -> int:
    return 1 + next(place for place, line in enumerate(choice.served) if line.skill_name == choice.skill_name)


def _is_replayable(choice: RecordedChoice) -> bool:
    keys = {"gains", "believed", "propensity", "log_relevance"}
    return all(keys <= line.components.keys() for line in choice.served) and any(
        line.skill_name == choice.skill_name for line in choice.served
    )


def _half(choice: RecordedChoice) -> int:
    return hashlib.sha256(choice.search_id.encode()).digest()[0] & 1
