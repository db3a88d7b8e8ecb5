"""Index runs inside the service: one at a time, in the background, asked for or caused by a change on disk."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import anyio
import msgspec
import structlog
import watchfiles
from anyio import to_thread

from indexer.discovery import DOCUMENT_NAME
from indexer.report import IndexReport, Progress
from indexer.run import run_index
from migrations.errors import SkillrankError
from service.catalogue.staleness import stale_documents
from service.search.encoders import Encoders
from store.contract.catalogue import Generation, IndexRun
from store.errors import InvalidRecord, NotFound
from store.protocol import Store

KEPT_JOBS: Final = 20
_RETRY_WATCH_S: Final = 10.0

_log = structlog.get_logger(__name__)


class IndexBusy(SkillrankError):
    """Another index run is under way.

    Attributes
    ----------
    job_id : str
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"index job {job_id} is under way; wait for it at /api/index/jobs/{job_id}")
        self.job_id = job_id


class IndexJob(msgspec.Struct, kw_only=True):
    """One run in this process."""

    id: str
    status: Literal["running", "done", "stopped", "failed"]
    roots: list[str]
    progress: Progress | None = None
    report: IndexReport | None = None
    error: str | None = None


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, what is being built, and what the last run did."""

    served: int
    removed: int
    roots: list[str]
    live: Generation | None
    building: Generation | None
    last_run: IndexRun | None
    running_job: str | None
    stale: list[str]
    """Served documents whose file changed or vanished since they were indexed."""


class Indexing:
    """Runs index jobs on one store.

    Parameters
    ----------
    store : Store
    encoders : Encoders
    """

    def __init__(self, store: Store, encoders: Encoders) -> None:
        self._store = store
        self._encoders = encoders
        self._lock = threading.Lock()
        self._jobs: dict[str, IndexJob] = {}
        self._running: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self, roots: Sequence[Path]) -> IndexJob:
        """Start a run over `roots`, or over those of the last run.

        Raises
        ------
        IndexBusy
            When one is under way.
        InvalidRecord
            When no root is given and none is known, or one does not exist.
        """
        wanted = list(roots) or [Path(root) for root in self._store.roots()]
        if not wanted:
            raise InvalidRecord("no root was ever indexed: name the folders to index in `roots`", field="roots")
        for root in roots:
            if not root.exists():
                raise InvalidRecord(f"{root} does not exist on the service's machine", field="roots")
        with self._lock:
            for job in self._jobs.values():
                if job.status == "running":
                    raise IndexBusy(job.id)
            job = IndexJob(id=str(uuid.uuid4()), status="running", roots=[str(root) for root in wanted])
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-KEPT_JOBS]:
                del self._jobs[old]
            self._running = threading.Thread(target=self._work, args=(job, wanted), name="skillrank-indexing")
            self._running.start()
        return job

    def job(self, job_id: str) -> IndexJob:
        """Return a run of this process. Raises `NotFound`."""
        found = self._jobs.get(job_id)
        if found is None:
            raise NotFound("index job", job_id)
        return found

    def status(self) -> IndexStatus:
        """Return the state of the index."""
        served, removed = self._store.counts()
        running = next((job.id for job in self._jobs.values() if job.status == "running"), None)
        return IndexStatus(
            served=served,
            removed=removed,
            roots=self._store.roots(),
            live=self._store.live_generation(),
            building=self._store.building_generation(),
            last_run=self._store.last_run(),
            running_job=running,
            stale=stale_documents(self._store),
        )

    async def watch(self) -> None:
        """Re-index whenever a skill document below the indexed roots changes; never returns."""
        while True:
            roots = await to_thread.run_sync(self._present_roots)
            if not roots:
                await anyio.sleep(_RETRY_WATCH_S)
                continue
            _log.info("watching for changes", roots=roots)
            try:
                async for _ in watchfiles.awatch(*roots, watch_filter=_concerns_skills, stop_event=anyio.Event()):
                    await self._run_when_free()
            except OSError as error:  # a root was removed, or the system has no more watches to give
                _log.warning("watching stopped; trying again", reason=str(error))
                await anyio.sleep(_RETRY_WATCH_S)

    def close(self) -> None:
        """Stop a run at the border of a batch and wait for it."""
        self._stop.set()
        if self._running is not None:
            self._running.join()

    def _present_roots(self) -> list[str]:
        return [root for root in self._store.roots() if Path(root).exists()]

    async def _run_when_free(self) -> None:
        while True:
            try:
                await to_thread.run_sync(self.start, ())
            except IndexBusy:
                await anyio.sleep(0.2)
            except SkillrankError as error:
                _log.warning("a change could not be indexed", reason=str(error))
                return
            else:
                return

    def _work(self, job: IndexJob, roots: list[Path]) -> None:
        def note(progress: Progress) -> None:
            job.progress = progress

        present = [root for root in roots if root.exists()]
        try:
            job.report = run_index(
                self._store, self._encoders, present, on_progress=note, should_stop=self._stop.is_set
            )
        except SkillrankError as error:
            job.error, job.status = str(error), "failed"
            _log.warning("index run failed", job_id=job.id, reason=str(error))
        except Exception as error:  # noqa: BLE001  the thread's border: it is logged, and the job tells
            job.error, job.status = f"internal error: {type(error).__name__}", "failed"
            _log.exception("index run failed", job_id=job.id)
        else:
            job.status = "done" if job.report.complete else "stopped"
            _log.info(
                "index run done",
                job_id=job.id,
                added=job.report.added,
                changed=job.report.changed,
                removed=job.report.removed,
                unchanged=job.report.unchanged,
                seconds=job.report.seconds,
            )


def _concerns_skills(_: watchfiles.Change, path: str) -> bool:
    # A folder that is moved in or out is one event for all that lies in it, so whatever is no file counts too.
    name = Path(path).name
    return name.lower() == DOCUMENT_NAME or "." not in name
