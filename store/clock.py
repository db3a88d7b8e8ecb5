"""The clock, and the form in which times are stored: UTC text of fixed width, which sorts as time does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from store.errors import InvalidRecord

Clock = Callable[[], datetime]

_STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def system_clock() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Return `moment` as 27 characters, such as ``2026-01-31T23:59:59.000000Z``; a naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # strftime does not pad years below 1000 on every platform; isoformat always does.
    return aware.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is taken as UTC.

    Raises
    ------
    InvalidRecord
        When `text` is not an ISO 8601 time.
    """
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRecord(f"{text!r} is not an ISO 8601 time such as 2026-01-31T23:59:59Z", field="time") from error


def normalise_time(text: str) -> str:
    """Return any ISO 8601 time in the store's form."""
    moment = read_time(text)
    return text if _STORED.fullmatch(text) else format_time(moment)
