"""Re-indexing in the background."""

from __future__ import annotations

from pathlib import Path

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenIndexing
from service.catalogue.indexing import IndexJob, IndexStatus


class StartIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which roots to index; none means those of the last run."""

    roots: list[str] = []


class IndexController(Controller):
    """Index runs and the state of the index."""

    path = "/api/index"
    tags = ["index"]

    @post(operation_id="startIndex", status_code=202, sync_to_thread=True)
    def start(self, indexing: GivenIndexing, data: JSONBody[StartIndex | None] = None) -> IndexJob:
        """Re-index in the background."""
        return indexing.start([Path(root) for root in (data or StartIndex()).roots])

    @get("/jobs/{job_id:str}", operation_id="getIndexJob", sync_to_thread=False)
    def job(self, job_id: FromPath[str], indexing: GivenIndexing) -> IndexJob:
        """Return how far an index run is, and its report when it is done."""
        return indexing.job(job_id)

    @get("/status", operation_id="getIndexStatus", sync_to_thread=True)
    def status(self, indexing: GivenIndexing) -> IndexStatus:
        """Return what is indexed, the last run's report, and which documents changed since."""
        return indexing.status()
