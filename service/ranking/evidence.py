"""What one recorded use adds to what is believed: rows of sums that may be added in any order.

A row is kept for each skill, version of its document, cell of queries, and slot of reporters. Slots are what lets
one reporter's many reports be recognised without keeping a row for every person.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.decay import decay_weight

# How much a use that did not complete counts as a failure of the skill. A use that was left open may have been
# forgotten as well as given up; somebody who cancels says nothing about the skill.
FAILURE_WEIGHT: Final = {"failed": 1.0, "abandoned": 0.5, "cancelled": 0.0}

REPORTER_SLOTS: Final = 32
NO_CELL: Final = -1
ANY_VERSION: Final = -1
_SECONDS_RANGE: Final = (0.1, 1e7)


class Stat(IntEnum):
    """The columns of evidence: sums of decay weights, times what the name says.

    `SQUARED` is the sum of the squares of what successes and failures weigh, which tells how many uses stand behind
    them.
    """

    SUCCESS = 0
    FAILURE = 1
    TIMED = 2
    LOG_SECONDS = 3
    LOG_SECONDS_SQUARED = 4
    CENSORED = 5
    CENSORED_LOG_SECONDS = 6
    PREFERRED = 7
    PASSED_OVER = 8
    SQUARED = 9


@dataclass(frozen=True, slots=True)
class Use:
    """One finished use of a skill.

    Attributes
    ----------
    skill_name : str
    version : int
        Which content of the document; `ANY_VERSION` when unknown.
    cell : int
        Where the query lies (`cells.cells_of`); `NO_CELL` without a query.
    reporter : str
        Who reports: a user, or else a session.
    outcome : str
        completed, failed, abandoned or cancelled.
    seconds : float or None
        How long it took, where somebody watched it: not for uses that were swept up.
    day : float
        Days since the landmark of `decay`.
    passed_over : tuple of str
        Skills that stood above it in the served list and were not taken.
    """

    skill_name: str
    version: int
    cell: int
    reporter: str
    outcome: str
    seconds: float | None
    day: float
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceRows:
    """Sums by skill, version, cell and slot.

    Attributes
    ----------
    skill_names : list of str, n of them
    versions, cells, slots : int64 (n,)
    sums : float64 (n, len(Stat))
    """

    skill_names: list[str]
    versions: NDArray[np.int64]
    cells: NDArray[np.int64]
    slots: NDArray[np.int64]
    sums: NDArray[np.float64]


def slot_of(reporter: str) -> int:
    """Return the reporter's slot, in [0, `REPORTER_SLOTS`), the same in every process."""
    return zlib.crc32(reporter.encode()) % REPORTER_SLOTS


def evidence_of(uses: Iterable[Use]) -> EvidenceRows:
    """Return what these uses add, one row for each key, in the order of the keys.

    A completed use preferred over others is evidence for the pair: it counts as one PREFERRED for the skill, and as
    one PASSED_OVER for each skill above it. What stood below the choice may not have been seen and gets nothing.
    """
    sums: dict[tuple[str, int, int, int], NDArray[np.float64]] = {}

    def row(name: str, version: int, use: Use) -> NDArray[np.float64]:
        return sums.setdefault((name, version, use.cell, slot_of(use.reporter)), np.zeros(len(Stat)))

    for use in uses:
        weight = float(decay_weight(use.day))
        counted = weight * _of_one(use)
        counted[Stat.SQUARED] = (counted[Stat.SUCCESS] + counted[Stat.FAILURE]) ** 2
        row(use.skill_name, use.version, use)[:] += counted
        if use.outcome == "completed" and use.passed_over:
            row(use.skill_name, use.version, use)[Stat.PREFERRED] += weight
            for name in use.passed_over:
                row(name, ANY_VERSION, use)[Stat.PASSED_OVER] += weight
    keys = sorted(sums)
    return EvidenceRows(
        skill_names=[key[0] for key in keys],
        versions=np.array([key[1] for key in keys], dtype=np.int64),
        cells=np.array([key[2] for key in keys], dtype=np.int64),
        slots=np.array([key[3] for key in keys], dtype=np.int64),
        sums=np.array([sums[key] for key in keys], dtype=np.float64).reshape(-1, len(Stat)),
    )


def _of_one(use: Use) -> NDArray[np.float64]:
    counted = np.zeros(len(Stat))
    if use.outcome == "completed":
        counted[Stat.SUCCESS] = 1.0
    else:
        counted[Stat.FAILURE] = FAILURE_WEIGHT[use.outcome]
    if use.seconds is not None:
        log_seconds = math.log(min(max(use.seconds, _SECONDS_RANGE[0]), _SECONDS_RANGE[1]))
        if use.outcome == "completed":
            counted[[Stat.TIMED, Stat.LOG_SECONDS, Stat.LOG_SECONDS_SQUARED]] = 1.0, log_seconds, log_seconds**2
        else:
            # It did not get done in this time: completing would have taken longer.
            counted[[Stat.CENSORED, Stat.CENSORED_LOG_SECONDS]] = 1.0, log_seconds
    return counted
