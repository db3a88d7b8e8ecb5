"""Why a skill is where it is in the list, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.text import counted, percent

THIN_EVIDENCE: Final = 5
_NOTABLE_SPEED: Final = 0.1
_NOTABLE_GAIN: Final = 0.2
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class History:
    """What is recorded of one skill, as reasons show it.

    Attributes
    ----------
    completed, finished : int
        Uses.
    typical_seconds : float or None
        The median duration of completed uses; None where it is not known.
    speed_gain : float
        In log units, compared with the other skills of the answer.
    likely : tuple of float, optional
        The 80% credible interval of its success for similar queries, where there is enough evidence.
    mean_seconds : float, optional
        The mean duration of completed uses, shown where no median is known.
    """

    completed: int
    finished: int
    typical_seconds: float | None
    speed_gain: float
    likely: tuple[float, float] | None = None
    mean_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """What else counts for or against a skill: gains in log units, and what they come from."""

    after: str | None = None
    co_use_gain: float = 0.0
    phase: str | None = None
    phase_gain: float = 0.0
    choice_gain: float = 0.0
    drawn: bool = False


def reasons(*, similarity: float | None, matched_words: list[str], fits: bool, history: History) -> list[str]:
    """Say how a skill fits the query, then what its recorded uses show.

    Parameters
    ----------
    similarity : float or None
        Cosine of query and document.
    matched_words : list of str
        Words of the query that the document holds.
    fits : bool
        Whether the skill fits nearly as well as the best one.
    history : History

    Returns
    -------
    list of str
        One to four short sentences without a full stop.
    """
    return [*_fit(similarity, matched_words, fits=fits), *_outcomes(history)]


def company_reasons(company: Company) -> list[str]:
    """Say what earlier skills, the phase, earlier choices and chance contribute, where it is notable."""
    said = []
    if company.after is not None and company.co_use_gain > _NOTABLE_GAIN:
        said.append(f"often succeeds after {company.after}, which this session used last")
    if company.phase is not None and company.phase_gain > _NOTABLE_GAIN:
        said.append(f"often succeeds in the phase {company.phase}")
    if company.choice_gain > _NOTABLE_GAIN:
        said.append("was chosen over skills shown above it, and worked")
    elif company.choice_gain < -_NOTABLE_GAIN:
        said.append("was passed over for skills shown below it, which worked")
    if company.drawn:
        said.append("placed first at random, to learn how well it works")
    return said


def seconds_in_words(seconds: float) -> str:
    """Return a duration in words: ``0.4 s``, ``42 s``, ``3.5 min``, ``2 h``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.1f}".rstrip("0").rstrip(".") + " min"
    return f"{seconds / _HOUR_S:.1f}".rstrip("0").rstrip(".") + " h"


def _fit(similarity: float | None, matched_words: list[str], *, fits: bool) -> list[str]:
    said = []
    if similarity is not None:
        said.append(f"meaning is {'close to' if fits else 'related to'} the query ({similarity:.2f})")
    if matched_words:
        said.append("shares " + ", ".join(f"“{word}”" for word in matched_words))
    return said or ["among the closest skills, though not close"]


def _outcomes(history: History) -> list[str]:
    if history.finished == 0:
        return ["no recorded use yet"]
    rate = f"completed {history.completed} of {counted(history.finished, 'use')}"
    if history.finished < THIN_EVIDENCE:
        rate += f" (thin evidence: {counted(history.finished, 'use')} so far)"
    said = [rate]
    if history.likely is not None:
        low, high = history.likely
        said.append(
            f"at queries like this it likely works {percent(low)} to {percent(high)} of the time (80% interval)"
        )
    pace = _pace(history)
    if pace:
        if history.speed_gain > _NOTABLE_SPEED:
            pace += ", faster than others here"
        elif history.speed_gain < -_NOTABLE_SPEED:
            pace += ", slower than others here"
        said.append(pace)
    return said


def _pace(history: History) -> str:
    if history.typical_seconds is not None:
        return f"usually {seconds_in_words(history.typical_seconds)}"
    return "" if history.mean_seconds is None else f"on average {seconds_in_words(history.mean_seconds)}"
