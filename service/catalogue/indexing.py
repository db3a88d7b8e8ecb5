"""Index runs inside the service: one at a time, in the background, on request or because something changed on disk."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import anyio
import msgspec
import structlog
from anyio import to_thread

from indexer.discovery import Found, Unreadable, root_problem
from indexer.report import IndexReport, Progress
from indexer.run import run_index
from migrations.errors import SkillrankError
from service.catalogue.staleness import stale_documents
from service.catalogue.watching import Picture, Watcher, add_to_picture, picture_of_roots
from service.search.encoders import Encoders
from store.contract.catalogue import Generation, IndexRun
from store.errors import InvalidRecord, NotFound
from store.protocol import Store

KEPT_JOBS: Final = 20
_BUSY_WAIT_S: Final = 0.2

_log = structlog.get_logger(__name__)


class IndexBusy(SkillrankError):
    """Another index run is running.

    Attributes
    ----------
    job_id : str
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"index job {job_id} is running; follow it at /api/index/jobs/{job_id}")
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
    """What is served, what is being built, and the report of the last run."""

    served: int
    removed: int
    roots: list[str]
    live: Generation | None
    building: Generation | None
    last_run: IndexRun | None
    running_job: str | None
    stale: list[str]
    """Served documents whose files have changed or vanished since they were indexed."""


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
        self._watcher: Watcher | None = None
        self._missing: dict[str, str] = {}

    def start(self, roots: Sequence[Path], on_found: Callable[[Found | Unreadable], None] = lambda _: None) -> IndexJob:
        """Start a run over `roots`, or over those that were indexed before; `on_found` is called from its thread.

        Raises
        ------
        IndexBusy
            When one is running.
        InvalidRecord
            When no root is given and none is known, or one cannot be indexed.
        """
        known = [] if roots else self._store.roots()
        if not roots and not known:
            raise InvalidRecord("no root has been indexed yet: name the folders to index in `roots`", field="roots")
        for root in roots:
            problem = root_problem(root)
            if problem is not None:
                raise InvalidRecord(f"{root} cannot be indexed on the service's machine: {problem}", field="roots")
        with self._lock:
            for job in self._jobs.values():
                if job.status == "running":
                    raise IndexBusy(job.id)
            job = IndexJob(
                id=str(uuid.uuid4()), status="running", roots=[str(root) for root in roots] if roots else known
            )
            self._running = threading.Thread(
                target=self._work, args=(job, list(roots), on_found), name="skillrank-indexing"
            )
            self._running.start()
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-KEPT_JOBS]:
                del self._jobs[old]
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
        with self._lock:
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
        """Watch until this is cancelled or the process ends; never returns."""
        await to_thread.run_sync(self.start_watching)
        await anyio.sleep_forever()

    def start_watching(self) -> None:
        """Bring the index up to date now, and again whenever something below its roots changes, until `close`."""
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = Watcher(self._store.roots, self._run_when_free)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching, and a run at the border of a batch; wait for both."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.close()
        if self._running is not None:
            self._running.join()

    def _run_when_free(self) -> Picture | None:
        """Run once no other run of this process is running; return what it found, None when it was not completed."""
        found: Picture = {}
        while not self._stop.is_set():
            try:
                job = self.start((), lambda item: add_to_picture(found, item))
            except IndexBusy:
                self._stop.wait(_BUSY_WAIT_S)
                continue
            if self._running is not None:
                self._running.join()
            if job.status != "done" or job.report is None:
                return None
            return picture_of_roots({root.path: root.reason for root in job.report.roots}) | found
        return None

    def _work(self, job: IndexJob, roots: list[Path], on_found: Callable[[Found | Unreadable], None]) -> None:
        def note(progress: Progress) -> None:
            job.progress = progress

        try:
            report = run_index(
                self._store,
                self._encoders,
                roots,
                on_progress=note,
                should_stop=self._stop.is_set,
                on_found=on_found,
            )
        except SkillrankError as error:
            job.error, job.status = str(error), "failed"
            _log.warning("index run failed", job_id=job.id, reason=str(error))
        except BaseException as error:  # noqa: BLE001  the thread's border: it is logged, and the job must not seem to run
            job.error, job.status = f"internal error: {type(error).__name__}", "failed"
            _log.exception("index run failed", job_id=job.id)
        else:
            job.report = report
            job.status = "done" if report.complete else "stopped"
            _log.info(
                "index run done",
                job_id=job.id,
                added=report.added,
                changed=report.changed,
                removed=report.removed,
                unchanged=report.unchanged,
                seconds=report.seconds,
            )
            self._log_roots(report)

    def _log_roots(self, report: IndexReport) -> None:
        """Log which roots could not be indexed, once for each time that this changes."""
        missing: dict[str, str] = {root.path: root.status for root in report.roots if root.status != "indexed"}
        for path, status in missing.items():
            if self._missing.get(path) != status:
                _log.warning("root not indexed", root=path, status=status)
        self._missing = missing
