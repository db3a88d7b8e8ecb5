"""Recurring work of the service: what to close, learn, forget and back up, and tasks that outlive their errors."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog
from anyio import sleep, to_thread

from migrations.errors import SkillrankError
from service.learning.outcomes import Learning
from service.settings import Settings
from service.work.sessions import end_idle_sessions
from store.contract.operations import BackupReport
from store.protocol import Store
from store.sqlite import KEPT, list_backups, next_backup, prune_backups, remove_leftovers

# Longer limits mean never, and a time so long ago cannot be computed.
_MOST_HOURS: Final = 1e7

RESTART_AFTER_S: Final = 10.0
_REPORTED_S: Final = 60.0

_log = structlog.get_logger(__name__)


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep did.

    Open uses that it abandoned, idle sessions that it ended, skills whose percentiles it computed, and searches and
    uses whose query it forgot.
    """

    abandoned_uses: int
    ended_sessions: int
    refreshed_percentiles: int
    forgotten_searches: int
    forgotten_uses: int


def sweep(store: Store, learning: Learning, settings: Settings) -> Sweep:
    """Close what was left open, learn from it, and forget old queries; a second sweep at once changes nothing."""
    abandoned = store.abandon_stale(_hours(settings.open_limit_hours))
    ended = end_idle_sessions(store, _hours(settings.session_idle_hours))
    percentiles = store.refresh_stale_percentiles()
    # Searches learn from new outcomes themselves; this covers what an import left. It comes before forgetting, because
    # what was learned from a query outlives the query.
    learning.learn_all()
    remove_leftovers(settings.backups_dir)
    searches = uses = 0
    if settings.keep_searches_days is not None:
        old = store.forget_queries(timedelta(days=settings.keep_searches_days))
        searches, uses = old.searches, old.uses
    if not settings.keep_queries:
        words = store.forget_words()
        searches, uses = searches + words.searches, uses + words.uses
    return Sweep(
        abandoned_uses=len(abandoned),
        ended_sessions=len(ended),
        refreshed_percentiles=percentiles,
        forgotten_searches=searches,
        forgotten_uses=uses,
    )


def back_up(store: Store, settings: Settings, *, moment: datetime, keep: int = KEPT) -> tuple[BackupReport, list[Path]]:
    """Add a backup to the data folder's and remove the oldest beyond `keep`; return its report and those removed.

    Raises
    ------
    StoreUnavailable
        When it cannot be written, or an old one cannot be removed.
    """
    report = store.backup(next_backup(settings.backups_dir, moment))
    return report, prune_backups(settings.backups_dir, keep=keep, made=Path(report.path))


def backup_due_s(settings: Settings, every_hours: float) -> float:
    """Return in how many seconds the next backup is due, 0 when it is due now.

    A service that is restarted often makes no more backups for that. A last backup from the future counts as old: the
    clock was wrong then, or is wrong now.
    """
    try:
        made = [path for path in list_backups(settings.backups_dir) if path.name.startswith("skillrank-")]
        age = time.time() - made[-1].stat().st_mtime
    except (IndexError, OSError):
        return 0.0
    return max(every_hours * 3600.0 - age, 0.0) if age >= 0 else 0.0


def _hours(hours: float) -> timedelta:
    return timedelta(hours=min(hours, _MOST_HOURS))


class Background:
    """Runs tasks beside the requests. No error ends a task: it is logged, reported by `problems`, and tried again."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[str, float]] = {}

    def problems(self) -> list[str]:
        """Return which tasks fail at present, and why."""
        now = time.monotonic()
        return [reason for reason, until in list(self._failed.values()) if now < until]

    async def repeat(self, name: str, work: Callable[[], object], *, every_s: float) -> None:
        """Run `work` in a thread every `every_s` seconds; a failure is reported until the next success."""
        while True:
            try:
                await to_thread.run_sync(work)
            except Exception as error:  # noqa: BLE001  the task must go on
                self._report(name, error, until=math.inf)
            else:
                self._failed.pop(name, None)
            await sleep(every_s)

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run`, which does not return, and start it again when it fails; a failure is reported for a minute."""
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001  the task must go on
                self._report(name, error, until=time.monotonic() + _REPORTED_S)
            await sleep(RESTART_AFTER_S)

    def _report(self, name: str, error: Exception, *, until: float) -> None:
        expected = isinstance(error, SkillrankError)
        reason = str(error) if expected else f"internal error: {type(error).__name__}; see the log"
        self._failed[name] = (f"{name} failed ({reason})", until)
        _log.warning("a background task failed", task=name, reason=str(error), exc_info=None if expected else error)
