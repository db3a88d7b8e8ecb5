"""Adds many uses at once: checked in advance, written with few statements, counted once for each chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import apsw

from store.contract.tracking import ImportReport, NewInvocation, NewOutcome
from store.errors import InvalidRecord
from store.sqlite.connection import translated
from store.sqlite.names import Resolved, resolve_all
from store.sqlite.project_paths import project_at, project_folders
from store.sqlite.projection import counted_together
from store.sqlite.rows import encode, one, rows
from store.sqlite.uses import (
    ADD_OUTCOME,
    ADD_SESSION,
    add_start,
    check_outcome,
    ended_as_told,
    outcome_bindings,
    start_bindings,
    under_its_skill,
)

CHUNK: Final = 1000

# Rows are staged in memory and move into the log by one statement for each table. A statement that may abort keeps a
# journal of every page it touches; opening one a thousand times costs five times as much as the rows themselves.
_STAGE: Final = """
CREATE TEMP TABLE IF NOT EXISTS staged_start(number INTEGER PRIMARY KEY, id, skill_name, invoked_at, session_id,
    user_id, project_id, project_path, workflow_path, workflow_phase, search_id, selection_rank,
    alternatives_considered, user_query, user_query_hash, user_context, given_name, skill_version_id);
-- Rows that belong together have the same number.
CREATE TEMP TABLE IF NOT EXISTS staged_outcome(number INTEGER PRIMARY KEY, invocation_id, skill_name, outcome,
    finished_at, duration_seconds, error_type, follow_up_actions, source);
"""
_STAGE_START: Final = "INSERT INTO temp.staged_start VALUES (" + ", ".join("?" * 18) + ")"
_STAGE_OUTCOME: Final = "INSERT INTO temp.staged_outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UNSTAGE: Final = "DELETE FROM temp.staged_start; DELETE FROM temp.staged_outcome"
_ADD_STAGED: Final = """
INSERT INTO skill_invocation(id, skill_name, invoked_at, session_id, user_id, project_id, project_path, workflow_path,
                             workflow_phase, search_id, selection_rank, alternatives_considered, user_query,
                             user_query_hash, user_context, given_name, skill_version_id)
SELECT id, skill_name, invoked_at, session_id, user_id, project_id, project_path, workflow_path, workflow_phase,
       search_id, selection_rank, alternatives_considered, user_query, user_query_hash, user_context, given_name,
       skill_version_id
FROM temp.staged_start ORDER BY number;
INSERT INTO skill_outcome(invocation_id, skill_name, outcome, finished_at, duration_seconds, error_type,
                          follow_up_actions, source)
SELECT invocation_id, skill_name, outcome, finished_at, duration_seconds, error_type, follow_up_actions, source
FROM temp.staged_outcome ORDER BY number;
"""
_KNOWN: Final = "SELECT id FROM skill_invocation WHERE id = ?"
_ALL_KNOWN: Final = "SELECT i.id FROM json_each(?) asked CROSS JOIN skill_invocation i ON i.id = asked.value"


class Checked(NamedTuple):
    """A row that can be written: the columns of its start and, if it has ended, of its outcome."""

    position: int
    told_id: str
    start: dict[str, Any]
    outcome: tuple[Any, ...] | None


Refusal = tuple[int, str, str]


def check(
    uses: Sequence[tuple[NewInvocation, NewOutcome | None]], *, now: str, keep_queries: bool
) -> tuple[list[Checked], list[Refusal]]:
    """Return the rows that are valid as far as can be checked without the database, and the others with reasons."""
    usable: list[Checked] = []
    refused: list[Refusal] = []
    for position, (invocation, outcome) in enumerate(uses):
        try:
            start = start_bindings(invocation, now=now, keep_queries=keep_queries)
            ended = None
            if outcome is not None:
                check_outcome(outcome)
                moment = ended_as_told(outcome, start["invoked_at"])
                ended = outcome_bindings(start["id"], start["skill_name"], outcome, *moment)
        except InvalidRecord as error:
            refused.append((position, invocation.id or "", str(error)))
        else:
            usable.append(Checked(position, invocation.id or "", start, ended))
    return usable, refused


def add_chunk(connection: apsw.Connection, chunk: Sequence[Checked]) -> tuple[int, list[Refusal]]:
    """Add the rows whose ids are new; return their number, and the rows that the schema refused."""
    try:
        with translated(), connection:  # a savepoint: all or nothing
            imported = _add_together(connection, chunk)
    except InvalidRecord:
        # Some row breaks a rule of the schema; adding them one by one tells which.
        return _add_one_by_one(connection, chunk)
    return imported, []


def report(total: int, imported: int, refused: Sequence[Refusal]) -> ImportReport:
    """Return what an import of `total` rows did; refused rows are in their original order."""
    return ImportReport(
        imported=imported,
        duplicates=total - imported - len(refused),
        refused=[(identifier, reason) for _, identifier, reason in sorted(refused)],
    )


def _add_together(connection: apsw.Connection, chunk: Sequence[Checked]) -> int:
    asked = {row.start["id"]: row for row in reversed(chunk)}  # the first of rows with one id
    known = {row[0] for row in rows(connection, _ALL_KNOWN, (encode(list(asked)),))}
    fresh = [row for row in chunk if row.start["id"] not in known and asked[row.start["id"]] is row]
    if not fresh:
        return 0
    skills = resolve_all(connection, {row.start["skill_name"] for row in fresh})
    versions = [skills[row.start["skill_name"]].version for row in fresh]
    fresh = _under_their_skills(connection, fresh, skills)
    starts = [row.start for row in fresh]
    sessions: dict[str, tuple[Any, ...]] = {}
    for start in starts:
        if start["session_id"] is not None and start["session_id"] not in sessions:
            began = (start["session_id"], start["project_id"], start["user_id"], start["invoked_at"])
            sessions[start["session_id"]] = began
    connection.execute(_STAGE)
    connection.executemany(
        _STAGE_START,
        [(n, *start.values(), version) for n, (start, version) in enumerate(zip(starts, versions, strict=True))],
    )
    ended = [(n, *row.outcome) for n, row in enumerate(fresh) if row.outcome is not None]
    connection.executemany(_STAGE_OUTCOME, ended)
    with counted_together(connection):
        connection.executemany(ADD_SESSION, list(sessions.values()))
        connection.execute(_ADD_STAGED)
    connection.execute(_UNSTAGE)
    return len(fresh)


def _under_their_skills(
    connection: apsw.Connection, fresh: Sequence[Checked], skills: Mapping[str, Resolved]
) -> list[Checked]:
    """Return the rows with the skills that their names mean and the projects that their paths belong to."""
    folders = None
    found = []
    for row in fresh:
        start = under_its_skill(row.start, skills[row.start["skill_name"]])
        if start["project_id"] is None and start["project_path"] is not None:
            folders = project_folders(connection) if folders is None else folders
            start = start | {"project_id": project_at(folders, start["project_path"])}
        found.append(row._replace(start=start, outcome=_of_skill(row.outcome, start["skill_name"])))
    return found


def _of_skill(outcome: tuple[Any, ...] | None, skill_name: str) -> tuple[Any, ...] | None:
    # As `outcome_bindings` orders them.
    return None if outcome is None else (outcome[0], skill_name, *outcome[2:])


def _add_one_by_one(connection: apsw.Connection, chunk: Sequence[Checked]) -> tuple[int, list[Refusal]]:
    imported = 0
    refused: list[Refusal] = []
    for row in chunk:
        try:
            with translated():
                imported += _add_row(connection, row)
        except InvalidRecord as error:
            refused.append((row.position, row.told_id, str(error)))
    return imported, refused


def _add_row(connection: apsw.Connection, row: Checked) -> bool:
    if one(connection, _KNOWN, (row.start["id"],)) is not None:
        return False
    with connection:  # a savepoint: a row that the schema refuses leaves nothing behind
        started = add_start(connection, row.start)
        if row.outcome is not None:
            connection.execute(ADD_OUTCOME, _of_skill(row.outcome, started.bindings["skill_name"]))
    return True
