"""Sessions, uses of skills and their outcomes: the append-only log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import apsw
import msgspec

from store.clock import format_time, normalise_time
from store.contract.identifiers import checked_id
from store.contract.tracking import Finish, ImportReport, Invocation, NewInvocation, NewOutcome, NewSession, Session
from store.errors import Conflict, NotFound
from store.query_hash import same_query
from store.sqlite import importing
from store.sqlite.database import Database
from store.sqlite.rows import encode, one, record, rows, value
from store.sqlite.uses import (
    ADD_OUTCOME,
    ADD_SESSION,
    Started,
    add_start,
    check_outcome,
    ended_at,
    outcome_bindings,
    start_bindings,
)

_SESSION: Final = "SELECT id, project_id, user_id, started_at, ended_at FROM session WHERE id = ?"

_INVOCATION_COLUMNS: Final = """
i.id, i.skill_name, i.skill_version_id, i.invoked_at, i.session_id, i.user_id, i.project_id, i.project_path,
i.workflow_path, i.workflow_phase, i.search_id, i.selection_rank, i.alternatives_considered, i.user_query,
i.user_query_hash, i.user_context, i.given_name, EXISTS (SELECT 1 FROM skills s WHERE s.skill_name = i.skill_name),
o.outcome, o.finished_at, o.duration_seconds, o.error_type,
coalesce(o.follow_up_actions, '[]'), o.source
"""
_INVOCATION: Final = f"""
SELECT {_INVOCATION_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.id = ?
"""
_IN_SESSION: Final = f"""
SELECT {_INVOCATION_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id = ? ORDER BY i.invoked_at, i.seq
"""
_IN_LOG: Final = f"""
SELECT {_INVOCATION_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.seq > ? ORDER BY i.seq LIMIT ?
"""
_BY_IDS: Final = f"""
SELECT {_INVOCATION_COLUMNS}
FROM json_each(?) asked CROSS JOIN skill_invocation i ON i.id = asked.value
     LEFT JOIN skill_outcome o ON o.invocation_id = i.id
"""
_SEQ: Final = "SELECT seq FROM skill_invocation WHERE id = ?"
_INVOCATION_JSON: Final = frozenset({"alternatives_considered", "user_context", "follow_up_actions"})
_SKILL_KNOWN: Final = Invocation.__struct_fields__.index("skill_known")
_OPEN_BEFORE: Final = """
SELECT i.id, i.skill_name, i.invoked_at FROM open_invocation o JOIN skill_invocation i ON i.id = o.invocation_id
WHERE o.invoked_at < ? ORDER BY o.invoked_at, i.seq
"""


class SqliteTracking:
    """The `store.protocol.Tracking` of one SQLite file."""

    _db: Database
    _keep_queries: bool

    def start_session(self, session: NewSession) -> Session:
        session_id = checked_id(session.id) if session.id is not None else str(uuid.uuid4())

        def unit(connection: apsw.Connection) -> Session:
            connection.execute(ADD_SESSION, (session_id, session.project_id, session.user_id, self._db.now()))
            return find_session(connection, session_id)

        return self._db.write("start_session", unit)

    def session(self, session_id: str) -> Session:
        return self._db.read("session", lambda connection: find_session(connection, session_id))

    def start_invocation(self, invocation: NewInvocation) -> Invocation:
        # What another program recorded is imported under its own ids; what starts here can be addressed.
        if invocation.id is not None:
            checked_id(invocation.id)
        if invocation.session_id is not None:
            checked_id(invocation.session_id, "session_id")
        bindings = start_bindings(invocation, now=self._db.now(), keep_queries=self._keep_queries)

        def unit(connection: apsw.Connection) -> Invocation:
            recorded = None if invocation.id is None else _find_invocation(connection, invocation.id)
            if recorded is not None:
                _require_same_start(recorded, invocation)
                return recorded
            return _as_recorded(add_start(connection, bindings))

        return self._db.write("start_invocation", unit)

    def finish_invocation(self, invocation_id: str, outcome: NewOutcome) -> Finish:
        check_outcome(outcome)

        def unit(connection: apsw.Connection) -> Finish:
            recorded = _invocation(connection, invocation_id)
            if recorded.outcome is not None:
                _require_same_outcome(recorded, outcome)
                return Finish(invocation=recorded, changed=False)
            now = self._db.now()
            finished_at, duration = _add_outcome(
                connection, recorded.id, recorded.skill_name, recorded.invoked_at, outcome, now
            )
            ended = msgspec.structs.replace(
                recorded,
                outcome=outcome.outcome,
                finished_at=finished_at,
                duration_seconds=duration,
                error_type=outcome.error_type,
                follow_up_actions=msgspec.json.decode(encode(outcome.follow_up_actions)),
                source=outcome.source,
            )
            return Finish(invocation=ended, changed=True)

        return self._db.write("finish_invocation", unit)

    def invocation(self, invocation_id: str) -> Invocation:
        return self._db.read("invocation", lambda connection: _invocation(connection, invocation_id))

    def find_invocations(self, invocation_ids: Sequence[str]) -> dict[str, Invocation]:
        bindings = (encode(list(invocation_ids)),)
        found = self._db.read("find_invocations", lambda connection: rows(connection, _BY_IDS, bindings))
        return {row[0]: _read(row) for row in found}

    def invocations(self, *, after: str | None = None, limit: int = 1000) -> list[Invocation]:
        def query(connection: apsw.Connection) -> list[Invocation]:
            # Row numbers that other programs wrote may be negative.
            seq = -(2**63) if after is None else value(connection, _SEQ, (after,))
            if seq is None:
                raise NotFound("invocation", str(after))
            found = rows(connection, _IN_LOG, (seq, limit))
            return [_read(row) for row in found]

        return self._db.read("invocations", query)

    def session_invocations(self, session_id: str) -> list[Invocation]:
        found = self._db.read("session_invocations", lambda connection: rows(connection, _IN_SESSION, (session_id,)))
        return [_read(row) for row in found]

    def import_invocations(self, uses: Sequence[tuple[NewInvocation, NewOutcome | None]]) -> ImportReport:
        imported = 0
        usable, refused = importing.check(uses, now=self._db.now(), keep_queries=self._keep_queries)
        for start in range(0, len(usable), importing.CHUNK):
            chunk = usable[start : start + importing.CHUNK]
            added, unfit = self._db.write("import_invocations", partial(importing.add_chunk, chunk=chunk))
            imported += added
            refused += unfit
        return importing.report(len(uses), imported, refused)

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
                abandon(connection, invocation_id, skill_name, invoked_at, now, source="sweep")
            return [row[0] for row in stale]

        return self._db.write("abandon_stale", unit)


def find_session(connection: apsw.Connection, session_id: str) -> Session:
    """Return one session. Raises `NotFound`."""
    row = one(connection, _SESSION, (session_id,))
    if row is None:
        raise NotFound("session", session_id)
    return record(Session, row)


def _read(row: tuple[Any, ...]) -> Invocation:
    cells = list(row)
    cells[_SKILL_KNOWN] = bool(cells[_SKILL_KNOWN])
    return record(Invocation, tuple(cells), json=_INVOCATION_JSON)


def _find_invocation(connection: apsw.Connection, invocation_id: str) -> Invocation | None:
    row = one(connection, _INVOCATION, (invocation_id,))
    return _read(row) if row else None


def _invocation(connection: apsw.Connection, invocation_id: str) -> Invocation:
    found = _find_invocation(connection, invocation_id)
    if found is None:
        raise NotFound("invocation", invocation_id)
    return found


def _as_recorded(started: Started) -> Invocation:
    """Return the use as reading it back would."""
    told = {
        name: msgspec.json.decode(cell) if name in _INVOCATION_JSON else cell for name, cell in started.bindings.items()
    }
    return Invocation(
        **told,
        skill_version_id=started.skill.version,
        skill_known=started.skill.known,
        outcome=None,
        finished_at=None,
        duration_seconds=None,
        error_type=None,
        follow_up_actions=[],
        source=None,
    )


def _add_outcome(
    connection: apsw.Connection, invocation_id: str, skill_name: str, invoked_at: str, outcome: NewOutcome, now: str
) -> tuple[str, float]:
    finished_at = now if outcome.finished_at is None else normalise_time(outcome.finished_at)
    moment = ended_at(outcome, invoked_at, finished_at)
    connection.execute(ADD_OUTCOME, outcome_bindings(invocation_id, skill_name, outcome, *moment))
    return moment


def abandon(
    connection: apsw.Connection, invocation_id: str, skill_name: str, invoked_at: str, now: str, *, source: Any
) -> None:
    """Finish a use as abandoned."""
    _add_outcome(connection, invocation_id, skill_name, invoked_at, NewOutcome(outcome="abandoned", source=source), now)


def _require_same_start(recorded: Invocation, asked: NewInvocation) -> None:
    for field in asked.__struct_fields__:
        wanted = getattr(asked, field)
        if field == "invoked_at":
            wanted = recorded.invoked_at if wanted is None else normalise_time(wanted)
        elif field in _INVOCATION_JSON:
            wanted = msgspec.json.decode(encode(wanted))
        if field == "user_query":
            same = same_query(recorded, wanted)
        elif field == "skill_name":
            same = wanted in {recorded.skill_name, recorded.given_name}
        elif field == "project_id" and wanted is None:
            # It may have been found by the path, as projects were then.
            same = recorded.project_id is None or asked.project_path is not None
        else:
            same = wanted == getattr(recorded, field)
        if not same:
            raise Conflict(
                f"invocation {recorded.id!r} is already recorded with another {field}: "
                f"{getattr(recorded, field)!r}; use a new id for another use",
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
