"""Reads the totals by project, skill and day.

Of the logs, only the searches that found nothing suitable are read, through an index of their own.
"""

from __future__ import annotations

from typing import Final, LiteralString

import apsw

from store.contract.aggregates import (
    DayExposure,
    DayMetrics,
    ExposureTotal,
    MetricsFilter,
    ProjectSkillTotal,
    SkillDayTotal,
    SkillSpan,
    UnansweredSearch,
)
from store.sqlite.database import Database
from store.sqlite.rows import narrowed, record, rows, value

# A search without a project belongs to that of its session.
PROJECT_OF_SEARCH: Final = "coalesce(s.project_id, (SELECT project_id FROM session WHERE id = s.session_id), '')"
_FINISHED: Final = "(completed + failed + abandoned)"
_LAST_DAY: Final = "SELECT max(day) FROM cross_project_metrics WHERE day <= ?"
_DAYS: Final = """
SELECT m.day, m.skill_name, m.project_id, s.store_id, m.invocations, m.completed, m.failed, m.abandoned, m.cancelled,
       m.timed_completions, m.total_duration_us / 1e6, m.users, m.sessions, m.reporters
FROM cross_project_metrics m JOIN metrics_source s ON s.id = m.source_id {where}
ORDER BY m.day DESC, m.skill_name, m.project_id, m.source_id LIMIT ? OFFSET ?
"""
_EXPOSED_DAYS: Final = """
SELECT m.day, m.skill_name, m.project_id, s.store_id, m.position, m.shown, m.taken
FROM skill_exposure m JOIN metrics_source s ON s.id = m.source_id {where}
ORDER BY m.day DESC, m.skill_name, m.position, m.project_id, m.source_id LIMIT ? OFFSET ?
"""
# Uses without a project belong together only within one database.
_OF_PROJECT: Final = "CASE m.project_id WHEN '' THEN m.source_id END"
_PROJECT_SKILLS: Final = f"""
SELECT m.project_id, {_OF_PROJECT}, m.skill_name, sum(m.invocations), sum(m.reporters), sum(completed),
       sum({_FINISHED}), count(nullif({_FINISHED}, 0)),
       coalesce(sum(1.0 * completed * completed / nullif({_FINISHED}, 0)), 0), 0, min(m.day), max(m.day)
FROM cross_project_metrics m {{where}} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_PEOPLE: Final = f"""
SELECT m.project_id, {_OF_PROJECT}, m.skill_name, count(DISTINCT m.user_id) FROM cross_project_user m {{where}}
GROUP BY 1, 2, 3
"""
_SKILL_DAYS: Final = f"""
SELECT m.skill_name, m.day, sum(m.invocations), sum(m.reporters), sum(completed), sum({_FINISHED})
FROM cross_project_metrics m {{where}} GROUP BY 1, 2 ORDER BY 1, 2
"""
_SPANS: Final = """
SELECT m.skill_name, min(m.day), max(m.day), count(DISTINCT m.day), sum(m.invocations)
FROM cross_project_metrics m {where} GROUP BY 1 ORDER BY 1
"""
_EXPOSED: Final = """
SELECT m.skill_name, m.position, sum(m.shown), sum(m.taken) FROM skill_exposure m {where} GROUP BY 1, 2 ORDER BY 1, 2
"""
_UNANSWERED: Final = f"""
SELECT s.id, s.searched_at, s.query, s.query_hash, s.query_vector, s.model_id, nullif({PROJECT_OF_SEARCH}, ''),
       coalesce(s.user_id, s.session_id, s.id), s.confidence
FROM search s {{where}} {{joined}} s.confidence IN ('low', 'none') AND s.query_hash <> '' AND NOT EXISTS (
    SELECT 1 FROM skill_invocation i JOIN skill_outcome o ON o.invocation_id = i.id
    WHERE i.search_id = s.id AND o.outcome = 'completed')
ORDER BY s.searched_at DESC LIMIT ?
"""


class SqliteAggregateReading:
    """The readers of `store.contract.aggregates.Aggregates`."""

    _db: Database

    def last_day(self, *, until: str) -> str | None:
        found = self._db.read("last_day", lambda connection: value(connection, _LAST_DAY, (until,)))
        return None if found is None else str(found)

    def day_metrics(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayMetrics]:
        where, bound = _where(wanted)
        sql = _DAYS.format(where=where)
        found = self._db.read("day_metrics", lambda connection: rows(connection, sql, (*bound, limit, offset)))
        return [record(DayMetrics, row) for row in found]

    def day_exposures(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayExposure]:
        where, bound = _where(wanted)
        sql = _EXPOSED_DAYS.format(where=where)
        found = self._db.read("day_exposures", lambda connection: rows(connection, sql, (*bound, limit, offset)))
        return [record(DayExposure, row) for row in found]

    def project_skill_totals(self, wanted: MetricsFilter) -> list[ProjectSkillTotal]:
        where, bound = _where(wanted)
        # Users who last used the skill before the first day do not count.
        who, of_people = narrowed(
            ("m.project_id = ?", wanted.project_id),
            ("m.skill_name = ?", wanted.skill_name),
            ("m.last_day >= ?", wanted.since),
        )

        def query(connection: apsw.Connection) -> list[ProjectSkillTotal]:
            people = {row[:3]: row[3] for row in rows(connection, _PEOPLE.format(where=who), of_people)}
            totals = rows(connection, _PROJECT_SKILLS.format(where=where), bound)
            return [record(ProjectSkillTotal, (*row[:9], people.get(row[:3], 0), *row[10:])) for row in totals]

        return self._db.read("project_skill_totals", query)

    def skill_day_totals(self, wanted: MetricsFilter) -> list[SkillDayTotal]:
        where, bound = _where(wanted)
        sql = _SKILL_DAYS.format(where=where)
        found = self._db.read("skill_day_totals", lambda connection: rows(connection, sql, bound))
        return [record(SkillDayTotal, row) for row in found]

    def skill_spans(self, wanted: MetricsFilter) -> list[SkillSpan]:
        where, bound = _where(wanted)
        found = self._db.read("skill_spans", lambda connection: rows(connection, _SPANS.format(where=where), bound))
        return [record(SkillSpan, row) for row in found]

    def exposure_totals(self, wanted: MetricsFilter) -> list[ExposureTotal]:
        where, bound = _where(wanted)
        sql = _EXPOSED.format(where=where)
        found = self._db.read("exposure_totals", lambda connection: rows(connection, sql, bound))
        return [record(ExposureTotal, row) for row in found]

    def unanswered_searches(self, wanted: MetricsFilter, *, limit: int) -> list[UnansweredSearch]:
        where, bound = narrowed(
            (f"{PROJECT_OF_SEARCH} = ?", wanted.project_id),
            ("s.searched_at >= ?", wanted.since),
            ("s.searched_at < ? || 'U'", wanted.until),
        )
        sql = _UNANSWERED.format(where=where, joined="AND" if where else "WHERE")
        found = self._db.read("unanswered_searches", lambda connection: rows(connection, sql, (*bound, limit)))
        return [record(UnansweredSearch, row) for row in found]


def _where(wanted: MetricsFilter) -> tuple[str, tuple[str, ...]]:
    conditions: tuple[tuple[LiteralString, str | None], ...] = (
        ("m.project_id = ?", wanted.project_id),
        ("m.skill_name = ?", wanted.skill_name),
        ("m.day >= ?", wanted.since),
        ("m.day <= ?", wanted.until),
    )
    return narrowed(*conditions)
