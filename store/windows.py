"""Parses periods of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from store.errors import InvalidRecord

_WINDOW: Final = re.compile(
    r"\s*(?P<count>\d{1,6})\s*(?P<unit>m|min|minutes?|h|hours?|d|days?|w|weeks?)\s*", re.IGNORECASE
)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_window(text: str) -> timedelta:
    """Read ``7 days``, ``36h``, ``2w`` or the like.

    Raises
    ------
    InvalidRecord
        When `text` does not have that form, or is zero.
    """
    match = _WINDOW.fullmatch(text)
    if match is None or int(match["count"]) == 0:
        raise InvalidRecord(f"{text!r} is not a period of time such as '7 days', '36h' or '2w'", field="window")
    return timedelta(**{_UNITS[match["unit"][0].lower()]: int(match["count"])})
