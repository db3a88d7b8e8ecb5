"""Adds workflow events to their append-only log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from store.clock import format_time, normalise_time
from store.contract.identifiers import checked_id
from store.contract.workflows import EventsReport, NewWorkflowEvent, RefusedEvent, WorkflowEvent
from store.errors import Conflict, InvalidRecord, NotFound
from store.sqlite.connection import translated
from store.sqlite.database import Database
from store.sqlite.rows import encode, one, record, rows
from store.sqlite.uses import ADD_SESSION, MAX_DURATION_S, new_id

MAX_NAME_CHARACTERS: Final = 200
MAX_STEP_CHARACTERS: Final = 500
MAX_PAYLOAD_CHARACTERS: Final = 16_384

_COLUMNS: Final = """
seq, id, session_id, project_id, invocation_id, workflow, phase, step, status, occurred_at, duration_seconds, payload,
recorded_at
"""
_EVENT: Final = f"SELECT {_COLUMNS} FROM workflow_event WHERE id = ?"
_ADD: Final = """
INSERT INTO workflow_event(id, session_id, project_id, invocation_id, workflow, phase, step, status, occurred_at,
                           duration_seconds, payload, recorded_at)
VALUES (:id, :session_id, :project_id, :invocation_id, :workflow, :phase, :step, :status, :occurred_at,
        :duration_seconds, :payload, :recorded_at)
"""
_ADD_ALL: Final = """
INSERT INTO workflow_event(id, session_id, project_id, invocation_id, workflow, phase, step, status, occurred_at,
                           duration_seconds, payload, recorded_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM json_each(?) ORDER BY key
"""
_KNOWN: Final = "SELECT 1 FROM json_each(?) asked CROSS JOIN workflow_event e ON e.id = asked.value LIMIT 1"
_JSON: Final = frozenset({"payload"})

CHUNK: Final = 1000
_STEP: Final = timedelta(microseconds=1)


class _Checked(NamedTuple):
    """An event of a batch that can be written, with its values in the order of the columns."""

    position: int
    event: NewWorkflowEvent
    bindings: dict[str, Any]


class SqliteWorkflowLog:
    """The `store.contract.workflows.WorkflowLog` of one SQLite file."""

    _db: Database

    def record_event(self, event: NewWorkflowEvent) -> tuple[WorkflowEvent, bool]:
        moment = self._db.clock()
        bindings = _bindings(event, moment, moment)
        return self._db.write("record_event", lambda connection: _add(connection, event, bindings))

    def record_events(self, events: Sequence[NewWorkflowEvent]) -> EventsReport:
        now = self._db.clock()
        usable: list[_Checked] = []
        unusable: list[RefusedEvent] = []
        for position, event in enumerate(events):
            try:
                # Events without a time of their own keep the order in which they were sent.
                moment = now + position * _STEP
                usable.append(_Checked(position, event, _bindings(event, now, moment)))
            except InvalidRecord as error:
                unusable.append(RefusedEvent(position=position, id=event.id, reason=str(error)))

        def unit(connection: apsw.Connection) -> EventsReport:
            added, refused = 0, list(unusable)
            for start in range(0, len(usable), CHUNK):
                chunk = usable[start : start + CHUNK]
                new, unfit = _add_chunk(connection, chunk)
                added, refused = added + new, refused + unfit
            refused.sort(key=lambda each: each.position)
            return EventsReport(added=added, known=len(events) - added - len(refused), refused=refused)

        return self._db.write("record_events", unit)

    def workflow_event(self, event_id: str) -> WorkflowEvent:
        def query(connection: apsw.Connection) -> WorkflowEvent:
            found = _find(connection, event_id)
            if found is None:
                raise NotFound("workflow event", event_id)
            return found

        return self._db.read("workflow_event", query)


def _add_chunk(connection: apsw.Connection, chunk: Sequence[_Checked]) -> tuple[int, list[RefusedEvent]]:
    """Add the events that are new; return their number, and those that were refused."""
    identifiers = {each.bindings["id"] for each in chunk}
    try:
        if len(identifiers) == len(chunk) and not rows(connection, _KNOWN, (encode(sorted(identifiers)),)):
            with translated(), connection:  # a savepoint: all or nothing
                _add_together(connection, chunk)
            return len(chunk), []
    except InvalidRecord:
        pass  # some event breaks a rule of the schema; adding them one by one tells which
    return _add_one_by_one(connection, chunk)


def _add_together(connection: apsw.Connection, chunk: Sequence[_Checked]) -> None:
    """Add new events with one statement: one that may abort keeps a journal of every page that it touches."""
    sessions: dict[str, tuple[Any, ...]] = {}
    for each in chunk:
        began = (each.event.session_id, each.event.project_id, None, each.bindings["occurred_at"])
        sessions.setdefault(each.event.session_id, began)
    connection.executemany(ADD_SESSION, list(sessions.values()))
    connection.execute(_ADD_ALL, (encode([list(each.bindings.values()) for each in chunk]),))


def _add_one_by_one(connection: apsw.Connection, chunk: Sequence[_Checked]) -> tuple[int, list[RefusedEvent]]:
    added = 0
    refused: list[RefusedEvent] = []
    for each in chunk:
        try:
            with translated(), connection:  # an event that is refused leaves no session behind
                added += _add(connection, each.event, each.bindings)[1]
        except (InvalidRecord, Conflict) as error:
            refused.append(RefusedEvent(position=each.position, id=each.event.id, reason=str(error)))
    return added, refused


def _add(connection: apsw.Connection, event: NewWorkflowEvent, bindings: dict[str, Any]) -> tuple[WorkflowEvent, bool]:
    recorded = None if event.id is None else _find(connection, event.id)
    if recorded is not None:
        _require_same(recorded, event, bindings)
        return recorded, False
    connection.execute(ADD_SESSION, (event.session_id, event.project_id, None, bindings["occurred_at"]))
    connection.execute(_ADD, bindings)
    seq = connection.last_insert_rowid()
    return WorkflowEvent(**{**bindings, "seq": seq, "payload": msgspec.json.decode(bindings["payload"])}), True


def _find(connection: apsw.Connection, event_id: str) -> WorkflowEvent | None:
    row = one(connection, _EVENT, (event_id,))
    return record(WorkflowEvent, row, json=_JSON) if row else None


def _bindings(event: NewWorkflowEvent, now: datetime, moment: datetime) -> dict[str, Any]:
    """Return the columns of an event. It gets an id if it has none, and `moment` as its time if it has none.

    Raises
    ------
    InvalidRecord
        When a value is invalid, as far as can be checked without the database.
    """
    if event.duration_seconds is not None and not 0 <= event.duration_seconds <= MAX_DURATION_S:
        raise InvalidRecord(
            f"a duration is 0 to {MAX_DURATION_S:.0f} seconds, not {event.duration_seconds}", field="duration_seconds"
        )
    payload = encode(event.payload)
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        raise InvalidRecord(
            f"a payload has at most {MAX_PAYLOAD_CHARACTERS} characters as JSON, this one {len(payload)}; keep a "
            "summary here and the rest where it can be looked up",
            field="payload",
        )
    return {
        "id": checked_id(event.id) if event.id is not None else new_id(),
        "session_id": checked_id(event.session_id, "session_id"),
        "project_id": event.project_id,
        "invocation_id": event.invocation_id,
        "workflow": _name(event.workflow, "workflow", MAX_NAME_CHARACTERS),
        "phase": None if event.phase is None else _name(event.phase, "phase", MAX_NAME_CHARACTERS),
        "step": _name(event.step, "step", MAX_STEP_CHARACTERS),
        "status": event.status,
        "occurred_at": format_time(moment) if event.occurred_at is None else normalise_time(event.occurred_at),
        "duration_seconds": None if event.duration_seconds is None else float(event.duration_seconds),
        "payload": payload,
        "recorded_at": format_time(now),
    }


def _name(text: str, field: str, most: int) -> str:
    if not text.strip() or len(text) > most:
        raise InvalidRecord(f"{field} has 1 to {most} characters, not all blank", field=field)
    return text


def _require_same(recorded: WorkflowEvent, asked: NewWorkflowEvent, bindings: dict[str, Any]) -> None:
    for field in asked.__struct_fields__:
        wanted = bindings[field]
        if field == "occurred_at" and asked.occurred_at is None:
            continue  # without a time of its own, the recorded time holds
        if field == "payload":
            wanted = msgspec.json.decode(wanted)
        if wanted != getattr(recorded, field):
            raise Conflict(
                f"workflow event {recorded.id!r} is already recorded with another {field}: "
                f"{getattr(recorded, field)!r}; use a new id for a new event",
                recorded=msgspec.to_builtins(recorded),
            )
