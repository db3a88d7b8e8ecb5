"""Insights over projects and databases, and the counts behind them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody, QueryParameter, SkipValidation

from service.analysis.aggregation import MAX_SOURCES, AggregateReport, Aggregation
from service.analysis.engine import Analysis, InsightReport, ProjectOverview
from service.api.dependencies import GivenStore, Limit, ServerPath, paths_of
from service.api.schema import NOT_FOUND
from service.insights.findings import Kind
from store.clock import format_time, read_time
from store.contract.aggregates import DayExposure, DayMetrics, MetricsFilter, MetricsSource
from store.contract.searches import SearchRecord

GivenAggregation = NamedDependency[SkipValidation[Aggregation]]
GivenFilter = NamedDependency[SkipValidation[MetricsFilter]]
GivenAnalysis = NamedDependency[SkipValidation[Analysis]]

ProjectId = Annotated[
    str | None, QueryParameter(description="Only this project; empty for invocations without a project.")
]
Since = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, description="The first day, as an ISO 8601 time.")
]
Until = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, description="The last day, as an ISO 8601 time.")
]
Offset = Annotated[int, QueryParameter(ge=0, le=2**31, description="The number of rows to skip.")]
SearchIds = Annotated[list[str], QueryParameter(name="search_id", min_items=1, max_items=50)]


def asked_rows(
    *,
    project_id: ProjectId = None,
    skill_name: FromQuery[str | None] = None,
    since: Since = None,
    until: Until = None,
) -> MetricsFilter:
    """Return the filter of a request."""
    return MetricsFilter(project_id=project_id, skill_name=skill_name, since=_day(since), until=_day(until))


_WANTED: Final = {"wanted": Provide(asked_rows, sync_to_thread=False)}


class StartAggregate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Databases to count: files or data folders on the machine of the service. Without any, its own database."""

    sources: Annotated[list[ServerPath], msgspec.Meta(max_length=MAX_SOURCES)] = []


class AggregateController(Controller):
    """Counts over projects and databases."""

    path = "/api/aggregate"
    tags = ["insights"]

    @post(operation_id="aggregate", status_code=200, sync_to_thread=True)
    def aggregate(self, aggregation: GivenAggregation, data: JSONBody[StartAggregate | None] = None) -> AggregateReport:
        """Count what is new since the last time, and answer when that is done. Repeating it counts nothing twice."""
        return aggregation.run(paths_of((data or StartAggregate()).sources, "sources"))

    @get("/sources", operation_id="listAggregateSources", sync_to_thread=True)
    def sources(self, store: GivenStore) -> list[MetricsSource]:
        """Return the databases that have been counted."""
        return store.metrics_sources()


class InsightController(Controller):
    """Insights from the counts."""

    path = "/api/insights"
    tags = ["insights"]

    @get(operation_id="getInsights", sync_to_thread=True)
    def insights(
        self,
        analysis: GivenAnalysis,
        kind: FromQuery[Kind | None] = None,
        project_id: ProjectId = None,
        skill_name: FromQuery[str | None] = None,
        since: Since = None,
        limit: Limit = 100,
    ) -> InsightReport:
        """Return insights, ranked, each with its evidence and the path of the rows behind it."""
        return analysis.report(kind=kind, project_id=project_id, skill_name=skill_name, since=since, limit=limit)

    @get("/projects", operation_id="getProjectInsights", sync_to_thread=True)
    def projects(self, analysis: GivenAnalysis, since: Since = None) -> list[ProjectOverview]:
        """Return each project with its counts and the projects that use similar skills."""
        return analysis.projects(since=since)

    @get("/metrics", operation_id="listDayMetrics", dependencies=_WANTED, sync_to_thread=True)
    def metrics(
        self, store: GivenStore, wanted: GivenFilter, limit: Limit = 100, offset: Offset = 0
    ) -> list[DayMetrics]:
        """Return counts by project, skill and day, newest day first."""
        return store.day_metrics(wanted, limit=limit, offset=offset)

    @get("/exposures", operation_id="listDayExposures", dependencies=_WANTED, sync_to_thread=True)
    def exposures(
        self, store: GivenStore, wanted: GivenFilter, limit: Limit = 100, offset: Offset = 0
    ) -> list[DayExposure]:
        """Return how often searches listed each skill, by day and position, and how often it was then invoked."""
        return store.day_exposures(wanted, limit=limit, offset=offset)

    @get("/searches", operation_id="listSearchesOfInsight", sync_to_thread=True, responses=NOT_FOUND)
    def searches(self, store: GivenStore, search_ids: SearchIds) -> list[SearchRecord]:
        """Return several searches in the requested order."""
        return [store.search(each) for each in search_ids]


def _day(moment: str | None) -> str | None:
    return None if moment is None else format_time(read_time(moment))[:10]
