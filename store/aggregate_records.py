"""What crosses the store's border about metrics over projects: frozen records with no behaviour.

Days are UTC, ``2026-01-31``; durations are seconds. A use belongs to the day on which it began. The project '' stands
for uses without a project, which are kept apart by the database they come from.
"""

from __future__ import annotations

from typing import Final

import msgspec

from store.records import Confidence

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
