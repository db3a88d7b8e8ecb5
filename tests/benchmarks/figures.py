"""How figures are taken and printed: medians over repeated runs, with their spread."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def line(name: str, values: Sequence[float], unit: str, *, scale: float = 1.0) -> str:
    """Write the median and the quartiles of `values`."""
    scaled = [value * scale for value in values]
    middle = statistics.median(scaled)
    low, _, high = statistics.quantiles(scaled, n=4) if len(scaled) > 1 else (middle, middle, middle)
    return f"{name:<62} {middle:>10.2f} {unit:<6} (quartiles {low:.2f} to {high:.2f}, n={len(scaled)})"


def verdict(name: str, ratio: float, aim: float, *, at_most: bool) -> str:
    """Write a ratio beside its aim."""
    met = ratio <= aim if at_most else ratio >= aim
    return f"{name:<62} {ratio:>10.2f}        aim {'≤' if at_most else '≥'} {aim}: {'met' if met else 'MISSED'}"


def resident_mb() -> float:
    """Return the memory that this process holds, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
