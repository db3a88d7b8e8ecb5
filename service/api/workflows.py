"""Workflow events, and what many sessions say about them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation

from service.api.dependencies import GivenStore, Limit
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
from store.contract.workflows import EventsReport, NewWorkflowEvent, StepStatus, WorkflowEvent, WorkflowFilter
from store.errors import InvalidRecord

MAX_BATCH = 10_000
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_153_600_000)]
Step = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Since = Annotated[str | None, QueryParameter(description="ISO 8601: only sessions that began then or later.")]
GivenFilter = NamedDependency[SkipValidation[WorkflowFilter]]


class ReportEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workflow reports. Give an id of your own to make retries safe."""

    session_id: Identifier
    workflow: Identifier
    step: Step
    status: StepStatus
    id: Identifier | None = None
    project_id: Identifier | None = None
    invocation_id: Identifier | None = None
    phase: Identifier | None = None
    occurred_at: str | None = None
    duration_seconds: Seconds | None = None
    payload: dict[str, Any] = {}


def asked_filter(
    *, project_id: FromQuery[str | None] = None, workflow: FromQuery[str | None] = None, since: Since = None
) -> WorkflowFilter:
    """Return which sessions a request asks for."""
    return WorkflowFilter(project_id=project_id, workflow=workflow, since=since)


class WorkflowEventController(Controller):
    """What workflows report about themselves."""

    path = "/api/workflow_events"
    tags = ["workflows"]

    @post(operation_id="reportWorkflowEvents", status_code=200, sync_to_thread=True)
    def report(self, data: JSONBody[ReportEvent | list[ReportEvent]], store: GivenStore) -> EventsReport:
        """Record one event (an object) or up to 10,000 (a list), in any order; the same id again adds nothing.

        One that contradicts what is recorded is a conflict; in a list it is refused and the others are taken.
        """
        if isinstance(data, ReportEvent):
            _, new = store.record_event(_as_event(data))
            return EventsReport(added=int(new), known=int(not new), refused=[])
        if not 1 <= len(data) <= MAX_BATCH:
            raise InvalidRecord(f"a list holds 1 to {MAX_BATCH} events, not {len(data)}; send several lists")
        return store.record_events([_as_event(event) for event in data])

    @get("/{event_id:str}", operation_id="getWorkflowEvent", sync_to_thread=True)
    def event(self, event_id: FromPath[str], store: GivenStore) -> WorkflowEvent:
        """Return one event with its payload."""
        return store.workflow_event(event_id)


class WorkflowController(Controller):
    """What the sessions of a project, of a workflow, or since a moment say together."""

    path = "/api/workflows"
    tags = ["workflows"]
    dependencies = {"wanted": Provide(asked_filter, sync_to_thread=False)}

    @get("/correlations", operation_id="getWorkflowCorrelations", sync_to_thread=True)
    def correlations(
        self, wanted: GivenFilter, store: GivenStore, skill_name: FromQuery[str | None] = None, limit: Limit = 100
    ) -> StepCorrelations:
        """Compare each step's success in sessions that used a skill before it with those that did not."""
        return step_correlations(store, wanted, limit=limit, skill_name=skill_name)

    @get("/bottlenecks", operation_id="getWorkflowBottlenecks", sync_to_thread=True)
    def bottlenecks(self, wanted: GivenFilter, store: GivenStore) -> list[Bottleneck]:
        """Return how often work is abandoned or fails in each phase, the surest bottleneck first."""
        return workflow_bottlenecks(store, wanted)

    @get("/transitions", operation_id="getWorkflowTransitions", sync_to_thread=True)
    def transitions(
        self, wanted: GivenFilter, store: GivenStore, between: FromQuery[Between] = "skills", limit: Limit = 100
    ) -> list[Transition]:
        """Return which skill or phase follows which, most often first."""
        return workflow_transitions(store, wanted, between=between, limit=limit)

    @get("/phases", operation_id="getPhaseOutcomes", sync_to_thread=True)
    def phases(self, wanted: GivenFilter, store: GivenStore) -> HeatMap:
        """Return how uses of skills and steps ended in each phase."""
        return phase_heat_map(store, wanted)


def _as_event(data: ReportEvent) -> NewWorkflowEvent:
    return NewWorkflowEvent(**msgspec.structs.asdict(data))
