"""Sessions, uses of skills and their outcomes: the append-only log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import apsw
import msgspec

from store.clock import format_time, normalise_time, read_time
from store.errors import Conflict, InvalidRecord, NotFound
from store.records import (
    Finish,
    ImportReport,
    Invocation,
    NewInvocation,
    NewOutcome,
    NewSession,
    Session,
    SessionEnd,
)
from store.sqlite.connection import translated
from store.sqlite.database import Database
from store.sqlite.percentiles import refresh_percentiles
from store.sqlite.rows import encode, one, record, rows

IMPORT_CHUNK: Final = 1000
MAX_ID_CHARACTERS: Final = 200
MAX_DURATION_S: Final = 3_153_600_000.0

_SESSION: Final = "SELECT id, project_id, user_id, started_at, ended_at FROM session WHERE id = ?"
_ADD_SESSION: Final = """
INSERT INTO session(id, project_id, user_id, started_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_END_SESSION: Final = "UPDATE session SET ended_at = max(?, started_at) WHERE id = ?"
_SESSION_SKILLS: Final = "SELECT skill_name FROM session_skill WHERE session_id = ? ORDER BY skill_name"

_ADD_INVOCATION: Final = """
INSERT INTO skill_invocation(id, skill_name, skill_version_id, invoked_at, session_id, user_id, project_id,
                             project_path, workflow_path, workflow_phase, search_id, selection_rank,
                             alternatives_considered, user_query, user_context)
VALUES (:id, :skill_name,
        (SELECT v.id FROM skills s JOIN skill_version v ON v.skill_id = s.id AND v.content_hash = s.content_hash
         WHERE s.skill_name = :skill_name AND s.removed_at IS NULL),
        :invoked_at, :session_id, :user_id, :project_id, :project_path, :workflow_path, :workflow_phase, :search_id,
        :selection_rank, :alternatives_considered, :user_query, :user_context)
"""
_ADD_OUTCOME: Final = """
INSERT INTO skill_outcome(invocation_id, skill_name, outcome, finished_at, duration_seconds, error_type,
                          follow_up_actions, source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_INVOCATION_COLUMNS: Final = """
i.id, i.skill_name, i.skill_version_id, i.invoked_at, i.session_id, i.user_id, i.project_id, i.project_path,
i.workflow_path, i.workflow_phase, i.search_id, i.selection_rank, i.alternatives_considered, i.user_query,
i.user_context, o.outcome, o.finished_at, o.duration_seconds, o.error_type, coalesce(o.follow_up_actions, '[]'),
o.source
"""
_INVOCATION: Final = f"""
SELECT {_INVOCATION_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.id = ?
"""
_IN_SESSION: Final = f"""
SELECT {_INVOCATION_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id = ? ORDER BY i.invoked_at, i.seq
"""
_INVOCATION_JSON: Final = frozenset({"alternatives_considered", "user_context", "follow_up_actions"})
_OPEN_IN_SESSION: Final = """
SELECT i.id, i.skill_name, i.invoked_at FROM skill_invocation i JOIN open_invocation o ON o.invocation_id = i.id
WHERE i.session_id = ? ORDER BY i.invoked_at, i.seq
"""
_OPEN_BEFORE: Final = """
SELECT i.id, i.skill_name, i.invoked_at FROM open_invocation o JOIN skill_invocation i ON i.id = o.invocation_id
WHERE o.invoked_at < ? ORDER BY o.invoked_at, i.seq
"""


class SqliteTracking:
    """The `store.protocol.Tracking` of one SQLite file."""

    _db: Database

    def start_session(self, session: NewSession) -> Session:
        session_id = _checked_id(session.id) if session.id is not None else str(uuid.uuid4())

        def unit(connection: apsw.Connection) -> Session:
            connection.execute(_ADD_SESSION, (session_id, session.project_id, session.user_id, self._db.now()))
            return _session(connection, session_id)

        return self._db.write("start_session", unit)

    def session(self, session_id: str) -> Session:
        return self._db.read("session", lambda connection: _session(connection, session_id))

    def end_session(self, session_id: str) -> SessionEnd:
        def unit(connection: apsw.Connection) -> SessionEnd:
            session = _session(connection, session_id)
            skills = [row[0] for row in rows(connection, _SESSION_SKILLS, (session_id,))]
            if session.ended_at is not None:
                return SessionEnd(session=session, abandoned=[], skills=skills, changed=False)
            now = self._db.now()
            abandoned = rows(connection, _OPEN_IN_SESSION, (session_id,))
            for invocation_id, skill_name, invoked_at in abandoned:
                _abandon(connection, invocation_id, skill_name, invoked_at, now, source="session_end")
            refresh_percentiles(connection, skills)
            connection.execute(_END_SESSION, (now, session_id))
            return SessionEnd(
                session=_session(connection, session_id),
                abandoned=[row[0] for row in abandoned],
                skills=skills,
                changed=True,
            )

        return self._db.write("end_session", unit)

    def start_invocation(self, invocation: NewInvocation) -> Invocation:
        bindings = _invocation_bindings(invocation, now=self._db.now())

        def unit(connection: apsw.Connection) -> Invocation:
            recorded = _find_invocation(connection, bindings["id"])
            if recorded is not None:
                _require_same_start(recorded, invocation)
                return recorded
            _add_invocation(connection, bindings)
            return _invocation(connection, bindings["id"])

        return self._db.write("start_invocation", unit)

    def finish_invocation(self, invocation_id: str, outcome: NewOutcome) -> Finish:
        _check_outcome(outcome)

        def unit(connection: apsw.Connection) -> Finish:
            recorded = _invocation(connection, invocation_id)
            if recorded.outcome is not None:
                _require_same_outcome(recorded, outcome)
                return Finish(invocation=recorded, changed=False)
            _add_outcome(connection, recorded.id, recorded.skill_name, recorded.invoked_at, outcome, self._db.now())
            return Finish(invocation=_invocation(connection, invocation_id), changed=True)

        return self._db.write("finish_invocation", unit)

    def invocation(self, invocation_id: str) -> Invocation:
        return self._db.read("invocation", lambda connection: _invocation(connection, invocation_id))

    def session_invocations(self, session_id: str) -> list[Invocation]:
        found = self._db.read("session_invocations", lambda connection: rows(connection, _IN_SESSION, (session_id,)))
        return [record(Invocation, row, json=_INVOCATION_JSON) for row in found]

    def import_invocations(self, uses: Sequence[tuple[NewInvocation, NewOutcome | None]]) -> ImportReport:
        imported = duplicates = 0
        refused: list[tuple[str, str]] = []
        for start in range(0, len(uses), IMPORT_CHUNK):
            chunk = uses[start : start + IMPORT_CHUNK]
            report = self._db.write("import_invocations", partial(self._import_chunk, chunk=chunk))
            imported += report.imported
            duplicates += report.duplicates
            refused += report.refused
        return ImportReport(imported=imported, duplicates=duplicates, refused=refused)

    def abandon_stale(self, older_than: timedelta) -> list[str]:
        def unit(connection: apsw.Connection) -> list[str]:
            moment = self._db.clock()
            now = format_time(moment)
            try:
                limit = format_time(moment - older_than)
            except OverflowError:
                return []  # nothing is older than the calendar
            stale = rows(connection, _OPEN_BEFORE, (limit,))
            for invocation_id, skill_name, invoked_at in stale:
                _abandon(connection, invocation_id, skill_name, invoked_at, now, source="sweep")
            return [row[0] for row in stale]

        return self._db.write("abandon_stale", unit)

    def _import_chunk(
        self, connection: apsw.Connection, chunk: Sequence[tuple[NewInvocation, NewOutcome | None]]
    ) -> ImportReport:
        imported = duplicates = 0
        refused: list[tuple[str, str]] = []
        now = self._db.now()
        for invocation, outcome in chunk:
            try:
                with translated():
                    added = _import_row(connection, invocation, outcome, now)
            except InvalidRecord as error:
                refused.append((invocation.id or "", str(error)))
            else:
                imported += added
                duplicates += not added
        return ImportReport(imported=imported, duplicates=duplicates, refused=refused)


def _import_row(connection: apsw.Connection, invocation: NewInvocation, outcome: NewOutcome | None, now: str) -> bool:
    """Add one use; return whether it is new."""
    bindings = _invocation_bindings(invocation, now=now)
    if outcome is not None:
        _check_outcome(outcome)
    if _find_invocation(connection, bindings["id"]) is not None:
        return False
    with connection:  # a savepoint: a row that the schema refuses leaves nothing behind
        _add_invocation(connection, bindings)
        if outcome is not None:
            ended = _ended_as_told(outcome, bindings["invoked_at"])
            _write_outcome(connection, bindings["id"], bindings["skill_name"], ended)
    return True


def _session(connection: apsw.Connection, session_id: str) -> Session:
    row = one(connection, _SESSION, (session_id,))
    if row is None:
        raise NotFound("session", session_id)
    return record(Session, row)


def _find_invocation(connection: apsw.Connection, invocation_id: str) -> Invocation | None:
    row = one(connection, _INVOCATION, (invocation_id,))
    return record(Invocation, row, json=_INVOCATION_JSON) if row else None


def _invocation(connection: apsw.Connection, invocation_id: str) -> Invocation:
    found = _find_invocation(connection, invocation_id)
    if found is None:
        raise NotFound("invocation", invocation_id)
    return found


def _invocation_bindings(invocation: NewInvocation, *, now: str) -> dict[str, Any]:
    if not invocation.skill_name.strip():
        raise InvalidRecord("an invocation needs the name of the skill that is used", field="skill_name")
    return {
        "id": _checked_id(invocation.id) if invocation.id is not None else str(uuid.uuid4()),
        "skill_name": invocation.skill_name,
        "invoked_at": normalise_time(invocation.invoked_at) if invocation.invoked_at else now,
        "session_id": _checked_id(invocation.session_id) if invocation.session_id is not None else None,
        "user_id": invocation.user_id,
        "project_id": invocation.project_id,
        "project_path": invocation.project_path,
        "workflow_path": invocation.workflow_path,
        "workflow_phase": invocation.workflow_phase,
        "search_id": invocation.search_id,
        "selection_rank": invocation.selection_rank,
        "alternatives_considered": encode(invocation.alternatives_considered),
        "user_query": invocation.user_query,
        "user_context": encode(invocation.user_context),
    }


def _checked_id(identifier: str) -> str:
    if not identifier.strip() or len(identifier) > MAX_ID_CHARACTERS:
        raise InvalidRecord(f"an id has 1 to {MAX_ID_CHARACTERS} characters, not all blank", field="id")
    return identifier


def _check_outcome(outcome: NewOutcome) -> None:
    duration = outcome.duration_seconds
    if duration is not None and not 0 <= duration <= MAX_DURATION_S:
        raise InvalidRecord(
            f"a duration is 0 to {MAX_DURATION_S:.0f} seconds, not {duration}", field="duration_seconds"
        )
    if outcome.finished_at is not None:
        read_time(outcome.finished_at)


def _add_invocation(connection: apsw.Connection, bindings: dict[str, Any]) -> None:
    if bindings["session_id"] is not None:
        connection.execute(
            _ADD_SESSION,
            (bindings["session_id"], bindings["project_id"], bindings["user_id"], bindings["invoked_at"]),
        )
    connection.execute(_ADD_INVOCATION, bindings)


def _add_outcome(
    connection: apsw.Connection, invocation_id: str, skill_name: str, invoked_at: str, outcome: NewOutcome, now: str
) -> None:
    finished_at = normalise_time(outcome.finished_at) if outcome.finished_at else now
    _write_outcome(connection, invocation_id, skill_name, _ended_at(outcome, invoked_at, finished_at))


def _ended_as_told(outcome: NewOutcome, invoked_at: str) -> NewOutcome:
    """Complete an imported outcome from what it tells alone: the present time says nothing of a past use."""
    if outcome.finished_at is not None:
        return _ended_at(outcome, invoked_at, normalise_time(outcome.finished_at))
    try:
        moment = read_time(invoked_at) + timedelta(seconds=outcome.duration_seconds or 0.0)
    except OverflowError as error:
        raise InvalidRecord("the duration reaches past the calendar's end", field="duration_seconds") from error
    return msgspec.structs.replace(outcome, finished_at=format_time(moment))


def _ended_at(outcome: NewOutcome, invoked_at: str, finished_at: str) -> NewOutcome:
    # A clock that went backwards must give neither a finish before the start nor a negative duration.
    finished_at = max(finished_at, invoked_at)
    duration = outcome.duration_seconds
    if duration is None:
        duration = min((read_time(finished_at) - read_time(invoked_at)).total_seconds(), MAX_DURATION_S)
    return msgspec.structs.replace(outcome, finished_at=finished_at, duration_seconds=float(duration))


def _write_outcome(connection: apsw.Connection, invocation_id: str, skill_name: str, outcome: NewOutcome) -> None:
    connection.execute(
        _ADD_OUTCOME,
        (
            invocation_id,
            skill_name,
            outcome.outcome,
            outcome.finished_at,
            outcome.duration_seconds,
            outcome.error_type,
            encode(outcome.follow_up_actions),
            outcome.source,
        ),
    )


def _abandon(
    connection: apsw.Connection, invocation_id: str, skill_name: str, invoked_at: str, now: str, *, source: Any
) -> None:
    _add_outcome(connection, invocation_id, skill_name, invoked_at, NewOutcome(outcome="abandoned", source=source), now)


def _require_same_start(recorded: Invocation, asked: NewInvocation) -> None:
    for field in asked.__struct_fields__:
        wanted = getattr(asked, field)
        if field == "invoked_at":
            wanted = normalise_time(wanted) if wanted else recorded.invoked_at
        elif field in _INVOCATION_JSON:
            wanted = msgspec.json.decode(encode(wanted))
        if wanted != getattr(recorded, field):
            raise Conflict(
                f"invocation {recorded.id!r} is already recorded with another {field}: "
                f"{getattr(recorded, field)!r}; use a new id for a new use",
                recorded={"invocation_id": recorded.id, field: getattr(recorded, field)},
            )


def _require_same_outcome(recorded: Invocation, asked: NewOutcome) -> None:
    same = (
        recorded.outcome == asked.outcome
        and recorded.error_type == asked.error_type
        and recorded.follow_up_actions == msgspec.json.decode(encode(asked.follow_up_actions))
        and asked.duration_seconds in {None, recorded.duration_seconds}
    )
    if not same:
        raise Conflict(
            f"invocation {recorded.id!r} already ended as {recorded.outcome} at {recorded.finished_at}; "
            "an outcome is recorded once and never changes",
            recorded={
                "invocation_id": recorded.id,
                "outcome": recorded.outcome,
                "finished_at": recorded.finished_at,
                "duration_seconds": recorded.duration_seconds,
                "error_type": recorded.error_type,
                "follow_up_actions": recorded.follow_up_actions,
                "source": recorded.source,
            },
        )
