"""How numbers read in sentences: what every message of the service shares."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: float, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 search``, ``2 searches``, ``1,200 uses``.

    Parameters
    ----------
    number : float
        A count; shown without decimals.
    singular, plural : str
        The noun; without a plural it ends in ``s``.
    """
    shown = f"{number:,.0f}"
    return f"{shown} {singular if shown == '1' else plural or singular + 's'}"


def percent(share: float) -> str:
    """Return a share as a percentage without decimals."""
    return f"{100 * share:.0f}%"


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
