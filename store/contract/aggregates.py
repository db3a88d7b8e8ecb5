"""Metrics over projects and databases.

Days are UTC, ``2026-01-31``; durations are seconds. A use belongs to the day on which it began. The project '' stands
for uses without a project, which are kept apart by the database they come from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import msgspec

from store.contract.searches import Confidence

NO_PROJECT: Final = ""


class SourceRun(msgspec.Struct, frozen=True, kw_only=True):
    """What counting one database did: the rows that were new in its logs, and the days they belong to.

    `anew` means that the database had been restored to an earlier state, so that all of it was counted again.
    """

    store_id: str
    location: str
    invocations: int
    outcomes: int
    searches: int
    days: int
    anew: bool


class MetricsSource(msgspec.Struct, frozen=True, kw_only=True):
    """A database whose uses are counted here, and the invocation up to which they are."""

    id: int
    store_id: str
    location: str
    own: bool
    invocation_seq: int
    aggregated_at: str


class MetricsFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to select; every field that is set narrows the selection. Both days are included."""

    project_id: str | None = None
    skill_name: str | None = None
    since: str | None = None
    until: str | None = None


class DayMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of one skill in one project on one day, from one database.

    `reporters` counts distinct users, sessions where there is no user, and single uses where there is neither.
    """

    day: str
    skill_name: str
    project_id: str
    store_id: str
    invocations: int
    completed: int
    failed: int
    abandoned: int
    cancelled: int
    timed_completions: int
    total_duration_seconds: float
    users: int
    sessions: int
    reporters: int


class DayExposure(msgspec.Struct, frozen=True, kw_only=True):
    """How often searches of one day listed a skill at a position, and how often it was then taken from there."""

    day: str
    skill_name: str
    project_id: str
    store_id: str
    position: int
    shown: int
    taken: int


class ProjectSkillTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of one skill in one project over a period. `source_id` is set only for uses without a project.

    `reporter_days` is the sum of each day's reporters; `finished` excludes cancelled uses; `finished_days` are
    days on which something finished, and `squares` is the sum over them of completed² / finished. `users` are the
    distinct users from the first day up to now.
    """

    project_id: str
    source_id: int | None
    skill_name: str
    invocations: int
    reporter_days: int
    completed: int
    finished: int
    finished_days: int
    squares: float
    users: int
    first_day: str
    last_day: str


class SkillDayTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of one skill on one day, over all projects; `finished` excludes cancelled uses."""

    skill_name: str
    day: str
    invocations: int
    reporters: int
    completed: int
    finished: int


class SkillSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The first and last day on which a skill was used, and on how many days it was."""

    skill_name: str
    first_day: str
    last_day: str
    active_days: int
    invocations: int


class ExposureTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How often a skill was listed at a position, and how often it was then taken from there."""

    skill_name: str
    position: int
    shown: int
    taken: int


class UnansweredSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A search that found nothing suitable and led to no completed use.

    `query` is None where queries are not kept; `asker` is the user, else the session, else the search.
    """

    search_id: str
    searched_at: str
    query: str | None
    query_hash: str
    query_vector: bytes | None
    model_id: str | None
    project_id: str | None
    asker: str
    confidence: Confidence


class Aggregates(Protocol):
    """Counts the uses in this database and in others by project, skill and day, and reads the totals."""

    def store_id(self) -> str:
        """Return this database's id. Copies of it have the same one."""

    def identify_source(self, source: Path) -> str:
        """Return the id of another database, which is never written to. Raises `SourceUnreadable`."""

    def aggregate(self, source: Path | None = None) -> SourceRun:
        """Count what is new in a database's logs; None means this database.

        One unit: all or nothing of it is counted, and repeating it changes nothing. Days whose
        uses were started or finished since are counted again from the log, so the order of arrival does not matter. A
        database that was restored to an earlier state is counted again as a whole. The other database is read on one
        snapshot; it is never migrated or written to, and its writers do not wait.

        Raises
        ------
        SourceUnreadable
            When `source` is missing, locked, damaged, not a skillrank database, or has another schema.
        """

    def metrics_sources(self) -> list[MetricsSource]:
        """Return the databases that were counted, in the order in which they were added."""

    def aggregate_revision(self) -> int:
        """Return a number that grows with every run of `aggregate` that counted something."""

    def last_day(self, *, until: str) -> str | None:
        """Return the last day up to `until` on which any skill was used, None if there is none."""

    def day_metrics(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayMetrics]:
        """Return counts, newest day first, then by skill, project and database."""

    def day_exposures(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayExposure]:
        """Return how often skills were listed and chosen, newest day first, then by skill, position and project."""

    def project_skill_totals(self, wanted: MetricsFilter) -> list[ProjectSkillTotal]:
        """Return the totals of each skill in each project, ordered by project and skill."""

    def skill_day_totals(self, wanted: MetricsFilter) -> list[SkillDayTotal]:
        """Return the totals of each skill on each day on which it was used, ordered by skill and day."""

    def skill_spans(self, wanted: MetricsFilter) -> list[SkillSpan]:
        """Return when each skill was first and last used, ordered by skill."""

    def exposure_totals(self, wanted: MetricsFilter) -> list[ExposureTotal]:
        """Return how often skills were listed and chosen, ordered by skill and position."""

    def unanswered_searches(self, wanted: MetricsFilter, *, limit: int) -> list[UnansweredSearch]:
        """Return this database's searches that found nothing suitable, newest first.

        Searches whose query was forgotten, or which led to a completed use, are excluded. The skill in `wanted` is
        ignored.
        """
