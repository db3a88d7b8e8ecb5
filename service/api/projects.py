"""Projects, their skills, members and progress updates, and mentorship. Only `service.work.signals` writes signals."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, patch, post, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from service.api.bodies import require_small
from service.api.dependencies import FreeJson, GivenStore, Limit
from service.api.schema import CONFLICT, NOT_FOUND
from service.search.answers import Identifier
from service.work.projects import Completed, Joined, complete_project, join_project, record_progress_update
from service.work.signals import SignalOutcome
from store.contract.identifiers import RecordId
from store.contract.projects import (
    MentorshipSession,
    MentorshipStatus,
    NewMentorshipSession,
    NewProgressUpdate,
    NewProject,
    ProgressUpdate,
    Project,
    ProjectMember,
    ProjectSkill,
    SkillDeclaration,
)

Before = Annotated[int | None, QueryParameter(ge=1, description="The `next` of the previous page.")]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", min_length=1, max_length=200, description="Makes a repetition the same update."
    ),
]
Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=300, pattern=r"\S", description="Printable characters, not all blank.")
]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000, pattern=r"\S")]
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\S")]


class DeclareProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to declare. Without an id the service makes one. `metadata.skill_ideas` is kept and never read."""

    name: Name
    id: RecordId | None = None
    paths: Annotated[list[Text], msgspec.Meta(max_length=500)] = []
    metadata: FreeJson = {}

    def __post_init__(self) -> None:
        """Refuse metadata that are too large to be kept."""
        require_small("metadata", self.metadata)


class NamedSkill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A skill by its name. The category is used when the catalogue does not have the skill yet."""

    skill_name: Name
    category: Name | None = None


class DeclareSkills(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All skills of a project: names, ids, or names with a category.

    A name that the catalogue does not have becomes a skill without a document, unless `add_missing` is false.
    """

    skills: Annotated[
        list[Name | Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | NamedSkill], msgspec.Meta(max_length=500)
    ]
    add_missing: bool = True


class JoinProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user who joins."""

    user_id: UserId


class RecordUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was done, in the user's words. No skill is inferred from them."""

    project_id: Identifier
    user_id: UserId
    content: Text


class ScheduleMentorship(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mentorship session between two people, and its subject."""

    intern_id: UserId
    mentor_id: UserId
    session_focus: Text
    id: RecordId | None = None
    project_id: Identifier | None = None
    status: MentorshipStatus = "scheduled"


class ChangeMentorship(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new status. A scheduled session can become any other, an active one completed or cancelled."""

    status: MentorshipStatus


class AcceptedUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The update as recorded, and the signals that it emitted."""

    id: str
    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None
    created_at: str
    signals: SignalOutcome


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects in the order of their ids. For the following page, ask with ``after=next``."""

    projects: list[Project]
    next: str | None


class UpdatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Updates, newest first. For older ones, ask with ``before=next``."""

    progress_updates: list[ProgressUpdate]
    next: int | None


class MentorshipPage(msgspec.Struct, frozen=True, kw_only=True):
    """Mentorship sessions, newest first. For older ones, ask with ``before=next``."""

    mentorship_sessions: list[MentorshipSession]
    next: int | None


class ProjectController(Controller):
    """Projects, their skills and their members."""

    path = "/api/projects"
    tags = ["projects"]

    @post(operation_id="declareProject", sync_to_thread=True, responses=CONFLICT)
    def declare(self, data: JSONBody[DeclareProject], store: GivenStore) -> Response[Project]:
        """Declare a project. Repeating the same id and content returns what is recorded."""
        project, new = store.transaction(lambda work: work.add_project(NewProject(**msgspec.structs.asdict(data))))
        return _answered(project, new=new)

    @get(operation_id="listProjects", sync_to_thread=True)
    def projects(self, store: GivenStore, after: FromQuery[str] = "", limit: Limit = 100) -> ProjectPage:
        """Return projects, page by page."""
        projects = store.projects(after=after, limit=limit)
        return ProjectPage(projects=projects, next=projects[-1].id if len(projects) == limit else None)

    @get("/{project_id:str}", operation_id="getProject", sync_to_thread=True)
    def project(self, project_id: FromPath[str], store: GivenStore) -> Project:
        """Return a project."""
        return store.project(project_id)

    @put("/{project_id:str}/skills", operation_id="declareProjectSkills", sync_to_thread=True)
    def declare_skills(
        self, project_id: FromPath[str], data: JSONBody[DeclareSkills], store: GivenStore
    ) -> list[ProjectSkill]:
        """Replace the declared skills of the project. Signals that were emitted before stay."""
        skills = [_declaration(skill) for skill in data.skills]
        return store.transaction(lambda work: work.declare_skills(project_id, skills, add_missing=data.add_missing))

    @get("/{project_id:str}/skills", operation_id="getProjectSkills", sync_to_thread=True)
    def skills(self, project_id: FromPath[str], store: GivenStore) -> list[ProjectSkill]:
        """Return the skills that the project declares."""
        return store.project_skills(project_id)

    @post("/{project_id:str}/members", operation_id="joinProject", sync_to_thread=True)
    def join(self, project_id: FromPath[str], data: JSONBody[JoinProject], store: GivenStore) -> Response[Joined]:
        """Add a member, and emit a `joined` signal for each declared skill."""
        joined = join_project(store, project_id, data.user_id)
        return _answered(joined, new=joined.new)

    @get("/{project_id:str}/members", operation_id="getProjectMembers", sync_to_thread=True)
    def members(self, project_id: FromPath[str], store: GivenStore) -> list[ProjectMember]:
        """Return the members of the project."""
        return store.project_members(project_id)

    @post("/{project_id:str}/complete", operation_id="completeProject", status_code=200, sync_to_thread=True)
    def complete(self, project_id: FromPath[str], store: GivenStore) -> Completed:
        """Complete the project, and emit a `completed` signal for each member and each declared skill."""
        return complete_project(store, project_id)


class ProgressUpdateController(Controller):
    """Updates about work done in projects."""

    path = "/api/progress_updates"
    tags = ["projects"]

    @post(operation_id="recordProgressUpdate", sync_to_thread=True, responses=NOT_FOUND | CONFLICT)
    def record(
        self, data: JSONBody[RecordUpdate], store: GivenStore, idempotency_key: Key = None
    ) -> Response[AcceptedUpdate]:
        """Record an update, and emit an `update` signal for each declared skill. Repeating the key changes nothing."""
        update = NewProgressUpdate(**msgspec.structs.asdict(data), idempotency_key=idempotency_key)
        recorded = record_progress_update(store, update)
        return _answered(_accepted(recorded.update, recorded.signals), new=recorded.new)

    @get(operation_id="listProgressUpdates", sync_to_thread=True)
    def updates(
        self,
        store: GivenStore,
        project_id: FromQuery[str | None] = None,
        user_id: FromQuery[str | None] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> UpdatePage:
        """Return updates, newest first."""
        found = store.progress_updates(project_id=project_id, user_id=user_id, before=before, limit=limit)
        return UpdatePage(progress_updates=found, next=found[-1].seq if len(found) == limit else None)

    @get("/{update_id:str}", operation_id="getProgressUpdate", sync_to_thread=True)
    def update(self, update_id: FromPath[str], store: GivenStore) -> ProgressUpdate:
        """Return an update."""
        return store.progress_update(update_id)


class MentorshipController(Controller):
    """Mentorship sessions: context for people, not evidence of skill."""

    path = "/api/mentorship_sessions"
    tags = ["projects"]

    @post(operation_id="recordMentorshipSession", sync_to_thread=True, responses=NOT_FOUND | CONFLICT)
    def record(self, data: JSONBody[ScheduleMentorship], store: GivenStore) -> Response[MentorshipSession]:
        """Record a mentorship session. It emits no signals, whatever its focus."""
        session = NewMentorshipSession(**msgspec.structs.asdict(data))
        recorded, new = store.transaction(lambda work: work.add_mentorship_session(session))
        return _answered(recorded, new=new)

    @get(operation_id="listMentorshipSessions", sync_to_thread=True)
    def sessions(
        self,
        store: GivenStore,
        intern_id: FromQuery[str | None] = None,
        mentor_id: FromQuery[str | None] = None,
        project_id: FromQuery[str | None] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> MentorshipPage:
        """Return mentorship sessions, newest first."""
        found = store.mentorship_sessions(
            intern_id=intern_id, mentor_id=mentor_id, project_id=project_id, before=before, limit=limit
        )
        return MentorshipPage(mentorship_sessions=found, next=found[-1].seq if len(found) == limit else None)

    @get("/{session_id:str}", operation_id="getMentorshipSession", sync_to_thread=True)
    def session(self, session_id: FromPath[str], store: GivenStore) -> MentorshipSession:
        """Return a mentorship session."""
        return store.mentorship_session(session_id)

    @patch("/{session_id:str}", operation_id="changeMentorshipSession", sync_to_thread=True, responses=CONFLICT)
    def change(
        self, session_id: FromPath[str], data: JSONBody[ChangeMentorship], store: GivenStore
    ) -> MentorshipSession:
        """Change the status of a mentorship session. It emits no signals; repeating the status changes nothing."""
        changed, _ = store.transaction(lambda work: work.set_mentorship_status(session_id, data.status))
        return changed


def _answered(content: Any, *, new: bool) -> Response[Any]:
    return Response(content, status_code=201 if new else 200)


def _declaration(skill: str | int | NamedSkill) -> SkillDeclaration:
    if isinstance(skill, int):
        return SkillDeclaration(skill_id=skill)
    if isinstance(skill, str):
        return SkillDeclaration(skill_name=skill)
    return SkillDeclaration(skill_name=skill.skill_name, category=skill.category)


def _accepted(update: ProgressUpdate, signals: SignalOutcome) -> AcceptedUpdate:
    told = msgspec.structs.asdict(update)
    del told["seq"]
    return AcceptedUpdate(**told, signals=signals)
