"""The settings that `eval --compare` can change, and a searcher for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from migrations.errors import SkillrankError
from service.evaluation.copying import indexed_copy
from service.evaluation.measures import DEPTH
from service.ranking.blend import Part, Weights
from service.search.answers import SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import Settings
from store.location import DATABASE_NAME, expanded
from store.protocol import Store
from store.sqlite import open_store

CHOICES: Final = "outcomes=on|off, group=on|off, lexical-weight=NUMBER, model=NAME, data-dir=FOLDER"
_SWITCH: Final = {"on": True, "off": False}

Asker = Callable[[str], list[str]]
"""Returns the names served for a query, best first."""


class InvalidComparison(SkillrankError):
    """A setting that cannot be compared; the message lists those that can."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The settings that a search is measured with.

    Attributes
    ----------
    outcomes : bool
        Whether recorded outcomes count; without them the order is that of relevance.
    group : bool
        Whether near-identical skills are grouped. Each of them has a place in the measured list either way.
    lexical_weight : float, optional
        The weight of words relative to meaning; by default that of the model.
    model : str, optional
        Another embedding model, with which the documents are indexed into a temporary copy.
    data_dir : Path, optional
        The data folder of another library.
    """

    outcomes: bool = True
    group: bool = True
    lexical_weight: float | None = None
    model: str | None = None
    data_dir: Path | None = None


def parse_variant(base: Variant, changes: Sequence[str]) -> Variant:
    """Return `base` with changes such as ``outcomes=off``.

    Raises
    ------
    InvalidComparison
        When there is no such setting or it does not accept the value.
    """
    for change in changes:
        name, _, value = change.partition("=")
        try:
            if name == "outcomes":
                base = replace(base, outcomes=_SWITCH[value])
            elif name == "group":
                base = replace(base, group=_SWITCH[value])
            elif name == "lexical-weight":
                base = replace(base, lexical_weight=_not_negative(value))
            elif name == "model" and value:
                base = replace(base, model=value)
            elif name == "data-dir" and (expanded(Path(value)) / DATABASE_NAME).is_file():
                base = replace(base, data_dir=expanded(Path(value)))
            else:
                raise InvalidComparison(_cannot_compare(change))
        except (KeyError, ValueError) as error:
            raise InvalidComparison(_cannot_compare(change)) from error
    return base


@contextmanager
def asking(variant: Variant, store: Store, settings: Settings) -> Iterator[Asker]:
    """Yield a function that answers queries under a variant, without recording them.

    Raises
    ------
    SkillrankError
        When the other model or the other library cannot be used.
    """
    with _library(variant, store, settings) as (library, encoders):
        searching = SkillSearch(library, encoders, correct=settings.correct)
        searching.learning.learn_all()
        weights = searching.weights() if variant.outcomes else without_outcomes(searching.weights())

        def ask(query: str) -> list[str]:
            request = SearchRequest(query=query, limit=DEPTH, group=variant.group)
            return searching.order(request, weights, lexical=variant.lexical_weight)

        yield ask


def without_outcomes(weights: Weights) -> Weights:
    """Return weights with which only relevance counts."""
    others = {name: Part(0.0, part.bound) for name, part in weights.others.items()}
    return replace(weights, success=0.0, speed=0.0, others=others)


@contextmanager
def _library(variant: Variant, store: Store, settings: Settings) -> Iterator[tuple[Store, Encoders]]:
    data_dir = variant.data_dir or settings.data_dir
    encoders = Encoders(variant.model or settings.model, data_dir / "models")
    with ExitStack() as opened:
        if variant.data_dir is not None:
            store = open_store(data_dir / DATABASE_NAME)
            opened.callback(store.close)
        if variant.model is not None:
            store = opened.enter_context(indexed_copy(store, encoders))
        yield store, encoders


def _cannot_compare(change: str) -> str:
    return f"{change!r} cannot be compared; there are {CHOICES}"


def _not_negative(value: str) -> float:
    number = float(value)
    if not 0.0 <= number < float("inf"):
        raise ValueError(value)
    return number
