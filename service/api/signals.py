"""Charts of skill signals. They read signals only, and write nothing."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter, SkipValidation

from service.api.dependencies import GivenStore, Limit
from service.api.schema import NOT_FOUND
from store.contract.metrics import Bucket
from store.contract.signals import Activity, Distribution, Momentum, SignalFilter
from store.windows import parse_window

Window = Annotated[
    str, QueryParameter(description="The length of the period when `since` is missing, such as `30 days` or `12w`.")
]
Cursor = Annotated[str | None, QueryParameter(description="The `next` of the previous page.")]
Since = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, description="The start as an ISO 8601 time, included.")
]
Until = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, description="The end as an ISO 8601 time, not included.")
]
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
    """Return the filter of a request. An unknown project is refused here, since no chart reads projects."""
    if project_id is not None:
        store.project(project_id)
    return SignalFilter(
        user_id=user_id, project_id=project_id, skill_name=skill_name, category=category, since=since, until=until
    )


class SignalController(Controller):
    """Charts of skill signals."""

    path = "/api/signals"
    tags = ["signals"]
    dependencies = {"wanted": Provide(asked_filter, sync_to_thread=True)}

    @get("/distribution", operation_id="getSignalDistribution", sync_to_thread=True, responses=NOT_FOUND)
    def distribution(self, wanted: GivenFilter, store: GivenStore) -> Distribution:
        """Return the number of signals of each skill and each category, the most frequent first."""
        return store.signal_distribution(wanted)

    @get("/momentum", operation_id="getSignalMomentum", sync_to_thread=True, responses=NOT_FOUND)
    def momentum(
        self, wanted: GivenFilter, store: GivenStore, bucket: FromQuery[Bucket] = "day", window: Window = "30 days"
    ) -> Momentum:
        """Return signals by time bucket, including empty ones, and the change from the previous period."""
        return store.signal_momentum(wanted, bucket=bucket, window=parse_window(window))

    @get("/activity", operation_id="getSignalActivity", sync_to_thread=True, responses=NOT_FOUND)
    def activity(self, wanted: GivenFilter, store: GivenStore, cursor: Cursor = None, limit: Limit = 50) -> Activity:
        """Return signals, newest first."""
        return store.signal_activity(wanted, cursor=cursor, limit=limit)
