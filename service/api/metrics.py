"""Metrics over the log of invocations."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery

from service.api.dependencies import GivenStore, Limit
from store.contract.metrics import Bucket, MetricsSummary, SkillMetrics, TimelineBucket, WorkflowPath
from store.errors import NotFound
from store.protocol import Store
from store.windows import parse_window


class MetricsController(Controller):
    """Metrics of skills."""

    path = "/api/metrics"
    tags = ["metrics"]

    @get(operation_id="listMetrics", sync_to_thread=True)
    def all_metrics(self, store: GivenStore) -> list[SkillMetrics]:
        """Return the metrics of every skill that was ever invoked, most used first."""
        return store.all_metrics()

    @get("/summary", operation_id="getMetricsSummary", sync_to_thread=True)
    def summary(self, store: GivenStore) -> MetricsSummary:
        """Return totals over all skills."""
        return store.summary()

    @get("/{skill_name:str}", operation_id="getSkillMetrics", sync_to_thread=True)
    def skill(self, skill_name: FromPath[str], store: GivenStore) -> SkillMetrics:
        """Return the metrics of a skill."""
        return _known(store, skill_name)

    @post("/{skill_name:str}/percentiles", operation_id="refreshPercentiles", status_code=200, sync_to_thread=True)
    def refresh(self, skill_name: FromPath[str], store: GivenStore) -> SkillMetrics:
        """Recompute the p50, p95 and p99 durations of a skill, and return its metrics."""
        store.refresh_percentiles([skill_name])
        return _known(store, skill_name)

    @get("/{skill_name:str}/timeline", operation_id="getSkillTimeline", sync_to_thread=True)
    def timeline(
        self,
        skill_name: FromPath[str],
        store: GivenStore,
        window: FromQuery[str] = "7d",
        bucket: FromQuery[Bucket] = "hour",
    ) -> list[TimelineBucket]:
        """Return the invocations of a skill by time bucket, oldest first, including empty buckets."""
        return store.timeline(skill_name, window=parse_window(window), bucket=bucket)


class WorkflowPathController(Controller):
    """Workflow paths on which skills were invoked."""

    path = "/api/workflow-paths"
    tags = ["metrics"]

    @get(operation_id="searchWorkflowPaths", sync_to_thread=True)
    def search(self, store: GivenStore, q: FromQuery[str], limit: Limit = 100) -> list[WorkflowPath]:
        """Return the workflow paths that contain every word of `q`, most used first."""
        return store.search_workflow_paths(q, limit=limit)


def _known(store: Store, skill_name: str) -> SkillMetrics:
    metrics = store.skill_metrics(skill_name)
    if metrics is None:
        raise NotFound("recorded use of the skill", skill_name)
    return metrics
