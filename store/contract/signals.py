"""Reading signals. A signal's weight is internal: no record that leaves the store has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from store.contract.metrics import Bucket

SourceType = Literal["project", "update", "mentorship"]
SignalType = Literal["joined", "update", "completed"]


class SignalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals to select; every field that is set narrows the selection. `since` is inclusive, `until` is not."""

    user_id: str | None = None
    project_id: str | None = None
    skill_name: str | None = None
    category: str | None = None
    since: str | None = None
    until: str | None = None


class SkillTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of one skill; `share` is its fraction of all that were counted, in (0, 1]."""

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
    """Totals by skill and by category, largest first, then ordered by name."""

    total: int
    skills: list[SkillTotal]
    categories: list[CategoryTotal]


class MomentumBucket(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of the bucket that begins at `time_bucket`; `change` compares it with the bucket before."""

    time_bucket: str
    signals: int
    change: int


class Momentum(msgspec.Struct, frozen=True, kw_only=True):
    """Signals over time. The period before is as long as [since, until) and ends where it begins.

    `change_percent` is None when the period before had no signals. The first and the last bucket hold only what is
    inside the period, so the buckets always add up to `total`.
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
    """Evidence that a user worked with a skill; `context` is what its event says, such as how an update begins."""

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
    """Signals, newest first; pass `next` as the cursor for older ones."""

    signals: list[Signal]
    next: str | None


class SkillUse(msgspec.Struct, frozen=True, kw_only=True):
    """One skill's signals of one day: those of the given user, and those in the given project."""

    day: str
    strength: float
    user_updates: int
    project_updates: int


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What signals and declarations say about skills for one user and one project, by skill name."""

    declared: frozenset[str]
    uses: dict[str, list[SkillUse]]


class Signals(Protocol):
    """Reads signals. Every number comes from them alone; names and categories are labels from the catalogue.

    A filter with an unknown skill raises `NotFound`, one with an invalid time `InvalidRecord`.
    """

    def signal_distribution(self, wanted: SignalFilter) -> Distribution:
        """Return totals by skill and by category."""

    def signal_momentum(self, wanted: SignalFilter, *, bucket: Bucket, window: timedelta) -> Momentum:
        """Return the buckets of [since, until), empty ones included, oldest first.

        Without `until` the period ends now, the present moment included; without `since` it is `window` long.
        Buckets begin at whole UTC minutes, hours, days, or weeks (on Mondays). Raises `InvalidRecord` when the period
        is empty or has too many buckets.
        """

    def signal_activity(self, wanted: SignalFilter, *, cursor: str | None = None, limit: int = 50) -> Activity:
        """Return signals, newest first; those of one moment, last recorded first.

        Pages neither repeat nor skip a signal that was recorded when the first page was read. Raises `InvalidRecord`
        for an invalid cursor.
        """

    def scope(self, skill_names: Sequence[str], *, project_id: str | None, user_id: str | None, since: str) -> Scope:
        """Return which of these skills the project declares, and their signals of the user or project since then.

        Limited to the newest few thousand signals, since every search reads this. An unknown project or user has no
        scope.
        """
