"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: ``1 search``, ``1,200 searches``. Without `many` the plural is formed with -s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
