"""Whether the process runs, whether it can answer queries, and whether anything is wrong."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.openapi.datastructures import ResponseSpec

from service.api.dependencies import GivenBackground, GivenEncoders, GivenStore
from service.search.encoders import Encoders
from service.upkeep import Background
from store.contract.operations import StoreHealth
from store.protocol import Store


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of every part. `problems` is empty when nothing is wrong.

    The status is ``not ready`` while nothing is indexed, and ``degraded`` while there is any other problem: a document
    without a vector, a model that cannot be loaded, writes that fail, a disk that is full or nearly so, or a background
    task that fails.
    """

    status: Literal["ok", "degraded", "not ready"]
    problems: list[str]
    runtime: str | None
    store: StoreHealth


_NOT_READY: Final = {503: ResponseSpec(Health, description="Queries cannot be answered.", generate_examples=False)}


class HealthController(Controller):
    """Health checks for people, load balancers and process managers."""

    path = "/health"
    tags = ["operations"]

    @get("/live", operation_id="getLiveness", sync_to_thread=False)
    def live(self) -> Liveness:
        """Answer 200 while the process runs."""
        return Liveness()

    @get("/ready", operation_id="getReadiness", sync_to_thread=True, responses=_NOT_READY)
    def ready(self, store: GivenStore, encoders: GivenEncoders, background: GivenBackground) -> Response[Health]:
        """Answer 200 when queries can be answered, otherwise 503 with the reasons."""
        health = _health(store, encoders, background)
        return Response(health, status_code=503 if health.status == "not ready" else 200)

    @get(operation_id="getHealth", sync_to_thread=True)
    def health(self, store: GivenStore, encoders: GivenEncoders, background: GivenBackground) -> Health:
        """Return the state of every part."""
        return _health(store, encoders, background)


def _health(store: Store, encoders: Encoders, background: Background) -> Health:
    state = store.health()
    problems = [*state.problems, *background.problems()]
    runtime = None
    if state.model_id is not None:
        _, problem = encoders.for_model(state.model_id)
        runtime = encoders.runtime(state.model_id)
        problems += [problem] if problem else []
    status: Literal["ok", "degraded", "not ready"] = "degraded" if problems else "ok"
    return Health(
        status="not ready" if state.generation is None else status, problems=problems, runtime=runtime, store=state
    )
