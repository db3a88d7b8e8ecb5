"""What crosses the store's border about projects and signals: frozen records with no behaviour.

Times are UTC text of fixed width (`store.clock`). A signal's weight is internal, so no record that leaves has it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from store.records import Bucket

SourceType = Literal["project", "update", "mentorship"]
SignalType = Literal["joined", "update", "completed"]
MentorshipStatus = Literal["scheduled", "completed", "cancelled"]


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project to declare; `id` None lets the store make one. What `metadata` holds is kept and never read."""

    name: str
    id: str | None = None
    paths: list[str] = []
    metadata: dict[str, Any] = {}


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A body of work."""

    id: str
    name: str
    paths: list[str]
    metadata: dict[str, Any]
    created_at: str
    completed_at: str | None


class SkillDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that belongs to a project's scope, by id or by name; `category` is for one that is new by that name."""

    skill_id: int | None = None
    skill_name: str | None = None
    category: str | None = None


class ProjectSkill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill of a project's scope."""

    skill_id: int
    skill_name: str
    category: str | None
    has_document: bool
    declared_at: str


class ProjectMember(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes part in a project."""

    project_id: str
    user_id: str
    joined_at: str


class NewProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Work to record; the key makes the same update of the same user and project one update."""

    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None = None


class ProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a user did in a project, in their words."""

    seq: int
    id: str
    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None
    created_at: str


class NewMentorshipSession(msgspec.Struct, frozen=True, kw_only=True):
    """A mentorship session to record; `id` None lets the store make one."""

    intern_id: str
    mentor_id: str
    session_focus: str
    id: str | None = None
    project_id: str | None = None
    status: MentorshipStatus = "scheduled"


class MentorshipSession(msgspec.Struct, frozen=True, kw_only=True):
    """Two people who met, and what about. It is context, never evidence."""

    seq: int
    id: str
    intern_id: str
    mentor_id: str
    session_focus: str
    project_id: str | None
    status: MentorshipStatus
    created_at: str


class SignalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals to look at; every field that is given narrows. `since` is included, `until` is not."""

    user_id: str | None = None
    project_id: str | None = None
    skill_name: str | None = None
    category: str | None = None
    since: str | None = None
    until: str | None = None


class SkillTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of one skill; `share` is its part of all that were counted, in (0, 1]."""

    skill_name: str
    category: str | None
    signals: int
    share: float
    last_at: str


class CategoryTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of the skills of one category; None stands for skills without one."""

    category: str | None
    signals: int
    share: float


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Totals by skill and by category, largest first, then by name."""

    total: int
    skills: list[SkillTotal]
    categories: list[CategoryTotal]


class MomentumBucket(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of one bucket of time that begins at `time_bucket`; `change` is against the bucket before it."""

    time_bucket: str
    signals: int
    change: int


class Momentum(msgspec.Struct, frozen=True, kw_only=True):
    """Signals over time. The period before is as long as [since, until) and ends where that begins.

    `change_percent` is None when the period before had none. The first and the last bucket hold what lies inside the
    period, so the buckets always sum up to `total`.
    """

    bucket: Bucket
    since: str
    until: str
    total: int
    total_before: int
    change: int
    change_percent: float | None
    buckets: list[MomentumBucket]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence."""

    id: int
    user_id: str
    skill_name: str
    category: str | None
    source_type: SourceType
    source_id: str
    signal_type: SignalType
    project_id: str
    context: dict[str, Any] | None
    created_at: str


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Signals, newest first; ask again with ``cursor=next`` for older ones."""

    signals: list[Signal]
    next: str | None


class SkillUse(msgspec.Struct, frozen=True, kw_only=True):
    """One skill's signals of one day, of the user who asks and of others in the project that is asked for."""

    day: str
    strength: float
    user_updates: int
    project_updates: int


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What signals and declarations say about some skills for one user and one project, by skill name."""

    declared: frozenset[str]
    uses: dict[str, list[SkillUse]]
