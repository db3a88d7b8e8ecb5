"""Builds the HTTP application of one data folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from anyio import create_task_group, to_thread
from litestar import Litestar
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig

from service import VERSION
from service.analysis.aggregation import Aggregation
from service.analysis.engine import Analysis
from service.api.access import Access, access_control
from service.api.bodies import MAX_BODY_BYTES, JsonRequest
from service.api.health import HealthController
from service.api.index import IndexController
from service.api.insights import AggregateController, InsightController
from service.api.load import THREADS, Load
from service.api.metrics import MetricsController, WorkflowPathController
from service.api.overlaps import OverlapController
from service.api.problems import problem_details
from service.api.projects import MentorshipController, ProgressUpdateController, ProjectController
from service.api.schema import JsonSchema, YamlSchema
from service.api.search import SearchController
from service.api.signals import SignalController
from service.api.skills import SkillController
from service.api.tracking import InvocationController, SessionController
from service.api.transport import head_and_options, segments_kept, slashes_restored
from service.api.workflows import WorkflowController, WorkflowEventController
from service.catalogue.indexing import Indexing
from service.logs import request_log
from service.mcp.http import mount_mcp
from service.ranking.exploration import Exploration
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import Settings
from service.upkeep import Background, back_up, backup_due_s, sweep
from store.protocol import Store
from store.sqlite import open_store

SWEEP_EVERY_S: Final = 600.0

_log = structlog.get_logger(__name__)


def create_app(settings: Settings, *, watch: bool = False) -> Litestar:
    """Make the service over the data in ``settings.data_dir``.

    Parameters
    ----------
    settings : Settings
    watch : bool
        Re-index when documents under the indexed roots change.

    Raises
    ------
    SchemaMismatch, StoreUnavailable
        When the database cannot be opened.
    """
    store: Store = open_store(settings.database, keep_queries=settings.keep_queries)
    encoders = Encoders(settings.model, settings.models_dir)
    indexing = Indexing(store, encoders)
    searching = SkillSearch(
        store,
        encoders,
        exploration=Exploration(share=settings.explore_share),
        correct=settings.correct,
    )
    aggregation, analysis = Aggregation(store), Analysis(store)
    background = Background()
    speak_mcp, speaking_mcp = mount_mcp(store, searching)

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        # The default has few threads on a small machine, and one slow write in each would stop every read.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "skillrank-request"))
        await to_thread.run_sync(_warm_up, store, encoders, searching)
        async with create_task_group() as tasks:
            tasks.start_soon(
                partial(
                    background.repeat,
                    "the sweep",
                    partial(_sweep, store, searching, settings),
                    every_s=SWEEP_EVERY_S,
                )
            )
            if settings.aggregate_hours is not None:
                tasks.start_soon(
                    partial(
                        background.repeat,
                        "the aggregation",
                        partial(_aggregate, aggregation),
                        every_s=3600.0 * settings.aggregate_hours,
                    )
                )
            if settings.backup_hours is not None:
                tasks.start_soon(
                    partial(
                        background.repeat,
                        "the backup",
                        partial(_back_up_when_due, store, settings, settings.backup_hours),
                        every_s=min(SWEEP_EVERY_S, 3600.0 * settings.backup_hours),
                    )
                )
            if watch:
                tasks.start_soon(background.keep, "watching for changes", indexing.watch)
            yield
            tasks.cancel_scope.cancel()
        # A running index job stops after its current document; accepted writes are committed before the file closes.
        await to_thread.run_sync(indexing.close)
        await to_thread.run_sync(store.close)

    return _Service(
        access=Access(settings.host, settings.allowed_hosts.split(",") if settings.allowed_hosts else ()),
        route_handlers=[
            SearchController,
            SkillController,
            OverlapController,
            IndexController,
            SessionController,
            InvocationController,
            WorkflowEventController,
            WorkflowController,
            MetricsController,
            WorkflowPathController,
            ProjectController,
            ProgressUpdateController,
            MentorshipController,
            SignalController,
            AggregateController,
            InsightController,
            HealthController,
            speak_mcp,
        ],
        dependencies={
            "store": Provide(lambda: store, sync_to_thread=False),
            "encoders": Provide(lambda: encoders, sync_to_thread=False),
            "indexing": Provide(lambda: indexing, sync_to_thread=False),
            "searching": Provide(lambda: searching, sync_to_thread=False),
            "aggregation": Provide(lambda: aggregation, sync_to_thread=False),
            "analysis": Provide(lambda: analysis, sync_to_thread=False),
            "background": Provide(lambda: background, sync_to_thread=False),
        },
        lifespan=[running, speaking_mcp],
        plugins=[problem_details()],
        middleware=[DefineMiddleware(slashes_restored)],
        request_class=JsonRequest,
        # The process configures logging, not the framework.
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="skillrank",
            version=VERSION,
            use_handler_docstrings=True,
            description="Find the skill for a task, ranked by meaning and by how its past uses ended.",
            # The other renderers load scripts from other servers.
            render_plugins=[JsonSchema(path=["/", "/openapi.json"]), YamlSchema(path="/openapi.yaml")],
        ),
    )


class _Service(Litestar):
    """The application behind what every request passes before it is routed."""

    def __init__(self, *, access: Access, **options: Any) -> None:
        super().__init__(**options)
        methods: dict[str, set[str]] = {}
        for route in self.routes:
            methods.setdefault(route.path_format, set()).update(getattr(route, "methods", ()))
        routed = segments_kept(super().__call__)
        limited = Load(head_and_options(routed, methods), max_body_bytes=MAX_BODY_BYTES)
        self._front = request_log(access_control(limited, access))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or follow the life of the server."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
        else:
            await self._front(scope, receive, send)


def _warm_up(store: Store, encoders: Encoders, searching: SkillSearch) -> None:
    store.refresh()
    generation = store.live_generation()
    if generation is not None:
        encoders.for_model(generation.model_id)
        searching.learning.book(generation.model_id, generation.dimension)


def _sweep(store: Store, searching: SkillSearch, settings: Settings) -> None:
    done = sweep(store, searching.learning, settings)
    if any(msgspec.structs.astuple(done)):
        _log.info("swept", **msgspec.structs.asdict(done))


def _aggregate(aggregation: Aggregation) -> None:
    done = aggregation.refresh()
    _log.info("aggregated", rows=done.rows_read, days=done.days_touched, skipped=len(done.skipped))


def _back_up_when_due(store: Store, settings: Settings, every_hours: float) -> None:
    # Looked at again and again: a backup that somebody else made counts, and a clock may be corrected.
    if backup_due_s(settings, every_hours) == 0:
        report, pruned = back_up(store, settings, moment=datetime.now(UTC))
        _log.info("backed up", path=report.path, bytes=report.size_bytes, pruned=len(pruned))
