"""Skill analytics: every chart is derived from signals, and nothing is written here."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter, SkipValidation

from service.api.dependencies import GivenStore, Limit
from store.contract.metrics import Bucket
from store.contract.signals import Activity, Distribution, Momentum, SignalFilter
from store.windows import parse_window

Window = Annotated[str, QueryParameter(description="How long the period is without `since`: `30 days`, `12w`.")]
Cursor = Annotated[str | None, QueryParameter(description="The `next` of the page before.")]
Since = Annotated[str | None, QueryParameter(description="ISO 8601, included.")]
Until = Annotated[str | None, QueryParameter(description="ISO 8601, not included.")]
GivenFilter = NamedDependency[SkipValidation[SignalFilter]]


def asked_filter(
    store: GivenStore,
    *,
    user_id: FromQuery[str | None] = None,
    project_id: FromQuery[str | None] = None,
    skill_name: FromQuery[str | None] = None,
    category: FromQuery[str | None] = None,
    since: Since = None,
    until: Until = None,
) -> SignalFilter:
    """Return which signals a request asks for. An unknown project is an error here; no chart reads projects."""
    if project_id is not None:
        store.project(project_id)
    return SignalFilter(
        user_id=user_id, project_id=project_id, skill_name=skill_name, category=category, since=since, until=until
    )


class SignalController(Controller):
    """Charts of user_skill_signals."""

    path = "/api/signals"
    tags = ["signals"]
    dependencies = {"wanted": Provide(asked_filter, sync_to_thread=True)}

    @get("/distribution", operation_id="getSignalDistribution", sync_to_thread=True)
    def distribution(self, wanted: GivenFilter, store: GivenStore) -> Distribution:
        """Return the signals of each skill and each category, most first."""
        return store.signal_distribution(wanted)

    @get("/momentum", operation_id="getSignalMomentum", sync_to_thread=True)
    def momentum(
        self, wanted: GivenFilter, store: GivenStore, bucket: FromQuery[Bucket] = "day", window: Window = "30 days"
    ) -> Momentum:
        """Return signals by bucket of time, empty ones included, and the change against the period before."""
        return store.signal_momentum(wanted, bucket=bucket, window=parse_window(window))

    @get("/activity", operation_id="getSignalActivity", sync_to_thread=True)
    def activity(self, wanted: GivenFilter, store: GivenStore, cursor: Cursor = None, limit: Limit = 50) -> Activity:
        """Return signals, newest first."""
        return store.signal_activity(wanted, cursor=cursor, limit=limit)
