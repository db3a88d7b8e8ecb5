"""Workflow events, session reports, and totals over sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from store.contract.tracking import SessionEnd

StepStatus = Literal["started", "passed", "failed", "skipped"]


class NewWorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to record; without `id` and `occurred_at` the store makes them.

    `occurred_at` is when the step reached its status: its start for ``started``, its end for the others.
    Events of one batch without a time get increasing ones, so that their order is kept.
    """

    session_id: str
    workflow: str
    step: str
    status: StepStatus
    id: str | None = None
    project_id: str | None = None
    invocation_id: str | None = None
    phase: str | None = None
    occurred_at: str | None = None
    duration_seconds: float | None = None
    payload: dict[str, Any] = {}


class WorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow event as recorded."""

    seq: int
    id: str
    session_id: str
    project_id: str | None
    invocation_id: str | None
    workflow: str
    phase: str | None
    step: str
    status: StepStatus
    occurred_at: str
    duration_seconds: float | None
    payload: dict[str, Any]
    recorded_at: str


class RefusedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a batch that was refused; `position` is its place in the batch, from 0."""

    position: int
    id: str | None
    reason: str


class EventsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch did: events added, events that were recorded already, and events refused, each with a reason."""

    added: int
    known: int
    refused: list[RefusedEvent]


class SearchInStory(msgspec.Struct, frozen=True, kw_only=True):
    """A search of a session; `query` is None where queries are not kept, `served` are the first few names."""

    id: str
    searched_at: str
    query: str | None
    confidence: str
    served: list[str]


class UseInStory(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a skill in a session; the last four fields are None while it is running."""

    id: str
    skill_name: str
    invoked_at: str
    workflow_phase: str | None
    search_id: str | None
    outcome: str | None
    finished_at: str | None
    duration_seconds: float | None
    error_type: str | None


class EventInStory(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow event of a session, without its payload."""

    id: str
    invocation_id: str | None
    workflow: str
    phase: str | None
    step: str
    status: StepStatus
    occurred_at: str
    duration_seconds: float | None


class SessionStory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is recorded of a session.

    Each list is ordered by time; entries of one moment have an order that does not depend on when they arrived.
    """

    session_id: str
    project_id: str | None
    user_id: str | None
    started_at: str
    ended_at: str | None
    searches: list[SearchInStory]
    uses: list[UseInStory]
    events: list[EventInStory]


class WorkflowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions to select: those of a project, with events of a workflow, started at `since` or later."""

    project_id: str | None = None
    workflow: str | None = None
    since: str | None = None


class StepTotal(msgspec.Struct, frozen=True, kw_only=True):
    """In how many sessions of one project a step was judged, and in how many its last judgement was passed.

    With a `skill_name`, only sessions that used the skill before that judgement count. `step` is '' for all steps of a
    workflow together, which fail if one of them does; `project_id` is '' for sessions without a project.
    """

    workflow: str
    step: str
    skill_name: str | None
    project_id: str
    sessions: int
    passed: int


class StepTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the steps that differ most between sessions; `steps` is the number of all that were judged."""

    steps: int
    totals: list[StepTotal]


class PhaseTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How often uses had an outcome (or are ``running``), or steps a status, in a phase."""

    phase: str
    kind: Literal["use", "step"]
    outcome: str
    n: int


class TransitionTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How often `after` directly followed `before` in a session; `leaving` is how often anything did."""

    before: str
    after: str
    n: int
    sessions: int
    leaving: int


ReportMaker = Callable[[SessionStory], dict[str, Any]]


class WorkflowLog(Protocol):
    """What workflows report about themselves: an append-only log."""

    def record_event(self, event: NewWorkflowEvent) -> tuple[WorkflowEvent, bool]:
        """Record one event; return it and whether it is new. An unknown session id starts that session.

        The same id with the same content returns what is recorded; other content raises `Conflict`. Events may arrive
        in any order, also before the use that they name and after the end of their session.
        """

    def record_events(self, events: Sequence[NewWorkflowEvent]) -> EventsReport:
        """Record many events as one unit; invalid and contradicting ones are refused one by one."""

    def workflow_event(self, event_id: str) -> WorkflowEvent:
        """Return one event. Raises `NotFound`."""


class SessionReports(Protocol):
    """Ends sessions and keeps a report of each.

    Whatever is recorded of a session after its end invalidates its report, which is made again on request.
    """

    def end_session(self, session_id: str, make: ReportMaker | None = None) -> SessionEnd:
        """End a session: its open uses become abandoned and the percentiles of its skills are recomputed.

        What `make` returns for the session's story is kept as its report. One unit; ending a session again changes
        nothing unless it went on in the meantime: then open uses, and the session, end now. Raises `NotFound`.
        """

    def session_story(self, session_id: str) -> SessionStory:
        """Return everything that is recorded of a session. Raises `NotFound`."""

    def session_report(self, session_id: str, make: ReportMaker) -> dict[str, Any]:
        """Return a session's report: the one that is kept, else what `make` returns for its story.

        The latter is kept if the session has ended. `make` may run more than once and must not call the store. Raises
        `NotFound`.
        """

    def idle_sessions(self, idle_for: timedelta) -> list[str]:
        """Return the open sessions in which nothing was recorded for longer than `idle_for`, earliest first."""


class WorkflowTotals(Protocol):
    """Totals over sessions. A filter with an invalid time raises `InvalidRecord`."""

    def step_totals(self, wanted: WorkflowFilter, *, steps: int) -> StepTotals:
        """Return how at most `steps` steps ended, by project, in all sessions and in those that used each skill.

        All steps of a workflow together count as one more step of it, if it has several. Steps that both passed and
        failed most often come first, since the others tell nothing. A step counts once for each session, by its last
        judgement; of judgements at one moment, the failure counts.
        """

    def phase_totals(self, wanted: WorkflowFilter) -> list[PhaseTotal]:
        """Return how uses and steps ended in each phase, ordered by phase; those without a phase are excluded."""

    def transitions(self, wanted: WorkflowFilter, *, between: Literal["phases", "skills"]) -> list[TransitionTotal]:
        """Return which step followed which in sessions, most frequent first; repetitions count as one."""
