"""Workflow events, and what sessions add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from store.contract.tracking import SessionEnd

StepStatus = Literal["started", "passed", "failed", "skipped"]


class NewWorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow reports; `id` and `occurred_at` None let the store make them.

    `occurred_at` is when the status came to be: the beginning for ``started``, the end for the others. Events of one
    batch without a time get increasing ones, so that their order is kept.
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
    """One workflow event as the log holds it."""

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
    """An event of a batch that was not taken; `position` counts from 0 in the batch."""

    position: int
    id: str | None
    reason: str


class EventsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch did: events added, events that were recorded already, and events refused with the reason."""

    added: int
    known: int
    refused: list[RefusedEvent]


class SearchInStory(msgspec.Struct, frozen=True, kw_only=True):
    """A search of a session; `query` is None where its words are not kept, `served` are the first few names."""

    id: str
    searched_at: str
    query: str | None
    confidence: str
    served: list[str]


class UseInStory(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a skill in a session; the last four are None while it runs."""

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

    Each list is in the order of time; what has one moment stands in an order that does not depend on arrival.
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
    """Which sessions to look at: those of a project, with events of a workflow, begun at `since` or later."""

    project_id: str | None = None
    workflow: str | None = None
    since: str | None = None


class StepTotal(msgspec.Struct, frozen=True, kw_only=True):
    """In how many sessions of one project a step was judged last as passed, or at all.

    With a `skill_name` only sessions that used the skill before that judgement count. `step` is '' for all steps of a
    workflow together, which fail when one of them does; `project_id` is '' for sessions without a project.
    """

    workflow: str
    step: str
    skill_name: str | None
    project_id: str
    sessions: int
    passed: int


class StepTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the steps that differ most between sessions; `steps` counts all that were judged."""

    steps: int
    totals: list[StepTotal]


class PhaseTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How often something ended one way in a phase: uses of skills by outcome (``running`` too), steps by status."""

    phase: str
    kind: Literal["use", "step"]
    outcome: str
    n: int


class TransitionTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How often `after` came next after `before` in a session, out of `leaving` times that something else did."""

    before: str
    after: str
    n: int
    sessions: int
    leaving: int


ReportMaker = Callable[[SessionStory], dict[str, Any]]


class WorkflowLog(Protocol):
    """What workflows report about themselves: an append-only log."""

    def record_event(self, event: NewWorkflowEvent) -> tuple[WorkflowEvent, bool]:
        """Record one event; return it and whether it is new. An unknown session id begins that session.

        The same id with the same content returns what is recorded; other content raises `Conflict`. Events may come
        in any order, also before the use that they name and after their session has ended.
        """

    def record_events(self, events: Sequence[NewWorkflowEvent]) -> EventsReport:
        """Record many events as one unit; those that contradict a rule or the log are refused one by one."""

    def workflow_event(self, event_id: str) -> WorkflowEvent:
        """Return one event. Raises `NotFound`."""


class SessionReports(Protocol):
    """How sessions end, and the report that is kept of each ended one.

    What is recorded of a session after its end makes its report void. It is made anew by the next who asks.
    """

    def end_session(self, session_id: str, make: ReportMaker | None = None) -> SessionEnd:
        """End a session: its open uses become abandoned and the percentiles of its skills are recomputed.

        With `make`, what it makes of the session's story is kept as its report. One unit; ending it again changes
        nothing, unless it went on meanwhile: then what is open ends now, and so does the session. Raises `NotFound`.
        """

    def session_story(self, session_id: str) -> SessionStory:
        """Return everything that is recorded of a session. Raises `NotFound`."""

    def session_report(self, session_id: str, make: ReportMaker) -> dict[str, Any]:
        """Return a session's report: the one that is kept, else what `make` makes of its story.

        That is kept when the session has ended. `make` may run more than once and does not call the store. Raises
        `NotFound`.
        """

    def idle_sessions(self, idle_for: timedelta) -> list[str]:
        """Return open sessions of which nothing was recorded for longer than `idle_for`, the earliest first."""


class WorkflowTotals(Protocol):
    """What sessions add up to. A filter on a time that is none raises `InvalidRecord`."""

    def step_totals(self, wanted: WorkflowFilter, *, steps: int) -> StepTotals:
        """Return how steps ended, by project, with and without regard to each skill, for at most `steps` steps.

        All steps of a workflow together count as one more step of it, where it has several.

        Those that both passed and failed most often come first: about others there is nothing to learn. A step of a
        session counts once, as it was judged last; of judgements at one moment the failure holds.
        """

    def phase_totals(self, wanted: WorkflowFilter) -> list[PhaseTotal]:
        """Return how uses and steps ended in each phase, by phase; those without a phase are left out."""

    def transitions(self, wanted: WorkflowFilter, *, between: Literal["phases", "skills"]) -> list[TransitionTotal]:
        """Return what followed what inside sessions, most often first; repetitions are one stay."""
