"""The store's contract on metrics over projects and databases. Durability, threads and errors: `store.protocol`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from store.aggregate_records import (
    DayExposure,
    DayMetrics,
    ExposureTotal,
    MetricsFilter,
    MetricsSource,
    ProjectSkillTotal,
    SkillDayTotal,
    SkillSpan,
    SourceRun,
    UnansweredSearch,
)


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

        Those whose question was forgotten, or from which a use came that was completed, are left out. The skill of
        `wanted` does not matter.
        """
