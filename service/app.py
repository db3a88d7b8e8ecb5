"""Puts the parts together: one application for one data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from anyio import create_task_group, sleep, to_thread
from litestar import Litestar
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin

from service import VERSION
from service.analysis.aggregation import Aggregation
from service.analysis.engine import Analysis
from service.api.health import HealthController
from service.api.index import IndexController
from service.api.insights import AggregateController, InsightController
from service.api.metrics import MetricsController, WorkflowPathController
from service.api.overlaps import OverlapController
from service.api.problems import problem_details
from service.api.projects import MentorshipController, ProgressUpdateController, ProjectController
from service.api.search import SearchController
from service.api.signals import SignalController
from service.api.skills import SkillController
from service.api.tracking import InvocationController, SessionController
from service.api.workflows import WorkflowController, WorkflowEventController
from service.catalogue.indexing import Indexing
from service.logs import request_log
from service.ranking.exploration import Exploration
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import Settings
from service.upkeep import sweep
from store.errors import StoreUnavailable
from store.protocol import Store
from store.sqlite import open_store

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
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

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        await to_thread.run_sync(_warm_up, store, encoders, searching)
        async with create_task_group() as tasks:
            tasks.start_soon(_sweep, store, searching, settings)
            if settings.aggregate_hours is not None:
                tasks.start_soon(_aggregate, aggregation, settings.aggregate_hours)
            if watch:
                tasks.start_soon(indexing.watch)
            yield
            tasks.cancel_scope.cancel()
        # What runs on is stopped at a document's border; what was accepted is committed before the file is let go.
        await to_thread.run_sync(indexing.close)
        await to_thread.run_sync(store.close)

    return Litestar(
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
        ],
        dependencies={
            "store": Provide(lambda: store, sync_to_thread=False),
            "encoders": Provide(lambda: encoders, sync_to_thread=False),
            "indexing": Provide(lambda: indexing, sync_to_thread=False),
            "searching": Provide(lambda: searching, sync_to_thread=False),
            "aggregation": Provide(lambda: aggregation, sync_to_thread=False),
            "analysis": Provide(lambda: analysis, sync_to_thread=False),
        },
        lifespan=[running],
        plugins=[problem_details()],
        middleware=[DefineMiddleware(request_log)],
        # The process configures logging, not the framework.
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="skillrank",
            version=VERSION,
            use_handler_docstrings=True,
            description="Which skill should I use? Ranked by meaning and by what really happened.",
            # The other renderers load scripts from somebody else's server.
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), YamlRenderPlugin(path="/openapi.yaml")],
        ),
    )


def _warm_up(store: Store, encoders: Encoders, searching: SkillSearch) -> None:
    store.refresh()
    generation = store.live_generation()
    if generation is not None:
        encoders.for_model(generation.model_id)
        searching.learning.book(generation.model_id, generation.dimension)


async def _sweep(store: Store, searching: SkillSearch, settings: Settings) -> None:
    while True:
        try:
            done = await to_thread.run_sync(sweep, store, searching.learning, settings)
        except StoreUnavailable as error:
            _log.warning("the sweep could not run", reason=str(error))
        else:
            if any(msgspec.structs.astuple(done)):
                _log.info("swept", **msgspec.structs.asdict(done))
        await sleep(SWEEP_EVERY_S)


async def _aggregate(aggregation: Aggregation, every_hours: float) -> None:
    while True:
        try:
            done = await to_thread.run_sync(aggregation.refresh)
        except StoreUnavailable as error:
            _log.warning("uses could not be aggregated", reason=str(error))
        else:
            _log.info("aggregated", rows=done.rows_read, days=done.days_touched, skipped=len(done.skipped))
        await sleep(3600.0 * every_hours)
