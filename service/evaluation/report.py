"""One evaluation: runs every query, scores the lists, and finds the worst misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from migrations.errors import SkillrankError
from service.evaluation.judgements import SERVES, JudgedQuery
from service.evaluation.measures import MEASURES, Difference, Estimate, Scores, by_kind, difference, score
from service.evaluation.queries import Judged
from service.evaluation.settings import Asker

# With fewer queries a comparison shows mostly chance.
FEWEST_TO_TELL: Final = 20


class InvalidThreshold(SkillrankError):
    """A threshold that cannot be used; the message shows the format."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A query whose right answer was not first.

    `place` is the place of the first skill that serves it, from 1; None when it was not among the measured ones.
    """

    query: str
    expected: list[str]
    place: int | None
    first: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of one setting.

    Attributes
    ----------
    judged : Judged
    ranked : list of list of str
        The skills served for each query, best first.
    scores : Scores
    """

    judged: Judged
    ranked: list[list[str]]
    scores: Scores

    @property
    def table(self) -> Mapping[str, dict[str, Estimate]]:
        """Estimates of all queries and of each kind."""
        return by_kind(self.judged.queries, self.scores)

    def misses(self, count: int) -> list[Miss]:
        """Return the queries whose first right answer was lowest, and not first."""
        found = [_miss(query, names) for query, names in zip(self.judged.queries, self.ranked, strict=True)]
        worst = np.argsort([-(np.inf if each.place is None else each.place) for each in found], kind="stable")
        return [found[at] for at in worst[:count].tolist() if found[at].place != 1]

    def under(self, thresholds: Mapping[str, float]) -> list[str]:
        """Return a message for each threshold that was not reached."""
        means = {name: float(values.mean()) for name, values in self.scores.items()}
        return [
            f"{name} is {means[name]:.3f}, under {least}" for name, least in thresholds.items() if means[name] < least
        ]

    def as_json(self, misses: int) -> dict[str, Any]:
        """Return everything as JSON values."""
        told: dict[str, Any] = msgspec.to_builtins(
            {
                "queries": len(self.judged.queries),
                "notes": self.judged.notes,
                "measures": self.table,
                "misses": self.misses(misses),
                "by_query": [
                    {
                        "query": query.query,
                        "kind": query.kind,
                        **{name: float(values[at]) for name, values in self.scores.items()},
                    }
                    for at, query in enumerate(self.judged.queries)
                ],
            }
        )
        return told


def evaluate(judged: Judged, ask: Asker, on_progress: Callable[[], None]) -> Evaluation:
    """Run every query and score the answers."""
    ranked = []
    for each in judged.queries:
        ranked.append(ask(each.query))
        on_progress()
    return Evaluation(judged, ranked, score(judged.queries, ranked))


def compare(first: Evaluation, second: Evaluation) -> dict[str, Difference]:
    """Return by how much the second differs from the first, by measure."""
    return {name: difference(first.scores[name], second.scores[name]) for name in MEASURES}


def parse_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """Read thresholds such as ``nDCG@10=0.7``.

    Raises
    ------
    InvalidThreshold
        When one does not consist of a measure and a number in [0, 1].
    """
    found = {}
    names = {name.lower(): name for name in MEASURES}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = -1.0
        if name.lower() not in names or not 0.0 <= least <= 1.0:
            raise InvalidThreshold(
                f"{text!r} is not a threshold; write MEASURE=NUMBER with a measure from {', '.join(MEASURES)}"
            )
        found[names[name.lower()]] = least
    return found


def _miss(query: JudgedQuery, names: Sequence[str]) -> Miss:
    serves = [name for name, grade in query.expected.items() if grade >= SERVES]
    place = next((at for at, name in enumerate(names, start=1) if name in serves), None)
    return Miss(query.query, serves, place, names[0] if names else None)
