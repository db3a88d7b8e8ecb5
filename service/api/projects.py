"""Projects, their scope, and what happens in them. `service.work.signals` alone writes signals."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from service.api.dependencies import GivenStore, Limit
from service.search.answers import Identifier
from service.work.projects import Completed, Joined, complete_project, join_project, record_progress_update
from service.work.signals import SignalOutcome
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

Before = Annotated[int | None, QueryParameter(ge=1, description="The `next` of the page before.")]
Key = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200, description="Makes a retry the same update."),
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
ProjectId = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^/]+$")]


class DeclareProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to declare; without an id the service makes one. `metadata.skill_ideas` is kept and never read."""

    name: Name
    id: ProjectId | None = None
    paths: list[Text] = []
    metadata: dict[str, Any] = {}


class NamedSkill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A skill by name; the category is for one that the catalogue does not have yet."""

    skill_name: Name
    category: Name | None = None


class DeclareSkills(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole scope of a project: names, ids, or names with a category.

    A name that the catalogue does not have becomes a skill without a document, unless `add_missing` is false.
    """

    skills: Annotated[
        list[Name | Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | NamedSkill], msgspec.Meta(max_length=500)
    ]
    add_missing: bool = True


class JoinProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes part."""

    user_id: Identifier


class RecordUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was done, in the user's words. No skill is ever inferred from them."""

    project_id: Identifier
    user_id: Identifier
    content: Text


class ScheduleMentorship(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two people who meet, and what about."""

    intern_id: Identifier
    mentor_id: Identifier
    session_focus: Text
    id: Identifier | None = None
    project_id: Identifier | None = None
    status: MentorshipStatus = "scheduled"


class AcceptedUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The update as it is recorded, and what became of its signals."""

    id: str
    project_id: str
    user_id: str
    content: str
    idempotency_key: str | None
    created_at: str
    signals: SignalOutcome


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects in the order of their ids; ask again with ``after=next`` for more."""

    projects: list[Project]
    next: str | None


class UpdatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Updates, last recorded first; ask again with ``before=next`` for earlier ones."""

    progress_updates: list[ProgressUpdate]
    next: int | None


class MentorshipPage(msgspec.Struct, frozen=True, kw_only=True):
    """Mentorship sessions, last recorded first; ask again with ``before=next`` for earlier ones."""

    mentorship_sessions: list[MentorshipSession]
    next: int | None


class ProjectController(Controller):
    """Projects and their scope."""

    path = "/api/projects"
    tags = ["projects"]

    @post(operation_id="declareProject", sync_to_thread=True)
    def declare(self, data: JSONBody[DeclareProject], store: GivenStore) -> Response[Project]:
        """Declare a project. The same id and content again returns what is recorded."""
        project, new = store.transaction(lambda work: work.add_project(NewProject(**msgspec.structs.asdict(data))))
        return _answered(project, new=new)

    @get(operation_id="listProjects", sync_to_thread=True)
    def projects(self, store: GivenStore, after: FromQuery[str] = "", limit: Limit = 100) -> ProjectPage:
        """List projects."""
        projects = store.projects(after=after, limit=limit)
        return ProjectPage(projects=projects, next=projects[-1].id if len(projects) == limit else None)

    @get("/{project_id:str}", operation_id="getProject", sync_to_thread=True)
    def project(self, project_id: FromPath[str], store: GivenStore) -> Project:
        """Return one project."""
        return store.project(project_id)

    @put("/{project_id:str}/skills", operation_id="declareProjectSkills", sync_to_thread=True)
    def declare_skills(
        self, project_id: FromPath[str], data: JSONBody[DeclareSkills], store: GivenStore
    ) -> list[ProjectSkill]:
        """Make these skills the whole scope of the project. Signals that were emitted before stay."""
        skills = [_declaration(skill) for skill in data.skills]
        return store.transaction(lambda work: work.declare_skills(project_id, skills, add_missing=data.add_missing))

    @get("/{project_id:str}/skills", operation_id="getProjectSkills", sync_to_thread=True)
    def skills(self, project_id: FromPath[str], store: GivenStore) -> list[ProjectSkill]:
        """Return the scope of the project."""
        return store.project_skills(project_id)

    @post("/{project_id:str}/members", operation_id="joinProject", sync_to_thread=True)
    def join(self, project_id: FromPath[str], data: JSONBody[JoinProject], store: GivenStore) -> Response[Joined]:
        """Let a user take part, which emits `joined` for the declared skills."""
        joined = join_project(store, project_id, data.user_id)
        return _answered(joined, new=joined.new)

    @get("/{project_id:str}/members", operation_id="getProjectMembers", sync_to_thread=True)
    def members(self, project_id: FromPath[str], store: GivenStore) -> list[ProjectMember]:
        """Return who takes part."""
        return store.project_members(project_id)

    @post("/{project_id:str}/complete", operation_id="completeProject", status_code=200, sync_to_thread=True)
    def complete(self, project_id: FromPath[str], store: GivenStore) -> Completed:
        """Complete the project, which emits `completed` for the declared skills of all who take part."""
        return complete_project(store, project_id)


class ProgressUpdateController(Controller):
    """Work done in projects."""

    path = "/api/progress_updates"
    tags = ["projects"]

    @post(operation_id="recordProgressUpdate", sync_to_thread=True)
    def record(
        self, data: JSONBody[RecordUpdate], store: GivenStore, idempotency_key: Key = None
    ) -> Response[AcceptedUpdate]:
        """Record an update, which emits `update` for the declared skills. The same key again changes nothing."""
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
        """List updates."""
        found = store.progress_updates(project_id=project_id, user_id=user_id, before=before, limit=limit)
        return UpdatePage(progress_updates=found, next=found[-1].seq if len(found) == limit else None)

    @get("/{update_id:str}", operation_id="getProgressUpdate", sync_to_thread=True)
    def update(self, update_id: FromPath[str], store: GivenStore) -> ProgressUpdate:
        """Return one update."""
        return store.progress_update(update_id)


class MentorshipController(Controller):
    """Mentorship: context for people, never evidence of skill."""

    path = "/api/mentorship_sessions"
    tags = ["projects"]

    @post(operation_id="recordMentorshipSession", sync_to_thread=True)
    def record(self, data: JSONBody[ScheduleMentorship], store: GivenStore) -> Response[MentorshipSession]:
        """Record a mentorship session. It emits no signal, whatever its focus."""
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
        """List mentorship sessions."""
        found = store.mentorship_sessions(
            intern_id=intern_id, mentor_id=mentor_id, project_id=project_id, before=before, limit=limit
        )
        return MentorshipPage(mentorship_sessions=found, next=found[-1].seq if len(found) == limit else None)

    @get("/{session_id:str}", operation_id="getMentorshipSession", sync_to_thread=True)
    def session(self, session_id: FromPath[str], store: GivenStore) -> MentorshipSession:
        """Return one mentorship session."""
        return store.mentorship_session(session_id)


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
