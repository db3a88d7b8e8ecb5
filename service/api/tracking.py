"""Sessions and uses of skills."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenStore
from service.insights.session import SessionReport
from service.search.answers import Identifier
from service.work.sessions import EndedSession, end_session, session_report
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
R = TypeVar("R", bound=msgspec.Struct)
SkillName = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_153_600_000)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class StartSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to start; without an id the service makes one."""

    id: Identifier | None = None
    project_id: Identifier | None = None
    user_id: Identifier | None = None


class StartInvocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A use that begins. Give an id of your own to make retries safe."""

    skill_name: SkillName
    id: Identifier | None = None
    invoked_at: str | None = None
    session_id: Identifier | None = None
    user_id: Identifier | None = None
    project_id: Identifier | None = None
    project_path: Text | None = None
    workflow_path: Text | None = None
    workflow_phase: Identifier | None = None
    search_id: Identifier | None = None
    selection_rank: Annotated[int, msgspec.Meta(ge=1)] | None = None
    alternatives_considered: list[SkillName] = []
    user_query: Text | None = None
    user_context: dict[str, Any] = {}


class FinishInvocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a use ended. Without a duration it is the time since the start."""

    outcome: Outcome = "completed"
    finished_at: str | None = None
    duration_seconds: Seconds | None = None
    error_type: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    follow_up_actions: list[Annotated[str, msgspec.Meta(max_length=2000)]] = []


class BatchedInvocation(StartInvocation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A use of a batch; without an outcome it is still running. The id makes the batch repeatable."""

    id: Identifier
    outcome: FinishInvocation | None = None


class InvocationBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many uses at once."""

    invocations: Annotated[list[BatchedInvocation], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class SessionController(Controller):
    """Session life."""

    path = "/api/sessions"
    tags = ["sessions"]

    @post(operation_id="startSession", sync_to_thread=True)
    def start(self, store: GivenStore, data: JSONBody[StartSession | None] = None) -> Session:
        """Start a session; the same id again returns it."""
        return store.start_session(_as(NewSession, data or StartSession()))

    @get("/{session_id:str}", operation_id="getSession", sync_to_thread=True)
    def session(self, session_id: FromPath[str], store: GivenStore) -> Session:
        """Return one session."""
        return store.session(session_id)

    @get("/{session_id:str}/skills", operation_id="getSessionSkills", sync_to_thread=True)
    def skills(self, session_id: FromPath[str], store: GivenStore) -> list[SessionSkill]:
        """Return what the session used, most used first."""
        return store.session_skills(store.session(session_id).id)

    @get("/{session_id:str}/invocations", operation_id="getSessionInvocations", sync_to_thread=True)
    def invocations(self, session_id: FromPath[str], store: GivenStore) -> list[Invocation]:
        """Return the session's uses in the order they began."""
        return store.session_invocations(store.session(session_id).id)

    @post("/{session_id:str}/end", operation_id="endSession", status_code=200, sync_to_thread=True)
    def end(self, session_id: FromPath[str], store: GivenStore) -> EndedSession:
        """End a session: open uses become abandoned, and its report is kept. Ending it again changes nothing."""
        return end_session(store, session_id)

    @get("/{session_id:str}/correlation", operation_id="getSessionCorrelation", sync_to_thread=True)
    def correlation(self, session_id: FromPath[str], store: GivenStore) -> SessionReport:
        """Return the session's story, which steps ran within each use, and what passed or failed after which skill."""
        return session_report(store, session_id)


class InvocationController(Controller):
    """Uses of skills: started once, finished at most once."""

    path = "/api/invocations"
    tags = ["invocations"]

    @post(operation_id="startInvocation", sync_to_thread=True)
    def start(self, data: JSONBody[StartInvocation], store: GivenStore) -> Invocation:
        """Record that a use began. The same id and content again returns what is recorded."""
        return store.start_invocation(_as(NewInvocation, data))

    @get("/{invocation_id:str}", operation_id="getInvocation", sync_to_thread=True)
    def invocation(self, invocation_id: FromPath[str], store: GivenStore) -> Invocation:
        """Return one use."""
        return store.invocation(invocation_id)

    @post("/{invocation_id:str}/complete", operation_id="finishInvocation", status_code=200, sync_to_thread=True)
    def complete(
        self, invocation_id: FromPath[str], store: GivenStore, data: JSONBody[FinishInvocation | None] = None
    ) -> Finish:
        """Record how a use ended. The same outcome again changes nothing; another one is a conflict."""
        return store.finish_invocation(invocation_id, _as(NewOutcome, data or FinishInvocation()))

    @post("/batch", operation_id="importInvocations", status_code=200, sync_to_thread=True)
    def batch(self, data: JSONBody[InvocationBatch], store: GivenStore) -> ImportReport:
        """Add many uses; those whose id is known are counted as duplicates."""
        return store.import_invocations([_batched(each) for each in data.invocations])


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
