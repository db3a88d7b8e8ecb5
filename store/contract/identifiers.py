"""The one rule for ids that callers choose: whatever has such an id can be addressed by a URL path."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from store.errors import InvalidRecord

MAX_ID_CHARACTERS: Final = 200
_DOT_SEGMENTS: Final = frozenset({".", ".."})

RecordId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        pattern=r"^(?!\.{1,2}$)[^/]*[^/\s][^/]*$",
        description="1 to 200 characters, not all blank, without a slash, and neither `.` nor `..`.",
    ),
]
"""The id of a record: of an invocation, a session, a project, a workflow event, or a mentorship session."""


def checked_id(identifier: str, field: str = "id") -> str:
    """Return `identifier` if it can be the id of a record.

    Raises
    ------
    InvalidRecord
        When it is blank or too long, or when no URL path can hold it.
    """
    if not identifier.strip() or len(identifier) > MAX_ID_CHARACTERS:
        raise InvalidRecord(f"{field} must have 1 to {MAX_ID_CHARACTERS} characters, not all blank", field=field)
    if "/" in identifier or identifier in _DOT_SEGMENTS:
        raise InvalidRecord(
            f"{field} must not hold a slash, and must not be '.' or '..', since ids are parts of URL paths", field=field
        )
    return identifier
