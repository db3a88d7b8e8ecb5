"""The store's contract on projects and signals. Durability, threads and errors are those of `store.protocol`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from store.records import Bucket
from store.signal_records import (
    Activity,
    Distribution,
    MentorshipSession,
    Momentum,
    NewMentorshipSession,
    NewProgressUpdate,
    NewProject,
    ProgressUpdate,
    Project,
    ProjectMember,
    ProjectSkill,
    Scope,
    SignalFilter,
    SkillDeclaration,
)
from store.signal_writes import NewSignals, SignalInsertion

T = TypeVar("T")


class WorkTransaction(Protocol):
    """Writes that become durable together or not at all, at one moment. Of use only while its `work` runs."""

    def add_project(self, project: NewProject) -> tuple[Project, bool]:
        """Declare a project; the same id with the same content returns what is recorded.

        Returns the project and whether this call added it. Raises `Conflict` when the id stands for another one.
        """

    def declare_skills(
        self, project_id: str, skills: Sequence[SkillDeclaration], *, add_missing: bool
    ) -> list[ProjectSkill]:
        """Make `skills` the whole scope of a project; signals that were emitted before stay.

        A name that the catalogue does not have becomes a skill without a document when `add_missing`, which search
        never serves. Raises `NotFound` for an unknown project, an unknown id, and an unknown name otherwise.
        """

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        """Return the scope of a project, by name. Raises `NotFound`."""

    def add_member(self, project_id: str, user_id: str) -> tuple[ProjectMember, bool]:
        """Let a user take part; return the membership and whether it is new. Raises `NotFound`."""

    def members(self, project_id: str) -> list[ProjectMember]:
        """Return who takes part, in the order of their ids. Raises `NotFound`."""

    def complete_project(self, project_id: str) -> tuple[Project, bool]:
        """Mark a project as completed, once; return it and whether this call did it. Raises `NotFound`."""

    def add_progress_update(self, update: NewProgressUpdate) -> tuple[ProgressUpdate, bool]:
        """Record an update; return it and whether it is new.

        The same key of the same user and project returns what is recorded. Raises `NotFound` for an unknown project,
        and `Conflict` when the key stands for another text.
        """

    def add_mentorship_session(self, session: NewMentorshipSession) -> tuple[MentorshipSession, bool]:
        """Record a mentorship session; return it and whether it is new.

        The same id with the same content returns what is recorded. Raises `NotFound` for an unknown project, and
        `Conflict` when the id stands for another session.
        """

    def add_signals(self, signals: NewSignals) -> SignalInsertion:
        """Append the signals of one event that are not there yet and whose skill the project has declared.

        `service.signals.emit_skill_signals` is the only caller. Raises `NotFound` when the source is not recorded
        (an update of that user, a project of which they are a member), or a skill is not; `InvalidRecord` for
        mentorship, which the schema refuses.
        """


class Projects(Protocol):
    """Projects, their scope, and what happens in them."""

    def transaction(self, work: Callable[[WorkTransaction], T]) -> T:
        """Run `work` as one unit; return its result when it is durable.

        `work` sees its own writes. It may run more than once before it is committed, so it has no effects besides
        those on its transaction, and does not call the store.
        """

    def project(self, project_id: str) -> Project:
        """Return one project. Raises `NotFound`."""

    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        """Return projects whose id stands after `after`, in the order of their ids."""

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        """Return the scope of a project, by name. Raises `NotFound`."""

    def project_members(self, project_id: str) -> list[ProjectMember]:
        """Return who takes part, in the order of their ids. Raises `NotFound`."""

    def progress_update(self, update_id: str) -> ProgressUpdate:
        """Return one update. Raises `NotFound`."""

    def progress_updates(
        self, *, project_id: str | None = None, user_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[ProgressUpdate]:
        """Return updates, last recorded first; only those whose `seq` is below `before`."""

    def mentorship_session(self, session_id: str) -> MentorshipSession:
        """Return one mentorship session. Raises `NotFound`."""

    def mentorship_sessions(
        self,
        *,
        intern_id: str | None = None,
        mentor_id: str | None = None,
        project_id: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[MentorshipSession]:
        """Return mentorship sessions, last recorded first; only those whose `seq` is below `before`."""


class Signals(Protocol):
    """Reads signals. Every number comes from them alone; names and categories are labels from the catalogue.

    A filter on an unknown skill raises `NotFound`; on a time that is none `InvalidRecord`.
    """

    def signal_distribution(self, wanted: SignalFilter) -> Distribution:
        """Return totals by skill and by category."""

    def signal_momentum(self, wanted: SignalFilter, *, bucket: Bucket, window: timedelta) -> Momentum:
        """Return a bucket for each stretch of [since, until), empty ones included, oldest first.

        Without `until` the period ends now, and what happened this very moment is in it; without `since` it is
        `window` long. Buckets begin at whole UTC minutes, hours, days, or weeks (on Mondays). Raises `InvalidRecord`
        when the period is empty or has too many buckets.
        """

    def signal_activity(self, wanted: SignalFilter, *, cursor: str | None = None, limit: int = 50) -> Activity:
        """Return signals, newest first, and of one moment the last recorded first.

        A page never repeats or leaves out what stood in the table when the first one was read. Raises
        `InvalidRecord` for a cursor that is none.
        """

    def scope(self, skill_names: Sequence[str], *, project_id: str | None, user_id: str | None, since: str) -> Scope:
        """Return which of these skills the project declares, and their signals of the user or project since then.

        Read for each search, so it stops at the newest few thousand signals of each. An unknown project or user has
        no scope.
        """
