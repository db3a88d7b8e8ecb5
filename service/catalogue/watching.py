"""Keeps the index equal to what is on disk, whatever happens to files, folders and roots.

What counts is a comparison: the watcher looks at all roots, and whatever they hold that it has not seen indexed causes
a run. It looks again and again, and at once when the file system reports a change. So a report that is lost, comes for
a folder that no longer exists, or concerns a root that nobody listened to costs a few seconds, never a document.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

import structlog
import watchfiles

from indexer.discovery import (
    SKIPPED_FOLDERS,
    Found,
    RootNotFound,
    Unreadable,
    find_documents,
    is_document_name,
    root_problem,
)
from migrations.errors import SkillrankError

# Looking takes at most this share of the time, and at once after a change a larger one.
_IDLE_SHARE: Final = 0.02
_BUSY_SHARE: Final = 0.2
_WAITING_COUNTS: Final = 0.1
_LEAST_INTERVAL_S: Final = 1.0
_MOST_INTERVAL_S: Final = 60.0
_SETTLE_S: Final = 0.1
_MOST_SETTLE_S: Final = 5.0
_MOST_BACK_OFF_S: Final = 60.0
_LISTEN_MS: Final = 500

_log = structlog.get_logger(__name__)

Picture = dict[str, str]


def take_picture(roots: Sequence[str], should_stop: Callable[[], bool] = lambda: False) -> Picture:
    """Return what lies below the roots: from the path of each document, or of what cannot be read, to its state."""
    problems = {root: root_problem(root) for root in roots}
    picture = picture_of_roots(problems)
    try:
        present = [Path(root) for root, problem in problems.items() if problem is None]
        for item in find_documents(present, should_stop=should_stop):
            add_to_picture(picture, item)
    except RootNotFound as error:  # it vanished just now
        picture[error.root] = str(error)
    return picture


def picture_of_roots(problems: Mapping[str, str | None]) -> Picture:
    """Return the picture of roots alone, from what is wrong with each."""
    return {root: problem or "" for root, problem in problems.items()}


def add_to_picture(picture: Picture, item: Found | Unreadable) -> None:
    """Add what was found below a root."""
    picture[item.path] = f"{item.root} {item.stamp if isinstance(item, Found) else item.reason}"


class Watcher:
    """Calls `run` whenever the roots hold something that the last successful run has not seen.

    Parameters
    ----------
    roots : callable
        Returns the roots to watch; asked every time, so that roots may come and go.
    run : callable
        Brings the index up to date and returns the picture of what it found, None when it could not; called from the
        watcher's thread.
    """

    def __init__(self, roots: Callable[[], Sequence[str]], run: Callable[[], Picture | None]) -> None:
        self._roots = roots
        self._run = run
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="skillrank-watching", daemon=True)
        self._listener: _Listener | None = None
        self._indexed: Picture | None = None
        self._took_s = 0.0
        self._failures = 0

    def start(self) -> None:
        """Begin: the first look always causes a run, since files may have changed while nobody watched."""
        self._thread.start()

    def close(self) -> None:
        """Stop and wait for it. Calling it again, or before `start`, does nothing."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._look()
                except (SkillrankError, OSError) as error:
                    self._failures += 1
                    _log.warning("watching failed; trying again", reason=str(error))
                except Exception:  # noqa: BLE001  a fault here must not end the watching
                    self._failures += 1
                    _log.exception("watching failed; trying again")
                self._rest()
        finally:
            if self._listener is not None:
                self._listener.close()

    def _look(self) -> None:
        roots = list(self._roots())
        if not roots:
            self._indexed = None
            return
        self._listen(roots)
        started, started_cpu = time.perf_counter(), time.thread_time()
        picture = take_picture(roots, self._stop.is_set)
        # On a loaded machine most of the time is spent waiting, which is no reason to look less often.
        waited = time.perf_counter() - started
        self._took_s = max(time.thread_time() - started_cpu, _WAITING_COUNTS * waited)
        if picture == self._indexed or self._stop.is_set():
            self._failures = 0
            return
        # What the run found counts, not what was seen before it: a folder that comes during a run and goes right after
        # it leaves everything as it looked at first.
        self._indexed = self._run()
        self._failures = 0 if self._indexed is not None else self._failures + 1

    def _rest(self) -> None:
        """Wait for the next look: until something is reported, but not for long."""
        if self._failures:
            self._stop.wait(min(2.0 ** (self._failures - 1), _MOST_BACK_OFF_S))
            return
        interval = min(max(_LEAST_INTERVAL_S, self._took_s / _IDLE_SHARE), _MOST_INTERVAL_S)
        if self._wake.wait(interval) and not self._stop.is_set():
            # Changes seldom come alone.
            self._stop.wait(min(max(_SETTLE_S, self._took_s / _BUSY_SHARE), _MOST_SETTLE_S))
        self._wake.clear()

    def _listen(self, roots: Sequence[str]) -> None:
        """Listen to the folders that the roots are now: a root that was deleted and made again is another folder."""
        places = _places(roots)
        if self._listener is not None and self._listener.places == places and self._listener.is_alive():
            return
        if self._listener is not None:
            self._listener.close()
        self._listener = _Listener(places, self._wake)
        self._listener.start()


_Places = tuple[tuple[str, int, int], ...]


def _places(roots: Sequence[str]) -> _Places:
    places = []
    for root in roots:
        try:
            status = os.stat(root)  # noqa: PTH116  with its one call, next to the others' fields
        except (OSError, ValueError):
            continue
        places.append((root, status.st_dev, status.st_ino))
    return tuple(places)


class _Listener(threading.Thread):
    """Sets `wake` when the file system reports a change that may concern a skill; ends when it cannot listen."""

    def __init__(self, places: _Places, wake: threading.Event) -> None:
        super().__init__(name="skillrank-listening", daemon=True)
        self.places = places
        self._wake = wake
        self._stop_event = threading.Event()
        self._deaf = False

    def is_alive(self) -> bool:
        """Return whether it listens, or cannot listen and so need not be started again."""
        return super().is_alive() or self._deaf

    def close(self) -> None:
        """Stop listening and wait for it."""
        self._stop_event.set()
        self.join()

    def run(self) -> None:
        if not self.places:
            self._deaf = True
            return
        try:
            reports = watchfiles.watch(
                *(root for root, _, _ in self.places),
                watch_filter=_may_concern_skills,
                stop_event=self._stop_event,
                debounce=200,
                rust_timeout=_LISTEN_MS,
                raise_interrupt=False,
                ignore_permission_denied=True,
                yield_on_timeout=True,
            )
            for number, changes in enumerate(reports):
                # The first, even without a change, says that it listens now: what changed before was not heard.
                if changes or number == 0:
                    self._wake.set()
        except Exception as error:  # noqa: BLE001  a root vanished, or the system has no more watches to give
            self._deaf = True
            _log.info("the file system reports no changes; looking at intervals", reason=str(error))


def _may_concern_skills(change: watchfiles.Change, path: str) -> bool:
    pure = PurePath(path)
    if not SKIPPED_FOLDERS.isdisjoint(pure.parts[:-1]):
        return False
    if is_document_name(pure.name):
        return True
    if change is watchfiles.Change.modified:
        return False
    # A folder that comes or goes is one event for all that lies in it. What has gone might have been one.
    return change is watchfiles.Change.deleted or not _is_file(path)


def _is_file(path: str) -> bool:
    return Path(path).is_file() and not Path(path).is_symlink()
