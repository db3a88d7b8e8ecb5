"""Skills that do well in some projects and badly in others."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.findings import (
    Finding,
    Findings,
    Flags,
    Floats,
    ProjectUse,
    believed,
    collected,
    scored,
    share_of,
    tested,
)

MIN_FINISHED: Final = 10
# Smaller differences are not reported, even when they are significant.
MIN_GAP: Final = 0.15
_ROUNDS: Final = 20
# The prior precision of a level: levels have a standard deviation of about one on the scale of log-odds.
_DRAWN: Final = 1.0
NEEDS: Final = f"two projects with {MIN_FINISHED} finished uses each by more than one person"


def mixed_results(use: ProjectUse) -> Findings:
    """Find skills whose success differs between projects by more than it scatters within them.

    Some projects are harder than others for every skill, which says nothing about one of them. So each project's rate
    is compared with what the project and the skill lead to expect. The chi-squared statistic of homogeneity,
    divided by the scatter from day to day where that is more than binomial (McCullagh and Nelder, "Generalized linear
    models", 1989, 4.5), is compared with Fisher's F. One person's results do not represent a project, unless no
    project has more than one person.
    """
    from scipy.special import fdtrc  # noqa: PLC0415  only who asks for insights waits for SciPy

    alone = (use.users == 1) & (use.users.max(axis=0, initial=0.0) > 1)
    spoken = (use.finished >= MIN_FINISHED) & ~alone
    groups = spoken.sum(axis=0)
    expected = _expected(use.completed, use.finished)
    finished, completed = np.where(spoken, use.finished, 0.0), np.where(spoken, use.completed, 0.0)
    chance = expected * (1.0 - expected) / np.maximum(finished, 1.0)
    surplus = np.where(spoken, completed / np.maximum(finished, 1.0) - expected, 0.0)
    scatter, freedom = _scatter(use, spoken, finished, completed)
    statistic = (surplus**2 / chance).sum(axis=0) / np.maximum(groups - 1, 1) / scatter
    enough = groups >= 2  # noqa: PLR2004  two, to differ
    places = np.flatnonzero(enough).tolist()
    p_values = fdtrc(np.maximum(groups - 1, 1), freedom, statistic)[places]
    found = []
    for place, test in zip(places, tested("F of homogeneity", statistic[places], p_values), strict=True):
        if not believed(test):
            continue
        own = _own_part(surplus[:, place], scatter[place] * chance[:, place], spoken[:, place], finished[:, place])
        order = np.argsort(-own)[: groups[place]].tolist()
        gap = float(own[order[0]] - own[order[-1]])
        if gap < MIN_GAP:
            continue
        skill = use.skills[place]
        shown = [share_of(use.projects[each], completed[each, place], finished[each, place]) for each in order]
        well, badly = shown[0], shown[-1]
        found.append(
            Finding(
                kind="mixed_results",
                skill=skill,
                project=None,
                title=sentences.mixed_results(
                    skill, (well.of, well.rate, well.total), (badly.of, badly.rate, badly.total)
                ),
                score=scored(gap, test),
                counts={
                    "projects": float(groups[place]),
                    "gap": round(gap, 4),
                    "usual_where_well": round(float(expected[order[0], place]), 4),
                    "usual_where_badly": round(float(expected[order[-1], place]), 4),
                },
                rates=shown,
                test=test,
            )
        )
    lacking = int(((use.finished.sum(axis=0) > 0) & ~enough).sum())
    return collected("mixed_results", found, examined=len(places), lacking=lacking, needs=NEEDS)


def _expected(completed: Floats, finished: Floats) -> Floats:
    """Return what each skill's and each project's own level lead to expect; float64 (projects, skills), in (0, 1).

    Levels add up on the scale of log-odds. They are found by Newton steps, for projects and skills in turn, each
    shrunk a little towards zero, so that what was hardly used has no level of its own.
    """
    project, skill = np.zeros((len(completed), 1)), np.zeros((1, completed.shape[1]))
    total = max(float(finished.sum()), 1.0)
    usual = np.log((float(completed.sum()) + 0.5) / (total - float(completed.sum()) + 0.5))
    for _ in range(_ROUNDS):
        skill = _stepped(skill, 0, _share(usual + project + skill), completed, finished)
        project = _stepped(project, 1, _share(usual + project + skill), completed, finished)
    return np.clip(_share(usual + project + skill), 0.01, 0.99)


def _stepped(level: Floats, axis: int, share: Floats, completed: Floats, finished: Floats) -> Floats:
    missed = (completed - finished * share).sum(axis=axis, keepdims=True) - _DRAWN * level
    known = (finished * share * (1.0 - share)).sum(axis=axis, keepdims=True) + _DRAWN
    return np.asarray(level + np.clip(missed / known, -1.0, 1.0))


def _share(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _scatter(use: ProjectUse, spoken: Flags, finished: Floats, completed: Floats) -> tuple[Floats, Floats]:
    """Return each skill's overdispersion from day to day, at least 1, and its degrees of freedom."""
    some = np.maximum(finished, 1.0)
    smoothed = (completed + 0.5) / (finished + 1.0)
    within = np.where(spoken, (use.squares - completed**2 / some) / (smoothed * (1.0 - smoothed)), 0.0).sum(axis=0)
    freedom = np.maximum(np.where(spoken, use.finished_days - 1.0, 0.0).sum(axis=0), 1.0)
    return np.maximum(within / freedom, 1.0), freedom


def _own_part(surplus: Floats, noise: Floats, spoken: Flags, finished: Floats) -> Floats:
    """Return each project's surplus, shrunk towards 0 by the share of it that is chance; NaN where it is not known."""
    spread = max(float(np.average(surplus**2 - noise, weights=np.where(spoken, finished, 0.0))), 0.0)
    return np.where(spoken, surplus * spread / (spread + noise), np.nan)
