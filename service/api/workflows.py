"""Workflow events, and statistics over the sessions that they belong to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation

from service.api.bodies import require_small
from service.api.dependencies import FreeJson, GivenStore, Limit, Moment
from service.api.schema import CONFLICT
from service.insights.phases import Bottleneck, HeatMap, Transition
from service.search.answers import Identifier
from service.work.workflows import (
    Between,
    StepCorrelations,
    phase_heat_map,
    step_correlations,
    workflow_bottlenecks,
    workflow_transitions,
)
from store.contract.identifiers import RecordId
from store.contract.workflows import EventsReport, NewWorkflowEvent, StepStatus, WorkflowEvent, WorkflowFilter

MAX_BATCH = 10_000
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_153_600_000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\S")]
Step = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S")]
Since = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=64, description="Only sessions that began at this ISO 8601 time or later."),
]
GivenFilter = NamedDependency[SkipValidation[WorkflowFilter]]


class ReportEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event of a workflow. With an id of your own, the request can be repeated safely.

    Without a time, the event occurs now; events of one list then keep the order in which they are sent.
    """

    session_id: RecordId
    workflow: Name
    step: Step
    status: StepStatus
    id: RecordId | None = None
    project_id: Identifier | None = None
    invocation_id: Identifier | None = None
    phase: Name | None = None
    occurred_at: Moment | None = None
    duration_seconds: Seconds | None = None
    payload: FreeJson = {}

    def __post_init__(self) -> None:
        """Refuse a payload that is too large to be kept."""
        require_small("payload", self.payload)


Events = Annotated[list[ReportEvent], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


def asked_filter(
    *, project_id: FromQuery[str | None] = None, workflow: FromQuery[str | None] = None, since: Since = None
) -> WorkflowFilter:
    """Return the filter of a request."""
    return WorkflowFilter(project_id=project_id, workflow=workflow, since=since)


class WorkflowEventController(Controller):
    """Events that workflows report."""

    path = "/api/workflow_events"
    tags = ["workflows"]

    @post(operation_id="reportWorkflowEvents", status_code=200, sync_to_thread=True, responses=CONFLICT)
    def report(self, data: JSONBody[ReportEvent | Events], store: GivenStore) -> EventsReport:
        """Record one event (an object) or up to 10,000 (a list). Repeating an id adds nothing.

        A single event that contradicts what is recorded is a conflict. In a list, such events are refused one by one
        and the others are recorded.
        """
        if isinstance(data, ReportEvent):
            _, new = store.record_event(_as_event(data))
            return EventsReport(added=int(new), known=int(not new), refused=[])
        return store.record_events([_as_event(event) for event in data])

    @get("/{event_id:str}", operation_id="getWorkflowEvent", sync_to_thread=True)
    def event(self, event_id: FromPath[str], store: GivenStore) -> WorkflowEvent:
        """Return an event with its payload."""
        return store.workflow_event(event_id)


class WorkflowController(Controller):
    """Statistics over the sessions of a project, of a workflow, or since a moment."""

    path = "/api/workflows"
    tags = ["workflows"]
    dependencies = {"wanted": Provide(asked_filter, sync_to_thread=False)}

    @get("/correlations", operation_id="getWorkflowCorrelations", sync_to_thread=True)
    def correlations(
        self, wanted: GivenFilter, store: GivenStore, skill_name: FromQuery[str | None] = None, limit: Limit = 100
    ) -> StepCorrelations:
        """Compare how often each step passes in sessions that used a skill before it and in sessions that did not."""
        return step_correlations(store, wanted, limit=limit, skill_name=skill_name)

    @get("/bottlenecks", operation_id="getWorkflowBottlenecks", sync_to_thread=True)
    def bottlenecks(self, wanted: GivenFilter, store: GivenStore) -> list[Bottleneck]:
        """Return how often work is abandoned or fails in each phase, the clearest bottleneck first."""
        return workflow_bottlenecks(store, wanted)

    @get("/transitions", operation_id="getWorkflowTransitions", sync_to_thread=True)
    def transitions(
        self, wanted: GivenFilter, store: GivenStore, between: FromQuery[Between] = "skills", limit: Limit = 100
    ) -> list[Transition]:
        """Return which skill or phase follows which, the most frequent transition first."""
        return workflow_transitions(store, wanted, between=between, limit=limit)

    @get("/phases", operation_id="getPhaseOutcomes", sync_to_thread=True)
    def phases(self, wanted: GivenFilter, store: GivenStore) -> HeatMap:
        """Return how invocations and steps ended in each phase."""
        return phase_heat_map(store, wanted)


def _as_event(data: ReportEvent) -> NewWorkflowEvent:
    return NewWorkflowEvent(**msgspec.structs.asdict(data))
