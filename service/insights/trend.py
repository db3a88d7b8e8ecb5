"""Skills that are used, or succeed, more or less often than before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.dispersion import moderated
from service.insights.findings import (
    DailyUse,
    Finding,
    Findings,
    Floats,
    Share,
    believed,
    collected,
    scored,
    share_of,
    tested,
)
from service.text import counted

WEEK: Final = 7
MIN_WEEKS: Final = 6
MIN_USES: Final = 30
MIN_FINISHED: Final = 40
# Change of use, (last - first) / (last + first), and change of the success rate, from the first week to the last.
MIN_CHANGE_OF_USE: Final = 0.2
MIN_CHANGE_OF_SUCCESS: Final = 0.1
NEEDS_OF_USE: Final = f"{MIN_USES} uses by different people or on different days, over {MIN_WEEKS} weeks"
NEEDS_OF_SUCCESS: Final = f"{MIN_FINISHED} finished uses over {MIN_WEEKS} weeks"


@dataclass(frozen=True, slots=True)
class Trends:
    """Linear trends of shares over weeks; arrays are float64 (skills,).

    `first` and `last` are the fitted shares of the first and the last week, in [0, 1].
    """

    statistic: Floats
    p_value: Floats
    first: Floats
    last: Floats


def trends(hits: Floats, totals: Floats) -> Trends:
    """Fit and test a linear trend of ``hits / totals`` over weeks.

    The score test of Cochran (Biometrics 10, 1954) and Armitage (Biometrics 11, 1955), divided by the scatter around
    the line where that is more than binomial, and compared with F with as many degrees of freedom as the scatter has.
    The scatter of each skill is moderated by that of all (`dispersion.moderated`).

    Parameters
    ----------
    hits, totals : float64 (skills, weeks)
        ``0 ≤ hits ≤ totals``.
    """
    from scipy.special import fdtrc  # noqa: PLC0415  only who asks for insights waits for SciPy

    week = np.arange(hits.shape[1], dtype=np.float64)
    total = np.maximum(totals.sum(axis=1), 1.0)
    share = hits.sum(axis=1) / total
    variance = share * (1.0 - share)
    centred = week - ((totals * week).sum(axis=1) / total)[:, None]
    spread = (totals * centred**2).sum(axis=1)
    fits = (variance > 0) & (spread > 0)
    unit, width = np.where(fits, variance, 1.0), np.where(fits, spread, 1.0)
    slope = np.where(fits, (hits * centred).sum(axis=1) / width, 0.0)
    linear = slope**2 * width / unit
    whole = ((hits - totals * share[:, None]) ** 2 / np.maximum(totals, 1.0)).sum(axis=1) / unit
    freedom = np.maximum((totals > 0).sum(axis=1) - 2.0, 1.0)
    scatter, freedom = moderated(np.maximum(whole - linear, 0.0) / freedom, freedom)
    statistic = linear / np.maximum(scatter, 1.0)
    ends = share[:, None] + slope[:, None] * centred[:, [0, -1]]
    first, last = np.clip(ends, 0.0, 1.0).T
    return Trends(statistic, np.where(fits, fdtrc(1.0, freedom, statistic), 1.0), first, last)


def by_week(daily: Floats) -> Floats:
    """Sum days to whole weeks that end with the last day; days before the first whole week are left out.

    Fewer than seven days count as one week.
    """
    weeks = daily.shape[1] // WEEK
    if weeks == 0:
        return np.asarray(daily.sum(axis=1, keepdims=True))
    return np.asarray(daily[:, daily.shape[1] - weeks * WEEK :].reshape(len(daily), weeks, WEEK).sum(axis=2))


def use_trends(use: DailyUse) -> Findings:
    """Find skills whose share of all uses rises or falls. A person counts once a day, however often they use it."""
    hits = by_week(use.reporters)
    totals = np.broadcast_to(hits.sum(axis=0), hits.shape)
    used = hits.sum(axis=1)
    enough = (used >= MIN_USES) & ((totals > 0).sum(axis=1) >= MIN_WEEKS)
    places = np.flatnonzero(enough).tolist()
    fitted = trends(hits[places], totals[places])
    tests = tested("Cochran–Armitage, F", fitted.statistic, fitted.p_value)
    found = []
    for each, place in enumerate(places):
        first, last = float(fitted.first[each]), float(fitted.last[each])
        change = (last - first) / max(last + first, 1e-12)
        if not believed(tests[each]) or abs(change) < MIN_CHANGE_OF_USE:
            continue
        skill = use.skills[place]
        found.append(
            Finding(
                kind="use_trend",
                skill=skill,
                project=None,
                title=sentences.use_trend(skill, first, last, hits.shape[1]),
                score=scored(abs(change), tests[each]),
                counts={"weeks": float(hits.shape[1]), "first": round(first, 5), "last": round(last, 5)},
                rates=[_half(hits, totals, place, first=each_half) for each_half in (True, False)],
                test=tests[each],
            )
        )
    lacking = int(((used > 0) & ~enough).sum())
    return collected("use_trend", found, examined=len(places), lacking=lacking, needs=NEEDS_OF_USE)


def success_trends(use: DailyUse) -> Findings:
    """Find skills whose success rises or falls."""
    hits, totals = by_week(use.completed), by_week(use.finished)
    finished = totals.sum(axis=1)
    enough = (finished >= MIN_FINISHED) & ((totals > 0).sum(axis=1) >= MIN_WEEKS)
    places = np.flatnonzero(enough).tolist()
    fitted = trends(hits[places], totals[places])
    tests = tested("Cochran–Armitage, F", fitted.statistic, fitted.p_value)
    found = []
    for each, place in enumerate(places):
        first, last = float(fitted.first[each]), float(fitted.last[each])
        if not believed(tests[each]) or abs(last - first) < MIN_CHANGE_OF_SUCCESS:
            continue
        skill = use.skills[place]
        found.append(
            Finding(
                kind="success_trend",
                skill=skill,
                project=None,
                title=sentences.success_trend(skill, first, last, hits.shape[1]),
                score=scored(abs(last - first), tests[each]),
                counts={"weeks": float(hits.shape[1]), "first": round(first, 4), "last": round(last, 4)},
                rates=[_half(hits, totals, place, first=each_half) for each_half in (True, False)],
                test=tests[each],
            )
        )
    lacking = int(((finished > 0) & ~enough).sum())
    return collected("success_trend", found, examined=len(places), lacking=lacking, needs=NEEDS_OF_SUCCESS)


def _half(hits: Floats, totals: Floats, place: int, *, first: bool) -> Share:
    middle = hits.shape[1] // 2
    weeks = slice(None, middle) if first else slice(middle, None)
    return share_of(
        f"the {'first' if first else 'last'} {counted(len(range(hits.shape[1])[weeks]), 'week')}",
        float(hits[place, weeks].sum()),
        max(float(totals[place, weeks].sum()), 1.0),
    )
