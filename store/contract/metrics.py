"""Metrics of skills, derived from the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Protocol

import msgspec

Bucket = Literal["minute", "hour", "day", "week"]


class SkillMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one skill. Rates are percentages, None while no use has finished."""

    skill_name: str
    total_invocations: int
    completed_invocations: int
    abandoned_invocations: int
    failed_invocations: int
    cancelled_invocations: int
    running_invocations: int
    timed_completions: int
    total_duration_seconds: float
    avg_duration_seconds: float | None
    min_duration_seconds: float | None
    max_duration_seconds: float | None
    p50_duration_seconds: float | None
    p95_duration_seconds: float | None
    p99_duration_seconds: float | None
    percentile_count: int
    completion_rate: float | None
    first_invoked: str | None
    last_invoked: str | None
    workflow_paths: dict[str, int]
    common_errors: dict[str, int]
    follow_up_actions: dict[str, int]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a skill's metrics that ranking needs."""

    skill_name: str
    completed: int
    failed: int
    abandoned: int
    cancelled: int
    timed_completions: int
    mean_duration_seconds: float | None
    p50_duration_seconds: float | None
    last_invoked: str | None

    @property
    def finished(self) -> int:
        """The number of uses that ended, with any outcome."""
        return self.completed + self.failed + self.abandoned + self.cancelled

    @property
    def typical_seconds(self) -> float | None:
        """The median duration of completed uses, None while it is not computed; a mean is not typical."""
        if self.p50_duration_seconds is None and self.timed_completions == 1:
            return self.mean_duration_seconds
        return self.p50_duration_seconds


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A value and how often it occurred."""

    value: str
    n: int


class MetricsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The totals over all skills."""

    total_skills: int
    total_invocations: int
    completed_invocations: int
    finished_invocations: int
    running_invocations: int
    overall_completion_rate: float | None
    most_used_skill: str | None
    most_used_count: int
    avg_duration_seconds: float | None
    top_errors: list[Counted]
    top_workflow_paths: list[Counted]
    refreshed_at: str


class TimelineBucket(msgspec.Struct, frozen=True, kw_only=True):
    """Uses that started in one bucket of time; `time_bucket` is its start."""

    time_bucket: str
    invocations: int
    completed: int
    finished: int
    avg_duration: float | None


class WorkflowPath(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow path of a skill, with the number of uses that took it."""

    skill_name: str
    workflow_path: str
    invocation_count: int
    avg_duration: float | None


class SessionSkill(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of one skill in one session."""

    session_id: str
    skill_name: str
    invocation_count: int
    completed_count: int
    abandoned_count: int
    first_invoked_at: str
    last_invoked_at: str
    total_duration_seconds: float


class Metrics(Protocol):
    """Metrics that always equal a recomputation from the log."""

    def skill_metrics(self, skill_name: str) -> SkillMetrics | None:
        """Return one skill's metrics, None for a skill that was never used.

        The name may be given in any form that `Tracking.start_invocation` takes.
        """

    def all_metrics(self) -> list[SkillMetrics]:
        """Return the metrics of every skill ever used, most used first, then ordered by name."""

    def tallies(self, skill_names: Sequence[str]) -> dict[str, Tally]:
        """Return the tallies of these skills by name; skills that were never used are absent."""

    def summary(self) -> MetricsSummary:
        """Return the totals over all skills as of now.

        They are kept, and computed again only when the log has grown.
        """

    def timeline(self, skill_name: str, *, window: timedelta, bucket: Bucket) -> list[TimelineBucket]:
        """Return the buckets of the window up to now, empty ones included, oldest first."""

    def search_workflow_paths(self, text: str, *, limit: int = 100) -> list[WorkflowPath]:
        """Return workflow paths that contain every word of `text` (plain words; prefixes match), most used first."""

    def session_skills(self, session_id: str) -> list[SessionSkill]:
        """Return the skills that a session used, most used first."""

    def refresh_percentiles(self, skill_names: Sequence[str]) -> None:
        """Recompute p50, p95 and p99 of the durations of completed uses."""

    def refresh_stale_percentiles(self) -> int:
        """Recompute the percentiles of every skill that has completed uses since; return the number of skills.

        Ending a session does this for the skills of that session.
        """

    def first_difference(self) -> str | None:
        """Recompute every metric from the log and return the first difference in words, None when there is none."""

    def rebuild(self) -> None:
        """Replace every metric by what the log gives."""
