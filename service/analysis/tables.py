"""Arranges the counts of the store in the arrays that `service.insights` works on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from service.insights.findings import DailyUse, Floats, ProjectUse
from service.insights.missing import Query
from service.search.answers import MAX_RESULTS
from store.contract.aggregates import (
    NO_PROJECT,
    ExposureTotal,
    MetricsSource,
    ProjectSkillTotal,
    SkillDayTotal,
    UnansweredSearch,
)
from store.contract.catalogue import SkillRecord
from store.errors import NotFound
from store.protocol import Store

_PAGE: Final = 500


class ProjectNames:
    """The names of projects. The uses without a project are one project of their own in each database."""

    def __init__(self, sources: Sequence[MetricsSource]) -> None:
        folders = {source.id: Path(source.location).parent for source in sources}
        names = Counter(folder.name for folder in folders.values())
        self._without = {
            number: f"no project ({folder.name if names[folder.name] == 1 else folder})"
            for number, folder in folders.items()
        }
        if len(sources) == 1:
            self._without = dict.fromkeys(folders, "no project")

    def name(self, total: ProjectSkillTotal) -> str:
        """Return the id of a project, or a description for uses without one."""
        return total.project_id if total.source_id is None else self._without[total.source_id]

    def identifier(self, name: str) -> str:
        """Return the id of a project by its name, '' for uses without a project."""
        return NO_PROJECT if name in self._without.values() else name


def project_use(totals: Sequence[ProjectSkillTotal], names: ProjectNames) -> ProjectUse:
    """Arrange totals by project and skill, both in the order of their names."""
    projects = sorted({names.name(each) for each in totals})
    skills = sorted({each.skill_name for each in totals})
    row, column = _places(projects), _places(skills)
    cells = np.zeros((6, len(projects), len(skills)))
    for each in totals:
        cells[:, row[names.name(each)], column[each.skill_name]] += (
            each.reporter_days,
            each.completed,
            each.finished,
            each.finished_days,
            each.squares,
            each.users,
        )
    return ProjectUse(projects, skills, *cells)


def daily_use(totals: Sequence[SkillDayTotal], first: str, last: str) -> DailyUse:
    """Arrange totals by skill and day, for every day from `first` to `last`."""
    skills = sorted({each.skill_name for each in totals})
    days = [day.isoformat() for day in _days(date.fromisoformat(first), date.fromisoformat(last))]
    row, column = _places(skills), _places(days)
    cells = np.zeros((3, len(skills), len(days)))
    for each in totals:
        cells[:, row[each.skill_name], column[each.day]] = (each.reporters, each.completed, each.finished)
    return DailyUse(skills, days, *cells)


def exposure(totals: Sequence[ExposureTotal]) -> tuple[list[str], Floats, Floats]:
    """Return skills, and how often each was shown and chosen at each position; float64 (skills, positions)."""
    # No list is longer. Rows written by other programs must not decide how much memory this takes.
    totals = [each for each in totals if each.position <= MAX_RESULTS]
    skills = sorted({each.skill_name for each in totals})
    row = _places(skills)
    cells = np.zeros((2, len(skills), max((each.position for each in totals), default=0)))
    for each in totals:
        cells[:, row[each.skill_name], each.position - 1] += (each.shown, each.taken)
    return skills, cells[0], cells[1]


def query(search: UnansweredSearch) -> Query:
    """Return a query in the form in which queries are grouped."""
    vector = None if search.query_vector is None else np.frombuffer(search.query_vector, dtype=np.float32)
    return Query(
        search_id=search.search_id,
        asked_at=search.searched_at,
        text=search.query,
        text_hash=search.query_hash,
        # A zero vector, which the smallest models may give, has no cosine with anything.
        vector=vector if vector is not None and float(np.linalg.norm(vector)) > 0 else None,
        model_id=search.model_id,
        asker=search.asker,
    )


def catalogue(store: Store, project_id: str | None) -> tuple[dict[str, str | None], list[str]]:
    """Return the served skills with the day each was first indexed, and the names of removed ones.

    The catalogue of a project consists of the skills it declares, each from the day it was declared.
    """
    served = {skill.skill_name: skill.first_indexed_at for skill in _all(store, removed=False)}
    if project_id is not None:
        declared = _declared(store, project_id)
        served = {name: declared[name] for name in served if name in declared}
    days = {name: None if since is None else since[:10] for name, since in served.items()}
    return days, [skill.skill_name for skill in _all(store, removed=True)]


def _declared(store: Store, project_id: str) -> dict[str, str]:
    try:
        return {skill.skill_name: skill.declared_at for skill in store.project_skills(project_id)}
    except NotFound:
        return {}


def _all(store: Store, *, removed: bool) -> list[SkillRecord]:
    found: list[SkillRecord] = []
    while page := store.skills(after=found[-1].skill_name if found else "", limit=_PAGE, removed=removed):
        found += page
    return found


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
