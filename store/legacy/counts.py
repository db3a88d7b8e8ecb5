"""Counts of how often the two sides of a dual tracker agreed: of this process, and beside the database for good."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from store.clock import Clock, format_time
from store.errors import InvalidRecord
from store.file_lock import locked_file
from store.legacy.json_tracker import replace_file
from store.legacy.migrator import Difference

Side = Literal["json", "database"]
DualPhase = Literal["dual_write", "dual_read"]
COUNTS_NAME: Final = "cutover-counts.json"
_KEPT: Final = 100
_KEPT_IN_FILE: Final = 20

_log = logging.getLogger(__name__)


class DualReport(msgspec.Struct, frozen=True, kw_only=True):
    """How two sides compared so far.

    Attributes
    ----------
    operations : int
        Writes in phase one, comparisons in phase three.
    agreements : int
        Operations without an error and without a difference.
    mismatches : int
        Operations after which the sides differed.
    json_errors, database_errors : int
        Operations that failed on that side.
    since, updated_at, last_fault_at : str or None
        When counting began, the last operation, and the last one that did not agree.
    differences : list of Difference
        The latest ones.
    problems : list of str
        The latest errors.
    """

    operations: int = 0
    agreements: int = 0
    mismatches: int = 0
    json_errors: int = 0
    database_errors: int = 0
    since: str | None = None
    updated_at: str | None = None
    last_fault_at: str | None = None
    differences: list[Difference] = []
    problems: list[str] = []


class Operation(msgspec.Struct, kw_only=True):
    """What one operation on two sides came to."""

    errors: list[tuple[Side, Exception]] = []
    differences: list[Difference] = []


class Tally:
    """Counts operations, from any thread.

    Parameters
    ----------
    phase : {'dual_write', 'dual_read'}
    folder : Path
        Where the counts of all processes are kept, in `COUNTS_NAME`.
    clock : Clock
    """

    def __init__(self, phase: DualPhase, folder: Path, clock: Clock) -> None:
        self._phase: DualPhase = phase
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._report = DualReport()

    def add(self, operation: Operation) -> None:
        """Count one operation, log what went wrong with it, and add it to the counts of all processes."""
        for side, error in operation.errors:
            _log.error("the %s side of a dual operation failed: %s", side, error, exc_info=error)
        if operation.differences:
            _log.error("the two sides differ: %s", operation.differences[0])
        now = format_time(self._clock())
        with self._lock:
            self._report = _added(self._report, operation, now, kept=_KEPT)
        try:
            _add_to_file(self._folder, self._phase, operation, now)
        except (InvalidRecord, OSError) as error:
            # Counting must not keep anybody from tracking.
            _log.warning("the counts in %s could not be updated: %s", self._folder / COUNTS_NAME, error)

    def report(self) -> DualReport:
        """Return the counts of this process."""
        with self._lock:
            return self._report


def read_counts(folder: Path) -> dict[DualPhase, DualReport]:
    """Return the counts of all processes by phase; a phase in which nothing was counted is left out.

    Raises
    ------
    InvalidRecord
        When the file cannot be read.
    """
    path = folder / COUNTS_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[DualPhase, DualReport])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise InvalidRecord(f"{path} cannot be read ({error}); remove it to count anew", field="counts") from error


def _add_to_file(folder: Path, phase: DualPhase, operation: Operation, now: str) -> None:
    path = folder / COUNTS_NAME
    with locked_file(path.with_name(path.name + ".lock")):
        counts = read_counts(folder)
        counts[phase] = _added(counts.get(phase, DualReport()), operation, now, kept=_KEPT_IN_FILE)
        replace_file(path, msgspec.json.encode(counts))


def _added(report: DualReport, operation: Operation, now: str, *, kept: int) -> DualReport:
    failed = [side for side, _ in operation.errors]
    agreed = not failed and not operation.differences
    problems = [f"{side}: {type(error).__name__}: {error}" for side, error in operation.errors]
    return DualReport(
        operations=report.operations + 1,
        agreements=report.agreements + agreed,
        mismatches=report.mismatches + bool(operation.differences),
        json_errors=report.json_errors + ("json" in failed),
        database_errors=report.database_errors + ("database" in failed),
        since=report.since or now,
        updated_at=now,
        last_fault_at=report.last_fault_at if agreed else now,
        differences=_latest(report.differences, operation.differences, kept),
        problems=_latest(report.problems, problems, kept),
    )


def _latest(before: Sequence[Any], new: Sequence[Any], kept: int) -> list[Any]:
    return [*before, *new][-kept:]
