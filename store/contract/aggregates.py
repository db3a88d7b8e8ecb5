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
    """What reading one database did: rows that were new in its logs, and the days they touched.

    `anew` means that the database had been put back to an earlier state, so that all of it was read again.
    """

    store_id: str
    location: str
    invocations: int
    outcomes: int
    searches: int
    days: int
    anew: bool


class MetricsSource(msgspec.Struct, frozen=True, kw_only=True):
    """A database whose uses are counted here, and up to which of its invocations."""

    id: int
    store_id: str
    location: str
    own: bool
    invocation_seq: int
    aggregated_at: str


class MetricsFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to look at; every field that is given narrows. Both days are included."""

    project_id: str | None = None
    skill_name: str | None = None
    since: str | None = None
    until: str | None = None


class DayMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One skill in one project on one day, as one database has it.

    `reporters` are distinct users, or sessions where no user is told, or else single uses.
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
    """A skill in a project over some days. `source_id` is told only of uses without a project.

    `reporter_days` is the sum of each day's reporters; `finished` leaves out what was cancelled; `finished_days` are
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
    """A skill on one day, over projects; `finished` leaves out what was cancelled."""

    skill_name: str
    day: str
    invocations: int
    reporters: int
    completed: int
    finished: int


class SkillSpan(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when a skill was used, and on how many days of these."""

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
    """A search that found nothing that fits, and that no completed use came from.

    `query` is None where words are not kept; `asker` is the user, or else the session, or else the search.
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
    """Counts uses by project, skill and day, of this database and of others, and reads what they come to."""

    def store_id(self) -> str:
        """Return who this database is. Its copies have the same id."""

    def identify_source(self, source: Path) -> str:
        """Return the id of another database, which is only read. Raises `SourceUnreadable`."""

    def aggregate(self, source: Path | None = None) -> SourceRun:
        """Count what a database's logs have that is not counted yet; None means this database.

        One unit: whatever stops it, all or nothing of it is counted, and doing it again changes nothing. Days whose
        uses were started or finished since are counted anew from the log, so order of arrival does not matter. A
        database that was put back to an earlier state is counted anew as a whole. The other database is read on one
        snapshot; it is never migrated or written to, and its writers do not wait.

        Raises
        ------
        SourceUnreadable
            When `source` is missing, locked, damaged, no database of skillrank, or has another schema.
        """

    def metrics_sources(self) -> list[MetricsSource]:
        """Return the databases that were counted, in the order in which they came."""

    def aggregate_revision(self) -> int:
        """Return a number that grows with every run of `aggregate` that counted something."""

    def last_day(self, *, until: str) -> str | None:
        """Return the last day up to `until` on which anything was used, None without one."""

    def day_metrics(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayMetrics]:
        """Return counts, newest day first, then by skill, project and database."""

    def day_exposures(self, wanted: MetricsFilter, *, limit: int = 100, offset: int = 0) -> list[DayExposure]:
        """Return how often skills were listed and taken, newest day first, then by skill, position and project."""

    def project_skill_totals(self, wanted: MetricsFilter) -> list[ProjectSkillTotal]:
        """Return each skill in each project, by project and skill."""

    def skill_day_totals(self, wanted: MetricsFilter) -> list[SkillDayTotal]:
        """Return each skill on each day on which it was used, by skill and day."""

    def skill_spans(self, wanted: MetricsFilter) -> list[SkillSpan]:
        """Return when each skill was used first and last, by skill."""

    def exposure_totals(self, wanted: MetricsFilter) -> list[ExposureTotal]:
        """Return how often skills were listed and taken, by skill and position."""

    def unanswered_searches(self, wanted: MetricsFilter, *, limit: int) -> list[UnansweredSearch]:
        """Return the newest searches of this database that nothing fitted, newest first.

        Those whose query was forgotten, or from which a use came that was completed, are left out. The skill of
        `wanted` does not matter.
        """
