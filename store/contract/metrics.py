"""What the log adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Protocol

import msgspec

Bucket = Literal["minute", "hour", "day", "week"]


class SkillMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What the log adds up to for one skill. Rates are percentages, None while nothing has finished."""

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
    """What ranking needs of a skill's history, without its maps."""

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
        """How many uses ended, in whatever way."""
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
    """The dashboard's one row."""

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
    """A workflow path of a skill, with how often it was taken."""

    skill_name: str
    workflow_path: str
    invocation_count: int
    avg_duration: float | None


class SessionSkill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill in one session."""

    session_id: str
    skill_name: str
    invocation_count: int
    completed_count: int
    abandoned_count: int
    first_invoked_at: str
    last_invoked_at: str
    total_duration_seconds: float


class Metrics(Protocol):
    """What the log adds up to, equal at every moment to a recomputation from it."""

    def skill_metrics(self, skill_name: str) -> SkillMetrics | None:
        """Return one skill's metrics, None for a skill that was never used."""

    def all_metrics(self) -> list[SkillMetrics]:
        """Return the metrics of every skill ever used, most used first, then by name."""

    def tallies(self, skill_names: Sequence[str]) -> dict[str, Tally]:
        """Return what ranking needs of these skills; those never used are left out."""

    def overall_tally(self) -> tuple[int, int]:
        """Return (completed, finished) over every skill."""

    def summary(self) -> MetricsSummary:
        """Return the dashboard's row, refreshed if the log has grown since.

        A refreshed row is kept behind the answer, so another call at the same moment may refresh it too.
        """

    def timeline(self, skill_name: str, *, window: timedelta, bucket: Bucket) -> list[TimelineBucket]:
        """Return a bucket for each stretch of the window up to now, empty ones included, oldest first."""

    def search_workflow_paths(self, text: str, *, limit: int = 100) -> list[WorkflowPath]:
        """Return workflow paths that hold every word of `text` (plain words, prefixes match), most used first."""

    def session_skills(self, session_id: str) -> list[SessionSkill]:
        """Return what one session used, most used first."""

    def refresh_percentiles(self, skill_names: Sequence[str]) -> None:
        """Recompute p50, p95 and p99 of the durations of completed uses."""

    def first_difference(self) -> str | None:
        """Recompute everything from the log; return the first difference in words, None when all is equal."""

    def rebuild(self) -> None:
        """Derive every metric anew from the log."""
