"""Skills that do well in some projects and badly in others."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights.findings import (
    Finding,
    Findings,
    Floats,
    ProjectUse,
    believed,
    collected,
    percent,
    scored,
    share_of,
    tested,
)

MIN_FINISHED: Final = 10
# Smaller differences, once chance is taken out of them, are not worth anybody's time.
MIN_GAP: Final = 0.15
NEEDS: Final = f"two projects with {MIN_FINISHED} finished uses each, by more than one person"


def mixed_results(use: ProjectUse) -> Findings:
    """Find skills whose success differs between projects by more than it scatters within them.

    The chi-squared statistic of homogeneity, divided by the scatter from day to day where that is more than binomial
    (McCullagh and Nelder, "Generalized linear models", 1989, 4.5), against Fisher's F. One person's results do not
    speak for a project, unless one person is all that any project has.
    """
    from scipy.special import fdtrc  # noqa: PLC0415  only who asks for insights waits for SciPy

    alone = (use.users == 1) & (use.users.max(axis=0, initial=0.0) > 1)
    spoken = (use.finished >= MIN_FINISHED) & ~alone
    groups = spoken.sum(axis=0)
    finished, completed = np.where(spoken, use.finished, 0.0), np.where(spoken, use.completed, 0.0)
    total, some = finished.sum(axis=0), np.maximum(finished, 1.0)
    overall = completed.sum(axis=0) / np.maximum(total, 1.0)
    variance = overall * (1.0 - overall)
    enough = groups >= 2  # noqa: PLR2004  two, to differ
    varies = enough & (variance > 0)
    unit = np.where(varies, variance, 1.0)
    between = ((completed - finished * overall) ** 2 / some).sum(axis=0) / unit
    scatter, freedom = _scatter(use, spoken, finished, completed)
    statistic = np.where(varies, between / np.maximum(groups - 1, 1) / scatter, 0.0)
    places = np.flatnonzero(enough).tolist()
    p_values = fdtrc(np.maximum(groups - 1, 1), freedom, statistic)[places]
    found = []
    for place, test in zip(places, tested("F of homogeneity", statistic[places], p_values), strict=True):
        if not believed(test):
            continue
        shrunk = _shrunk(
            completed[:, place], finished[:, place], spoken[:, place], float(overall[place]), float(scatter[place])
        )
        best, worst = int(np.nanargmax(shrunk)), int(np.nanargmin(shrunk))
        gap = float(shrunk[best] - shrunk[worst])
        if gap < MIN_GAP:
            continue
        skill = use.skills[place]
        order = [int(each) for each in np.argsort(-shrunk)[: groups[place]]]
        shown = [share_of(use.projects[each], completed[each, place], finished[each, place]) for each in order]
        told = {each.of: each for each in shown}
        well, badly = told[use.projects[best]], told[use.projects[worst]]
        found.append(
            Finding(
                kind="mixed_results",
                skill=skill,
                project=None,
                title=f"{skill} does well in {well.of} ({percent(well.rate)} of {well.total}) and badly in "
                f"{badly.of} ({percent(badly.rate)} of {badly.total})",
                score=scored(gap, test),
                counts={"projects": float(groups[place]), "gap": round(gap, 4), "scatter": round(scatter[place], 3)},
                rates=shown,
                test=test,
            )
        )
    lacking = int(((use.finished.sum(axis=0) > 0) & ~enough).sum())
    return collected("mixed_results", found, examined=len(places), lacking=lacking, needs=NEEDS)


def _scatter(use: ProjectUse, spoken: np.ndarray, finished: Floats, completed: Floats) -> tuple[Floats, Floats]:
    """Return how much more than binomial each skill's rate scatters from day to day, at least 1, and its freedom."""
    some = np.maximum(finished, 1.0)
    smoothed = (completed + 0.5) / (finished + 1.0)
    within = np.where(spoken, (use.squares - completed**2 / some) / (smoothed * (1.0 - smoothed)), 0.0).sum(axis=0)
    freedom = np.maximum(np.where(spoken, use.finished_days - 1.0, 0.0).sum(axis=0), 1.0)
    return np.maximum(within / freedom, 1.0), freedom


def _shrunk(completed: Floats, finished: Floats, spoken: np.ndarray, overall: float, scatter: float) -> Floats:
    """Return each project's rate, drawn towards the overall one by what chance alone explains; NaN where unspoken."""
    noise = scatter * overall * (1.0 - overall) / np.maximum(finished, 1.0)
    raw = completed / np.maximum(finished, 1.0)
    spread = float(np.average((raw - overall) ** 2 - noise, weights=finished))
    kept = max(spread, 0.0) / (max(spread, 0.0) + noise)
    return np.where(spoken, overall + kept * (raw - overall), np.nan)
