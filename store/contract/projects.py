"""Projects, their scope, and what happens in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from store.contract.signal_writes import NewSignals, SignalInsertion

T = TypeVar("T")
MentorshipStatus = Literal["scheduled", "active", "completed", "cancelled"]
MENTORSHIP_TRANSITIONS: Final[dict[MentorshipStatus, frozenset[MentorshipStatus]]] = {
    "scheduled": frozenset({"active", "completed", "cancelled"}),
    "active": frozenset({"completed", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project to declare; without an `id` the store makes one.

    `paths` are its folders: a use without a project belongs to the one that has the longest folder above its path.
    `metadata` is kept for the client and returned, never read.
    """

    name: str
    id: str | None = None
    paths: list[str] = []
    metadata: dict[str, Any] = {}


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project and its folders."""

    id: str
    name: str
    paths: list[str]
    metadata: dict[str, Any]
    created_at: str
    completed_at: str | None


class SkillDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A skill of a project's scope, by id or by name; `category` applies when the name is new to the catalogue."""

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
    """A user who takes part in a project."""

    project_id: str
    user_id: str
    joined_at: str


class NewProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Progress to record. An update with the same key, user and project is recorded once."""

    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None = None


class ProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a user in a project, in their words."""

    seq: int
    id: str
    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None
    created_at: str


class NewMentorshipSession(msgspec.Struct, frozen=True, kw_only=True):
    """A mentorship session to record; without an `id` the store makes one."""

    intern_id: str
    mentor_id: str
    session_focus: str
    id: str | None = None
    project_id: str | None = None
    status: MentorshipStatus = "scheduled"


class MentorshipSession(msgspec.Struct, frozen=True, kw_only=True):
    """A mentorship session between two people. It never counts as evidence."""

    seq: int
    id: str
    intern_id: str
    mentor_id: str
    session_focus: str
    project_id: str | None
    status: MentorshipStatus
    created_at: str


class WorkTransaction(Protocol):
    """Writes that become durable together or not at all. Usable only while its `work` runs."""

    def add_project(self, project: NewProject) -> tuple[Project, bool]:
        """Declare a project; the same id with the same content returns what is recorded.

        Returns the project and whether this call added it. Raises `Conflict` when the id belongs to another project.
        """

    def declare_skills(
        self, project_id: str, skills: Sequence[SkillDeclaration], *, add_missing: bool
    ) -> list[ProjectSkill]:
        """Make `skills` the whole scope of a project; signals emitted before are kept.

        With `add_missing`, a name that the catalogue does not have becomes a skill without a document, which search
        never serves. Raises `NotFound` for an unknown project, an unknown id, and otherwise for an unknown name.
        """

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        """Return the skills of a project's scope, ordered by name. Raises `NotFound`."""

    def add_member(self, project_id: str, user_id: str) -> tuple[ProjectMember, bool]:
        """Add a user to a project; return the membership and whether it is new. Raises `NotFound`."""

    def members(self, project_id: str) -> list[ProjectMember]:
        """Return the members of a project, ordered by id. Raises `NotFound`."""

    def complete_project(self, project_id: str) -> tuple[Project, bool]:
        """Mark a project as completed, once; return it and whether this call did it. Raises `NotFound`."""

    def add_progress_update(self, update: NewProgressUpdate) -> tuple[ProgressUpdate, bool]:
        """Record an update; return it and whether it is new.

        The same key of the same user and project returns what is recorded. Raises `NotFound` for an unknown project,
        and `Conflict` when the key belongs to another text.
        """

    def add_mentorship_session(self, session: NewMentorshipSession) -> tuple[MentorshipSession, bool]:
        """Record a mentorship session; return it and whether it is new.

        The same id with the same content returns what is recorded, also when its status has changed since. Raises
        `NotFound` for an unknown project, and `Conflict` when the id stands for another session.
        """

    def set_mentorship_status(self, session_id: str, status: MentorshipStatus) -> tuple[MentorshipSession, bool]:
        """Change the status of a mentorship session; return it and whether this call changed it.

        It emits no signal. Raises `NotFound`, and `Conflict` when `MENTORSHIP_TRANSITIONS` has no such change.
        """

    def add_signals(self, signals: NewSignals) -> SignalInsertion:
        """Append those signals of one event that are new and whose skill the project has declared.

        `service.work.signals.emit_skill_signals` is the only caller. Raises `NotFound` when there is no such source (an
        update by that user, or a project of which they are a member) or skill, and `InvalidRecord` for mentorship,
        which the schema refuses.
        """


class Projects(Protocol):
    """Projects, their scope, and what happens in them."""

    def transaction(self, work: Callable[[WorkTransaction], T]) -> T:
        """Run `work` as one unit; return its result when it is durable.

        `work` sees its own writes. It may run more than once before it is committed, so it must have no effects other
        than those on its transaction, and must not call the store.
        """

    def project(self, project_id: str) -> Project:
        """Return one project. Raises `NotFound`."""

    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        """Return the projects whose id is greater than `after`, ordered by id."""

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        """Return the skills of a project's scope, ordered by name. Raises `NotFound`."""

    def project_members(self, project_id: str) -> list[ProjectMember]:
        """Return the members of a project, ordered by id. Raises `NotFound`."""

    def progress_update(self, update_id: str) -> ProgressUpdate:
        """Return one progress update. Raises `NotFound`."""

    def progress_updates(
        self, *, project_id: str | None = None, user_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[ProgressUpdate]:
        """Return progress updates, last recorded first; with `before`, only those with a smaller `seq`."""

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
        """Return mentorship sessions, last recorded first; with `before`, only those with a smaller `seq`."""
