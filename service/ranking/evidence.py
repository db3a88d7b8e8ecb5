"""How much one recorded use counts: rows of sums that may be added in any order.

There is a row for each skill, version of its document, cell of queries, and slot of reporters. Slots make it possible
to recognise many reports by one reporter without a row for every person.
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
# forgotten or given up, and a cancellation says nothing about the skill.
FAILURE_WEIGHT: Final = {"failed": 1.0, "abandoned": 0.5, "cancelled": 0.0}

REPORTER_SLOTS: Final = 32
NO_CELL: Final = -1
ANY_VERSION: Final = -1
_SECONDS_RANGE: Final = (0.1, 1e7)


class Stat(IntEnum):
    """The columns of evidence: sums of decay weights times the named quantity.

    `SQUARED` is the sum of the squared weights of successes and failures, from which the effective number of uses
    follows.
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
        The version of the document; `ANY_VERSION` when unknown.
    cell : int
        The cell of the query (`cells.cells_of`); `NO_CELL` without a query.
    reporter : str
        The user who reports it, or else the session.
    outcome : str
        completed, failed, abandoned or cancelled.
    seconds : float or None
        How long it took; None for uses that the sweep or the end of a session closed.
    day : float
        Days since the landmark of `decay`.
    passed_over : tuple of str
        Skills above it in the served list that were not chosen.
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
    """Return the evidence of these uses, one row for each key, in the order of the keys.

    A completed use of a skill chosen over others counts as one PREFERRED for that skill and as one PASSED_OVER for each
    skill above it. Skills below the choice may not have been seen, so nothing is counted for them.
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
            # The task was not completed in this time: completing it would have taken longer.
            counted[[Stat.CENSORED, Stat.CENSORED_LOG_SECONDS]] = 1.0, log_seconds
    return counted
