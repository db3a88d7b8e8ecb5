"""Validates uses and outcomes, and adds them to the log."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import timedelta
from typing import Any, Final, NamedTuple

import apsw

from store.clock import format_time, normalise_time, read_time
from store.contract.identifiers import MAX_ID_CHARACTERS
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import InvalidRecord
from store.query_hash import hash_of
from store.sqlite.names import Resolved, resolve
from store.sqlite.project_paths import project_at, project_folders
from store.sqlite.rows import encode

MAX_DURATION_S: Final = 3_153_600_000.0

ADD_SESSION: Final = """
INSERT INTO session(id, project_id, user_id, started_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ADD_START: Final = """
INSERT INTO skill_invocation(id, skill_name, skill_version_id, invoked_at, session_id, user_id, project_id,
                             project_path, workflow_path, workflow_phase, search_id, selection_rank,
                             alternatives_considered, user_query, user_query_hash, user_context, given_name)
VALUES (:id, :skill_name, :skill_version_id, :invoked_at, :session_id, :user_id, :project_id, :project_path,
        :workflow_path, :workflow_phase, :search_id, :selection_rank, :alternatives_considered, :user_query,
        :user_query_hash, :user_context, :given_name)
"""
ADD_OUTCOME: Final = """
INSERT INTO skill_outcome(invocation_id, skill_name, outcome, finished_at, duration_seconds, error_type,
                          follow_up_actions, source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class Started(NamedTuple):
    """A use that was added: its columns, and what its skill's name was resolved to."""

    bindings: dict[str, Any]
    skill: Resolved


def _imported_id(identifier: str) -> str:
    """Return `identifier`, refusing one that is blank or too long."""
    if not identifier.strip() or len(identifier) > MAX_ID_CHARACTERS:
        raise InvalidRecord(f"an id must have 1 to {MAX_ID_CHARACTERS} characters, not all blank", field="id")
    return identifier


def new_id() -> str:
    """Return a UUID of version 7 (RFC 9562).

    It starts with the time, so successive ids are adjacent in an index of any size.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & (1 << 62) - 1))


def start_bindings(invocation: NewInvocation, *, now: str, keep_queries: bool) -> dict[str, Any]:
    """Return the columns of a use that begins, in the order of the table, with an id and a time if it has none.

    Where queries are not kept, a hash replaces the text.

    Raises
    ------
    InvalidRecord
        When a value is invalid, as far as can be checked without the database.
    """
    if not invocation.skill_name.strip():
        raise InvalidRecord("an invocation needs the name of the skill that is used", field="skill_name")
    query = invocation.user_query
    return {
        "id": _imported_id(invocation.id) if invocation.id is not None else new_id(),
        "skill_name": invocation.skill_name,
        "invoked_at": now if invocation.invoked_at is None else normalise_time(invocation.invoked_at),
        "session_id": _imported_id(invocation.session_id) if invocation.session_id is not None else None,
        "user_id": invocation.user_id,
        "project_id": invocation.project_id,
        "project_path": invocation.project_path,
        "workflow_path": invocation.workflow_path,
        "workflow_phase": invocation.workflow_phase,
        "search_id": invocation.search_id,
        "selection_rank": invocation.selection_rank,
        "alternatives_considered": _json(invocation.alternatives_considered, empty="[]"),
        "user_query": query if keep_queries else None,
        "user_query_hash": None if keep_queries or query is None else hash_of(query),
        "user_context": _json(invocation.user_context, empty="{}"),
        "given_name": None,
    }


def check_outcome(outcome: NewOutcome) -> None:
    """Validate an outcome as far as possible without the database. Raises `InvalidRecord`."""
    duration = outcome.duration_seconds
    if duration is not None and not 0 <= duration <= MAX_DURATION_S:
        raise InvalidRecord(
            f"a duration is 0 to {MAX_DURATION_S:.0f} seconds, not {duration}", field="duration_seconds"
        )
    if outcome.finished_at is not None:
        read_time(outcome.finished_at)


def ended_as_told(outcome: NewOutcome, invoked_at: str) -> tuple[str, float | None]:
    """Return when an imported use ended and how long it took, from its own data alone.

    The present time says nothing about a past use.
    """
    if outcome.finished_at is not None:
        return ended_at(outcome, invoked_at, normalise_time(outcome.finished_at))
    if not outcome.duration_seconds:
        return invoked_at, outcome.duration_seconds
    try:
        moment = read_time(invoked_at) + timedelta(seconds=outcome.duration_seconds)
    except OverflowError as error:
        raise InvalidRecord("the duration goes beyond the end of the calendar", field="duration_seconds") from error
    return format_time(moment), outcome.duration_seconds


def ended_at(outcome: NewOutcome, invoked_at: str, finished_at: str) -> tuple[str, float]:
    """Return when a use ended and how long it took, given the time of its end."""
    # A clock that was set back must give neither an end before the start nor a negative duration.
    finished_at = max(finished_at, invoked_at)
    duration = outcome.duration_seconds
    if duration is None:
        duration = min((read_time(finished_at) - read_time(invoked_at)).total_seconds(), MAX_DURATION_S)
    return finished_at, float(duration)


def outcome_bindings(
    invocation_id: str, skill_name: str, outcome: NewOutcome, finished_at: str, duration_seconds: float | None
) -> tuple[Any, ...]:
    """Return what `ADD_OUTCOME` binds."""
    return (
        invocation_id,
        skill_name,
        outcome.outcome,
        finished_at,
        duration_seconds,
        outcome.error_type,
        _json(outcome.follow_up_actions, empty="[]"),
        outcome.source,
    )


def add_start(connection: apsw.Connection, bindings: dict[str, Any]) -> Started:
    """Add a use, and its session if that is new."""
    # Looked up by a statement of its own: a subquery of the INSERT would open a statement journal for each row, which
    # costs five times the row.
    resolved = resolve(connection, bindings["skill_name"])
    stored = under_its_skill(bindings, resolved)
    if stored["project_id"] is None and stored["project_path"] is not None:
        stored = stored | {"project_id": project_at(project_folders(connection), stored["project_path"])}
    if stored["session_id"] is not None:
        connection.execute(
            ADD_SESSION, (stored["session_id"], stored["project_id"], stored["user_id"], stored["invoked_at"])
        )
    connection.execute(_ADD_START, stored | {"skill_version_id": resolved.version})
    return Started(stored, resolved)


def under_its_skill(bindings: dict[str, Any], resolved: Resolved) -> dict[str, Any]:
    """Return the columns of a use with the skill that its name means, and the name as given where that is another."""
    given = bindings["skill_name"]
    if resolved.skill_name == given:
        return bindings
    return bindings | {"skill_name": resolved.skill_name, "given_name": given}


def _json(payload: Any, *, empty: str) -> str:
    return encode(payload) if payload else empty
