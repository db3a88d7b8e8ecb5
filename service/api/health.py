"""Whether the service lives, is ready, and is well."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Controller, Response, get

from service.api.dependencies import GivenEncoders, GivenStore
from service.search.encoders import Encoders
from store.contract.operations import StoreHealth
from store.protocol import Store


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of every part; `problems` is empty when all is well."""

    status: Literal["ok", "degraded", "not ready"]
    problems: list[str]
    runtime: str | None
    store: StoreHealth


class HealthController(Controller):
    """For people and for whoever restarts processes."""

    path = "/health"
    tags = ["operations"]

    @get("/live", operation_id="getLiveness", sync_to_thread=False)
    def live(self) -> Liveness:
        """Say that the process answers."""
        return Liveness()

    @get("/ready", operation_id="getReadiness", sync_to_thread=True)
    def ready(self, store: GivenStore, encoders: GivenEncoders) -> Response[Health]:
        """Answer 200 when queries can be answered, else 503 with what is missing."""
        health = _health(store, encoders)
        return Response(health, status_code=503 if health.status == "not ready" else 200)

    @get(operation_id="getHealth", sync_to_thread=True)
    def health(self, store: GivenStore, encoders: GivenEncoders) -> Health:
        """Return the state of every part."""
        return _health(store, encoders)


def _health(store: Store, encoders: Encoders) -> Health:
    state = store.health()
    problems = list(state.problems)
    runtime = None
    if state.model_id is not None:
        _, problem = encoders.for_model(state.model_id)
        runtime = encoders.runtime(state.model_id)
        problems += [problem] if problem else []
    status: Literal["ok", "degraded", "not ready"] = "degraded" if problems else "ok"
    return Health(
        status="not ready" if state.generation is None else status, problems=problems, runtime=runtime, store=state
    )
