"""Index jobs and the state of the index."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenIndexing, ServerPath, paths_of
from service.api.schema import CONFLICT
from service.catalogue.indexing import IndexJob, IndexStatus


class StartIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The folders to index. Without any, the roots of the last run are indexed again."""

    roots: Annotated[list[ServerPath], msgspec.Meta(max_length=1_000)] = []


class IndexController(Controller):
    """Index jobs and the state of the index."""

    path = "/api/index"
    tags = ["index"]

    @post(operation_id="startIndex", status_code=202, sync_to_thread=True, responses=CONFLICT)
    def start(self, indexing: GivenIndexing, data: JSONBody[StartIndex | None] = None) -> IndexJob:
        """Start an index job in the background."""
        return indexing.start(paths_of((data or StartIndex()).roots, "roots"))

    @get("/jobs/{job_id:str}", operation_id="getIndexJob", sync_to_thread=False)
    def job(self, job_id: FromPath[str], indexing: GivenIndexing) -> IndexJob:
        """Return the progress of an index job, and its report when it is done."""
        return indexing.job(job_id)

    @get("/status", operation_id="getIndexStatus", sync_to_thread=True)
    def status(self, indexing: GivenIndexing) -> IndexStatus:
        """Return what is indexed, the report of the last run, and the documents that have changed since."""
        return indexing.status()
