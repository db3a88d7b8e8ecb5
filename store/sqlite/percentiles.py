"""Exact percentiles of the durations of completed uses, by linear interpolation between closest ranks.

A percentile p needs at least 1 / (1 - p) durations before a value can lie above it: 2 for the median, 20 for p95,
100 for p99. With fewer it is NULL, since it would only be the maximum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import apsw

from store.sqlite.rows import rows, value

NEEDED: Final = {0.50: 2, 0.95: 20, 0.99: 100}

_COUNT: Final = """
SELECT count(*) FROM skill_outcome
WHERE skill_name = ? AND outcome = 'completed' AND duration_seconds IS NOT NULL
"""
_NTH: Final = """
SELECT duration_seconds FROM skill_outcome
WHERE skill_name = ? AND outcome = 'completed' AND duration_seconds IS NOT NULL
ORDER BY duration_seconds LIMIT 2 OFFSET ?
"""
_STORE: Final = """
UPDATE skill_metrics SET p50_duration_seconds = ?, p95_duration_seconds = ?, p99_duration_seconds = ?,
                         percentile_count = ?
WHERE skill_name = ?
"""


def refresh_percentiles(connection: apsw.Connection, skill_names: Iterable[str]) -> None:
    """Recompute the percentiles of `skill_names` inside the caller's transaction."""
    for name in skill_names:
        count = value(connection, _COUNT, (name,))
        figures = [
            _percentile(connection, name, fraction, count) if count >= needed else None
            for fraction, needed in NEEDED.items()
        ]
        connection.execute(_STORE, (*figures, count, name))


def _percentile(connection: apsw.Connection, name: str, fraction: float, count: int) -> float:
    rank = (count - 1) * fraction
    below = math.floor(rank)
    values = [row[0] for row in rows(connection, _NTH, (name, below))]
    low, high = values[0], values[-1]
    return float(low + (rank - below) * (high - low))
