"""Skills that were never used, or are no longer used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.findings import Finding, Findings, believed, collected, scored, tested

SILENT_DAYS: Final = 30
MIN_ACTIVE_DAYS: Final = 8
MIN_SPAN_DAYS: Final = 28
# Scored lowest, since it says nothing about the skill yet.
_SCORE_OF_NEVER: Final = 0.05
NEEDS: Final = (
    f"{SILENT_DAYS} days in the catalogue, or {MIN_ACTIVE_DAYS} days of use over at least {MIN_SPAN_DAYS} days"
)

Span = tuple[str, str, int, int]


def unused(
    spans: Mapping[str, Span], catalogue: Mapping[str, str | None], removed: Sequence[str], today: str
) -> Findings:
    """Find skills without any use, and skills that have gone unused for longer than their earlier use explains.

    A skill that was used on a share λ of its days goes unused for g days with probability (1 - λ)^g.

    Parameters
    ----------
    spans : mapping
        For each skill ever used: the first and the last day, the number of days with uses, and of uses.
    catalogue : mapping
        For each served skill the day on which it was first indexed.
    removed : sequence of str
        Skills that are no longer served, of which nothing is reported.
    today : str
        The last day on which anything was used.
    """
    now = date.fromisoformat(today)
    began = min((date.fromisoformat(first) for first, *_ in spans.values()), default=now)
    watched = (now - began).days >= SILENT_DAYS
    old = [
        name
        for name, indexed in catalogue.items()
        if name not in spans and indexed is not None and (now - date.fromisoformat(indexed)).days >= SILENT_DAYS
    ]
    found = [_never(name, str(catalogue[name])) for name in old] if watched else []
    gone = set(removed)
    judged = [
        name
        for name, (first, last, active, _) in spans.items()
        if name not in gone
        and active >= MIN_ACTIVE_DAYS
        and (date.fromisoformat(last) - date.fromisoformat(first)).days >= MIN_SPAN_DAYS
    ]
    # Today is not over, and a use today ends the silence.
    silence = np.array([max((now - date.fromisoformat(spans[name][1])).days, 0) for name in judged], dtype=np.float64)
    share = np.array([_share(spans[name]) for name in judged], dtype=np.float64)
    tests = tested("probability of such a silence", silence, (1.0 - share) ** silence)
    for name, days, test in zip(judged, silence, tests, strict=True):
        if days >= SILENT_DAYS and believed(test):
            first, last, active, uses = spans[name]
            found.append(
                Finding(
                    kind="unused",
                    skill=name,
                    project=None,
                    title=sentences.no_longer_used(name, first, last, active, int(days)),
                    score=scored(min(active / 30, 1.0) * 0.5, test),
                    counts={"uses": float(uses), "active_days": float(active), "silent_days": float(days)},
                    rates=[],
                    test=test,
                )
            )
    lacking = len(spans) - len(judged) - len(gone & set(spans)) + (len(catalogue) - len(old) if not spans else 0)
    return collected("unused", found, examined=len(judged) + len(old), lacking=max(lacking, 0), needs=NEEDS)


def _share(span: Span) -> float:
    first, last, active, _ = span
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    # The last day is one with use by definition, since the silence begins after it.
    return min((active - 1) / (days - 1), 0.999)


def _never(name: str, indexed: str) -> Finding:
    return Finding(
        kind="unused",
        skill=name,
        project=None,
        title=sentences.never_used(name, indexed),
        score=_SCORE_OF_NEVER,
        counts={"uses": 0.0},
        rates=[],
        test=None,
    )
