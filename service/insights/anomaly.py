"""Skills whose last day is unlike the weeks before it."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.findings import (
    DailyUse,
    Finding,
    Findings,
    Flags,
    Floats,
    Significance,
    believed,
    collected,
    scored,
    share_of,
    tested,
)

WEEK: Final = 7
BASELINE_DAYS: Final = 42
MIN_DAYS: Final = 14
MIN_FINISHED: Final = 10
MIN_USES: Final = 10
# With fewer finished uses a day's rate is mostly chance.
MIN_ON_A_DAY: Final = 3
MIN_SIZE: Final = 0.15
NEEDS: Final = f"{MIN_USES} uses on the last day, recorded or expected, and {MIN_DAYS} days with uses before it"
# The standard deviation of a normal distribution, in units of its median absolute deviation.
_MAD_TO_DEVIATION: Final = 1.4826
# The variance of a median over that of a mean.
_MEDIAN_VARIANCE: Final = np.pi / 2


def anomalies(use: DailyUse) -> Findings:
    """Find skills whose use or success on the last day was unlike that of the six weeks before.

    Rates are smoothed and transformed to a scale on which their variance does not depend on the rate (Anscombe,
    Biometrika 35, 1948). The last day is compared with the median of the days before, in units of their median
    absolute deviation, or of chance where that is larger: once with all days and once with the same weekday. The
    smaller of the two deviations counts.
    """
    from scipy.special import stdtr  # noqa: PLC0415  only who asks for insights waits for SciPy

    use = _recent(use)
    if len(use.days) <= MIN_DAYS:
        return collected("anomaly", [], examined=0, lacking=len(use.skills), needs=NEEDS)
    success, of_success, days_of_success = _of_success(use)
    volume, of_volume, days_of_volume, expected = _of_use(use)
    z = np.concatenate([success[of_success], volume[of_volume]])
    freedom = np.concatenate([days_of_success[of_success], days_of_volume[of_volume]]) - 1.0
    tests = tested("robust z", z, 2.0 * stdtr(np.maximum(freedom, 1.0), -np.abs(z)))
    found = []
    for place, test in zip(np.flatnonzero(of_success), tests, strict=False):
        told = _success_finding(use, int(place), test) if believed(test) else None
        found += [told] if told else []
    for place, test in zip(np.flatnonzero(of_volume), tests[int(of_success.sum()) :], strict=True):
        told = _use_finding(use, int(place), float(expected[place]), test) if believed(test) else None
        found += [told] if told else []
    judged = of_success | of_volume
    lacking = int(((use.reporters.sum(axis=1) > 0) & ~judged).sum())
    return collected("anomaly", found, examined=int(judged.sum()), lacking=lacking, needs=NEEDS)


def robust_z(scaled: Floats, chance: Floats, told: Flags) -> Floats:
    """Return how far the last day is from the days before; float64 (skills,), 0 where that is not known.

    Parameters
    ----------
    scaled : float64 (skills, days)
        On a scale on which chance is normally distributed.
    chance : float64 (skills, days)
        The standard deviation due to chance alone.
    told : bool (skills, days)
        Which days have data.
    """
    weekday = np.zeros(scaled.shape[1], dtype=bool)
    weekday[-1 - WEEK :: -WEEK] = True
    every = np.ones(scaled.shape[1], dtype=bool)
    every[-1] = weekday[-1] = False
    around = np.nanmedian(_where(scaled, told & every), axis=1, keepdims=True)
    standard = (scaled - around) / chance
    deviation = _MAD_TO_DEVIATION * np.nanmedian(np.abs(_where(standard, told & every)), axis=1)
    scale = np.maximum(np.nan_to_num(deviation, nan=1.0), 1.0)
    against = []
    for days in (every, weekday):
        seen = told & days
        middle = np.nanmedian(_where(scaled, seen), axis=1)
        precision = np.where(seen, chance**-2.0, 0.0).sum(axis=1)
        width = np.sqrt(chance[:, -1] ** 2 + _MEDIAN_VARIANCE / np.maximum(precision, 1e-12))
        against.append(np.nan_to_num((scaled[:, -1] - middle) / width / scale))
    whole, same_weekday = against
    agree = np.sign(whole) == np.sign(same_weekday)
    return np.where(agree, np.sign(whole) * np.minimum(np.abs(whole), np.abs(same_weekday)), 0.0)


def _where(values: Floats, told: Flags) -> Floats:
    """Set what has no data to NaN; a row without any data keeps one 0, since a median needs a value."""
    kept = np.where(told, values, np.nan)
    kept[~told.any(axis=1), 0] = 0.0
    return kept


def _recent(use: DailyUse) -> DailyUse:
    days = slice(-(BASELINE_DAYS + 1), None)
    return DailyUse(use.skills, use.days[days], use.reporters[:, days], use.completed[:, days], use.finished[:, days])


def _of_success(use: DailyUse) -> tuple[Floats, Flags, Floats]:
    told = use.finished >= MIN_ON_A_DAY
    scaled = np.arcsin(np.sqrt((use.completed + 3 / 8) / (use.finished + 3 / 4)))
    z = robust_z(scaled, 0.5 / np.sqrt(use.finished + 0.5), told)
    days = told[:, :-1].sum(axis=1)
    return z, (use.finished[:, -1] >= MIN_FINISHED) & (days >= MIN_DAYS), days.astype(np.float64)


def _of_use(use: DailyUse) -> tuple[Floats, Flags, Floats, Floats]:
    # The use of other skills tells how busy a day was: weekends and holidays say nothing about one skill.
    others = use.reporters.sum(axis=0) - use.reporters
    busy = others > 0
    share = np.nanmedian(_where(use.reporters / np.maximum(others, 1.0), _but_last(busy)), axis=1)
    expected = share[:, None] * others
    scaled = 2.0 * (np.sqrt(use.reporters + 3 / 8) - np.sqrt(expected + 3 / 8))
    z = robust_z(scaled, np.ones_like(scaled), busy)
    days = busy[:, :-1].sum(axis=1)
    counted = np.maximum(use.reporters[:, -1], expected[:, -1]) >= MIN_USES
    known = (use.reporters[:, :-1] > 0).sum(axis=1) >= MIN_DAYS
    return z, counted & known & busy[:, -1], days.astype(np.float64), expected[:, -1]


def _but_last(told: Flags) -> Flags:
    before = told.copy()
    before[:, -1] = False
    return before


def _success_finding(use: DailyUse, place: int, test: Significance) -> Finding | None:
    before = share_of("the weeks before", use.completed[place, :-1].sum(), use.finished[place, :-1].sum())
    last = share_of(use.days[-1], use.completed[place, -1], use.finished[place, -1])
    size = abs(last.rate - before.rate)
    if size < MIN_SIZE:
        return None
    skill = use.skills[place]
    return Finding(
        kind="anomaly",
        skill=skill,
        project=None,
        title=sentences.unlike_in_success(skill, last.of, (last.rate, last.total), before.rate),
        score=scored(size, test),
        counts={"finished": float(last.total)},
        rates=[last, before],
        test=test,
    )


def _use_finding(use: DailyUse, place: int, expected: float, test: Significance) -> Finding | None:
    seen = float(use.reporters[place, -1])
    size = abs(seen - expected) / max(seen + expected, 1e-9)
    if size < MIN_SIZE:
        return None
    skill = use.skills[place]
    return Finding(
        kind="anomaly",
        skill=skill,
        project=None,
        title=sentences.unlike_in_use(skill, use.days[-1], seen, expected),
        score=scored(size, test),
        counts={"uses": seen, "expected": round(expected, 1)},
        rates=[],
        test=test,
    )
