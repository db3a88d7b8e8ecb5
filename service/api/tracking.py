"""Sessions and invocations."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.bodies import require_small
from service.api.dependencies import FreeJson, GivenStore, Moment, SkillName
from service.api.schema import CONFLICT
from service.insights.session import SessionReport
from service.search.answers import Identifier
from service.work.sessions import EndedSession, end_session, session_report
from store.contract.identifiers import RecordId
from store.contract.metrics import SessionSkill
from store.contract.tracking import (
    Finish,
    ImportReport,
    Invocation,
    NewInvocation,
    NewOutcome,
    NewSession,
    Outcome,
    Session,
)
from store.errors import InvalidRecord

MAX_BATCH = 10_000
MAX_LISTED = 1_000
R = TypeVar("R", bound=msgspec.Struct)
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_153_600_000)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class StartSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to start. Without an id the service makes one."""

    id: RecordId | None = None
    project_id: Identifier | None = None
    user_id: Identifier | None = None


class StartInvocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invocation that begins. With an id of your own, the request can be repeated safely."""

    skill_name: SkillName
    id: RecordId | None = None
    invoked_at: Moment | None = None
    session_id: RecordId | None = None
    user_id: Identifier | None = None
    project_id: Identifier | None = None
    project_path: Text | None = None
    workflow_path: Text | None = None
    workflow_phase: Identifier | None = None
    search_id: Identifier | None = None
    selection_rank: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    alternatives_considered: Annotated[list[SkillName], msgspec.Meta(max_length=MAX_LISTED)] = []
    user_query: Text | None = None
    user_context: FreeJson = {}

    def __post_init__(self) -> None:
        """Refuse an id that is the name of a route, and a context that is too large to be kept."""
        if self.id == "batch":
            raise ValueError("id must not be 'batch', since /api/invocations/batch is a route")
        require_small("user_context", self.user_context)


class FinishInvocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an invocation ended. Without a duration, it is the time since the start."""

    outcome: Outcome = "completed"
    finished_at: Moment | None = None
    duration_seconds: Seconds | None = None
    error_type: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    follow_up_actions: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=2000)]], msgspec.Meta(max_length=MAX_LISTED)
    ] = []


class BatchedInvocation(StartInvocation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invocation of a batch; without an outcome it is still running. Its id makes the batch repeatable."""

    id: RecordId
    outcome: FinishInvocation | None = None


class InvocationBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many invocations at once."""

    invocations: Annotated[list[BatchedInvocation], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class BatchReport(ImportReport, frozen=True, kw_only=True):
    """What a batch did. `unknown_skills` are the names in it that no skill of the catalogue has."""

    unknown_skills: list[str]


class SessionController(Controller):
    """Sessions, from their start to their end."""

    path = "/api/sessions"
    tags = ["sessions"]

    @post(operation_id="startSession", sync_to_thread=True)
    def start(self, store: GivenStore, data: JSONBody[StartSession | None] = None) -> Session:
        """Start a session. If a session with this id exists, it is returned unchanged."""
        return store.start_session(_as(NewSession, data or StartSession()))

    @get("/{session_id:str}", operation_id="getSession", sync_to_thread=True)
    def session(self, session_id: FromPath[str], store: GivenStore) -> Session:
        """Return a session."""
        return store.session(session_id)

    @get("/{session_id:str}/skills", operation_id="getSessionSkills", sync_to_thread=True)
    def skills(self, session_id: FromPath[str], store: GivenStore) -> list[SessionSkill]:
        """Return the skills that were invoked in the session, most used first."""
        return store.session_skills(store.session(session_id).id)

    @get("/{session_id:str}/invocations", operation_id="getSessionInvocations", sync_to_thread=True)
    def invocations(self, session_id: FromPath[str], store: GivenStore) -> list[Invocation]:
        """Return the invocations of the session in the order in which they began."""
        return store.session_invocations(store.session(session_id).id)

    @post("/{session_id:str}/end", operation_id="endSession", status_code=200, sync_to_thread=True)
    def end(self, session_id: FromPath[str], store: GivenStore) -> EndedSession:
        """End a session: open invocations become abandoned, and a report is kept. A repetition changes nothing."""
        return end_session(store, session_id)

    @get("/{session_id:str}/correlation", operation_id="getSessionCorrelation", sync_to_thread=True)
    def correlation(self, session_id: FromPath[str], store: GivenStore) -> SessionReport:
        """Return the session's events in order, the steps within each invocation, and what passed or failed after."""
        return session_report(store, session_id)


class InvocationController(Controller):
    """Invocations of skills: started once, finished at most once."""

    path = "/api/invocations"
    tags = ["invocations"]

    @post(operation_id="startInvocation", sync_to_thread=True, responses=CONFLICT)
    def start(self, data: JSONBody[StartInvocation], store: GivenStore) -> Invocation:
        """Record that an invocation began. Repeating the same id and content returns what is recorded.

        An invocation of a skill that the catalogue does not have is recorded, too, with `skill_known` false: check the
        spelling, or index the skill.
        """
        return store.start_invocation(_as(NewInvocation, data))

    @get("/{invocation_id:str}", operation_id="getInvocation", sync_to_thread=True)
    def invocation(self, invocation_id: FromPath[str], store: GivenStore) -> Invocation:
        """Return an invocation."""
        return store.invocation(invocation_id)

    @post(
        "/{invocation_id:str}/complete",
        operation_id="finishInvocation",
        status_code=200,
        sync_to_thread=True,
        responses=CONFLICT,
    )
    def complete(
        self, invocation_id: FromPath[str], store: GivenStore, data: JSONBody[FinishInvocation | None] = None
    ) -> Finish:
        """Record how an invocation ended. Repeating the outcome changes nothing; a different one is a conflict."""
        return store.finish_invocation(invocation_id, _as(NewOutcome, data or FinishInvocation()))

    @post("/batch", operation_id="importInvocations", status_code=200, sync_to_thread=True)
    def batch(self, data: JSONBody[InvocationBatch], store: GivenStore) -> BatchReport:
        """Add up to 10,000 invocations. Those whose id is recorded already count as duplicates."""
        report = store.import_invocations([_batched(each) for each in data.invocations])
        recorded = store.find_invocations([each.id for each in data.invocations]).values()
        unknown = {each.given_name or each.skill_name for each in recorded if not each.skill_known}
        return BatchReport(**msgspec.structs.asdict(report), unknown_skills=sorted(unknown))


def _as(kind: type[R], data: msgspec.Struct) -> R:
    fields = set(kind.__struct_fields__)
    return kind(**{name: cell for name, cell in msgspec.structs.asdict(data).items() if name in fields})


def _batched(each: BatchedInvocation) -> tuple[NewInvocation, NewOutcome | None]:
    if each.outcome is not None and each.outcome.finished_at is None and each.invoked_at is None:
        raise InvalidRecord(
            f"invocation {each.id!r} of the batch has ended, so it needs invoked_at or outcome.finished_at",
            field="invoked_at",
        )
    ended = each.outcome
    if ended is not None and ended.finished_at is None and ended.duration_seconds is None:
        ended = msgspec.structs.replace(ended, finished_at=each.invoked_at)
    outcome = None if ended is None else msgspec.structs.replace(_as(NewOutcome, ended), source="import")
    return _as(NewInvocation, each), outcome
