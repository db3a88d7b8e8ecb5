"""Which projects use similar skills, and which skills a project could try because similar ones succeed with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.findings import (
    Finding,
    Findings,
    Floats,
    ProjectUse,
    believed,
    collected,
    scored,
    share_of,
    tested,
)
from service.insights.inference import FALSE_DISCOVERY_RATE, benjamini_hochberg, wilson

MIN_REPORTER_DAYS: Final = 30
MIN_FINISHED: Final = 20
MIN_SIMILARITY: Final = 0.3
MOST_OF_A_SKILL: Final = 4.0
# One or two uses may be somebody who only tried the skill.
NOT_USED: Final = 2
NEEDS: Final = (
    f"a project with {MIN_REPORTER_DAYS} uses on different days or by different people, and a skill with "
    f"{MIN_FINISHED} finished uses in similar projects"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How similar the projects' use of skills is; arrays are float64 (projects, projects), symmetric.

    Attributes
    ----------
    similarity : array
        In [-1, 1]; NaN on the diagonal and where one project has too few uses.
    q_value : array
        The false discovery rate for "more similar than any two projects", 1 where nothing was compared.
    """

    similarity: Floats
    q_value: Floats

    def alike(self, project: int) -> list[int]:
        """Return the projects that are significantly and clearly similar to one, the most similar first."""
        near = np.flatnonzero(
            (self.q_value[project] <= FALSE_DISCOVERY_RATE) & (self.similarity[project] >= MIN_SIMILARITY)
        )
        return [int(each) for each in near[np.argsort(-self.similarity[project][near], kind="stable")]]


def likeness(use: ProjectUse) -> Likeness:
    """Compare projects by their skill use.

    The similarity is the cosine of Anscombe residuals: how much more or less than expected each skill is used, in
    standard deviations (Anscombe, Biometrika 35, 1948). Skills that every project uses to the same extent do not make
    projects similar, and with little data chance dominates the residuals, which pulls the cosine towards 0. Residuals
    are cut off at `MOST_OF_A_SKILL`, so that no single skill decides.
    """
    from scipy.special import stdtr  # noqa: PLC0415  only who asks for insights waits for SciPy

    count = len(use.projects)
    of_project = use.reporter_days.sum(axis=1)
    told = of_project >= MIN_REPORTER_DAYS
    overall = use.reporter_days.sum(axis=0) / max(float(of_project.sum()), 1.0)
    expected = of_project[:, None] * overall
    scaled = 2.0 * (np.sqrt(use.reporter_days + 3 / 8) - np.sqrt(expected + 3 / 8))
    residual = np.clip(scaled, -MOST_OF_A_SKILL, MOST_OF_A_SKILL)
    length = np.maximum(np.linalg.norm(residual, axis=1), 1e-12)
    cosine = np.clip(residual @ residual.T / np.outer(length, length), -1.0, 1.0)
    # A few large residuals amount to fewer independent comparisons than there are skills.
    dimensions = length**4 / np.maximum((residual**4).sum(axis=1), 1e-12)
    freedom = np.maximum(np.minimum.outer(dimensions, dimensions) - 2.0, 1.0)
    statistic = cosine * np.sqrt(freedom / np.maximum(1.0 - cosine**2, 1e-12))
    pairs = np.triu(np.outer(told, told), k=1)
    q_values = np.ones((count, count))
    q_values[pairs] = benjamini_hochberg(stdtr(freedom[pairs], -statistic[pairs]))
    comparable = pairs | pairs.T
    return Likeness(np.where(comparable, cosine, np.nan), np.minimum(q_values, q_values.T))


def worth_trying(use: ProjectUse, alike: Likeness) -> Findings:
    """Find skills that a project does not use and that succeed more often than other skills in similar projects."""
    from scipy.special import bdtrc  # noqa: PLC0415  see above

    finished, completed = use.finished.sum(axis=1), use.completed.sum(axis=1)
    candidates: list[tuple[int, int, list[int], float]] = []
    lacking = 0
    for project in range(len(use.projects)):
        near = alike.alike(project)
        if not near:
            lacking += 1
            continue
        # The success rate of all skills here, or in the similar projects if that is higher.
        usual = max(
            (completed[project] + 1.0) / (finished[project] + 2.0), completed[near].sum() / max(finished[near].sum(), 1)
        )
        known = use.finished[near].sum(axis=0) >= MIN_FINISHED
        many = (use.users[near].sum(axis=0) != 1) & known
        candidates += [
            (project, int(skill), near, min(float(usual), 0.999))
            for skill in np.flatnonzero(many & (use.reporter_days[project] <= NOT_USED))
        ]
    hits = np.array([use.completed[near, skill].sum() for _, skill, near, _ in candidates])
    totals = np.array([use.finished[near, skill].sum() for _, skill, near, _ in candidates])
    usuals = np.array([usual for *_, usual in candidates])
    p_values = np.where(hits > 0, bdtrc(np.maximum(hits - 1, 0), totals.astype(np.int64), usuals), 1.0)
    found = []
    for each, test in zip(range(len(candidates)), tested("binomial, one-sided", hits, p_values), strict=True):
        if not believed(test):
            continue
        project, skill, near, usual = candidates[each]
        users = [one for one in near if use.finished[one, skill] > 0]
        there = share_of("projects like this one", float(hits[each]), float(totals[each]))
        nearest = users[0]
        similarity = float(alike.similarity[project, nearest])
        surplus = float(wilson(hits[each], totals[each]).low) - usual
        found.append(
            Finding(
                kind="worth_trying",
                skill=use.skills[skill],
                project=use.projects[project],
                title=sentences.worth_trying(
                    use.projects[project],
                    use.skills[skill],
                    (use.projects[nearest], len(users) - 1),
                    (there.rate, there.total),
                    usual,
                ),
                score=scored(surplus / max(1.0 - usual, 1e-9) * similarity, test),
                counts={"similarity": round(similarity, 3), "usual": round(usual, 4), "projects": float(len(users))},
                rates=[
                    there,
                    *(
                        share_of(use.projects[one], use.completed[one, skill], use.finished[one, skill])
                        for one in users
                    ),
                ],
                test=test,
            )
        )
    return collected("worth_trying", found, examined=len(candidates), lacking=lacking, needs=NEEDS)
