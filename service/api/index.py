"""Re-indexing in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenIndexing
from service.catalogue.indexing import IndexJob, IndexStatus


class StartIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The roots to index; none means all that were indexed before."""

    roots: list[Annotated[str, msgspec.Meta(min_length=1)]] = []


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
        """Return the progress of an index run, and its report when it is done."""
        return indexing.job(job_id)

    @get("/status", operation_id="getIndexStatus", sync_to_thread=True)
    def status(self, indexing: GivenIndexing) -> IndexStatus:
        """Return what is indexed, the report of the last run, and which documents have changed since."""
        return indexing.status()
