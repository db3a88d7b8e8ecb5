"""What crosses the store's border about workflow events: frozen records with no behaviour.

Times are UTC text of fixed width (`store.clock`); durations are seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

StepStatus = Literal["started", "passed", "failed", "skipped"]


class NewWorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow reports; `id` and `occurred_at` None let the store make them.

    `occurred_at` is when the status came to be: the beginning for ``started``, the end for the others.
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


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many searches and uses lost their question."""

    searches: int
    uses: int
