"""Divides time into buckets that begin at whole UTC minutes, hours, days or weeks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from store.contract.metrics import Bucket
from store.errors import InvalidRecord

MAX_BUCKETS: Final = 10_000
BUCKET_S: Final[dict[Bucket, int]] = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
# Weeks begin on Mondays; the epoch was a Thursday, three days after one.
WEEK_OFFSET_S: Final = 3 * 86_400


def bucket_starts(since: datetime, until: datetime, bucket: Bucket) -> list[datetime]:
    """Return the starts of the buckets that [since, until) overlaps, and of the one before them, oldest first.

    Raises
    ------
    InvalidRecord
        When the period is empty, or needs more than `MAX_BUCKETS` buckets.
    """
    if since >= until:
        raise InvalidRecord("the period is empty: `since` must be earlier than `until`", field="since")
    step, offset = BUCKET_S[bucket], WEEK_OFFSET_S if bucket == "week" else 0
    first = (int(since.timestamp()) + offset) // step
    # The end is not part of the period, so a bucket that begins there does not count.
    last = (int(until.timestamp()) + offset - (until.microsecond == 0)) // step
    if last - first >= MAX_BUCKETS:
        raise InvalidRecord(
            f"{last - first + 1} buckets are too many (the limit is {MAX_BUCKETS}): take a shorter period or a "
            "larger bucket",
            field="bucket",
        )
    try:
        return [datetime.fromtimestamp(slot * step - offset, UTC) for slot in range(first - 1, last + 1)]
    except (ValueError, OverflowError) as error:
        raise InvalidRecord("the period starts before the calendar begins", field="since") from error
