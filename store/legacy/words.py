"""Numbers in sentences."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the plural where that is due."""
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"
