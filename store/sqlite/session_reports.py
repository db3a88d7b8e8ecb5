"""Ends sessions, collects their stories, and keeps their reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import apsw
import msgspec

from store.clock import format_time
from store.contract.tracking import SessionEnd
from store.contract.workflows import EventInStory, ReportMaker, SearchInStory, SessionStory, UseInStory
from store.sqlite.database import Database
from store.sqlite.percentiles import refresh_percentiles
from store.sqlite.rows import encode, record, rows, value
from store.sqlite.tracking import abandon, find_session

_SERVED_IN_STORY: Final = 3

_END_SESSION: Final = "UPDATE session SET ended_at = max(?, started_at, coalesce(ended_at, '')) WHERE id = ?"
_SESSION_SKILLS: Final = "SELECT skill_name FROM session_skill WHERE session_id = ? ORDER BY skill_name"
_OPEN_IN_SESSION: Final = """
SELECT i.id, i.skill_name, i.invoked_at FROM skill_invocation i JOIN open_invocation o ON o.invocation_id = i.id
WHERE i.session_id = ? ORDER BY i.invoked_at, i.seq
"""
# Entries of one moment have an order that does not depend on which was recorded first.
_SEARCHES: Final = f"""
SELECT s.id, s.searched_at, s.query, s.confidence,
       (SELECT json_group_array(r.skill_name ORDER BY r.position) FROM search_result r
        WHERE r.search_id = s.id AND r.position <= {_SERVED_IN_STORY})
FROM search s WHERE s.session_id = ? ORDER BY s.searched_at, s.id
"""
_USES: Final = """
SELECT i.id, i.skill_name, i.invoked_at, i.workflow_phase, i.search_id, o.outcome, o.finished_at, o.duration_seconds,
       o.error_type
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id = ? ORDER BY i.invoked_at, i.id
"""
_EVENTS: Final = """
SELECT id, invocation_id, workflow, phase, step, status, occurred_at, duration_seconds
FROM workflow_event WHERE session_id = ?
ORDER BY occurred_at, CASE status WHEN 'started' THEN 0 WHEN 'skipped' THEN 1 WHEN 'passed' THEN 2 ELSE 3 END, id
"""
_REPORT: Final = "SELECT report FROM session_report WHERE session_id = ?"
_KEEP_REPORT: Final = """
INSERT INTO session_report(session_id, report, made_at) VALUES (?, ?, ?)
ON CONFLICT (session_id) DO UPDATE SET report = excluded.report, made_at = excluded.made_at
"""
# Uses that a sweep abandons are not activity.
_IDLE: Final = """
SELECT s.id FROM session s
WHERE s.ended_at IS NULL AND s.started_at < :limit
  AND NOT EXISTS (SELECT 1 FROM search q WHERE q.session_id = s.id AND q.searched_at >= :limit)
  AND NOT EXISTS (
      SELECT 1 FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
      WHERE i.session_id = s.id AND (i.invoked_at >= :limit OR (o.finished_at >= :limit AND o.source <> 'sweep')))
  AND NOT EXISTS (
      SELECT 1 FROM workflow_event e WHERE e.session_id = s.id AND (e.occurred_at >= :limit OR e.recorded_at >= :limit))
ORDER BY s.started_at, s.id
"""


class SqliteSessionReports:
    """The `store.contract.workflows.SessionReports` of one SQLite file."""

    _db: Database

    def end_session(self, session_id: str, make: ReportMaker | None = None) -> SessionEnd:
        def unit(connection: apsw.Connection) -> SessionEnd:
            session = find_session(connection, session_id)
            skills = [row[0] for row in rows(connection, _SESSION_SKILLS, (session_id,))]
            abandoned = rows(connection, _OPEN_IN_SESSION, (session_id,))
            if session.ended_at is not None and not abandoned:
                return SessionEnd(session=session, abandoned=[], skills=skills, changed=False)
            now = self._db.now()
            for invocation_id, skill_name, invoked_at in abandoned:
                abandon(connection, invocation_id, skill_name, invoked_at, now, source="session_end")
            refresh_percentiles(connection, skills)
            connection.execute(_END_SESSION, (now, session_id))
            if make is not None:
                _keep_report(connection, session_id, make, now)
            return SessionEnd(
                session=find_session(connection, session_id),
                abandoned=[row[0] for row in abandoned],
                skills=skills,
                changed=True,
            )

        return self._db.write("end_session", unit)

    def session_story(self, session_id: str) -> SessionStory:
        return self._db.read("session_story", lambda connection: _story(connection, session_id))

    def session_report(self, session_id: str, make: ReportMaker) -> dict[str, Any]:
        def query(connection: apsw.Connection) -> dict[str, Any] | None:
            story = None
            kept = value(connection, _REPORT, (session_id,))
            if kept is None:
                if find_session(connection, session_id).ended_at is not None:
                    return None
                story = _story(connection, session_id)
            return make(story) if story is not None else _decoded(kept)

        def unit(connection: apsw.Connection) -> dict[str, Any]:
            # Another process may have made it in the meantime; while this unit runs nothing can invalidate it.
            kept = value(connection, _REPORT, (session_id,))
            return _decoded(kept) if kept is not None else _keep_report(connection, session_id, make, self._db.now())

        found = self._db.read("session_report", query)
        return found if found is not None else self._db.write("keep_session_report", unit)

    def idle_sessions(self, idle_for: timedelta) -> list[str]:
        try:
            limit = format_time(self._db.clock() - idle_for)
        except OverflowError:
            return []  # nothing is older than the calendar
        found = self._db.read("idle_sessions", lambda connection: rows(connection, _IDLE, {"limit": limit}))
        return [row[0] for row in found]


def _story(connection: apsw.Connection, session_id: str) -> SessionStory:
    session = find_session(connection, session_id)
    searches = rows(connection, _SEARCHES, (session_id,))
    return SessionStory(
        session_id=session.id,
        project_id=session.project_id,
        user_id=session.user_id,
        started_at=session.started_at,
        ended_at=session.ended_at,
        searches=[record(SearchInStory, row, json=frozenset({"served"})) for row in searches],
        uses=[record(UseInStory, row) for row in rows(connection, _USES, (session_id,))],
        events=[record(EventInStory, row) for row in rows(connection, _EVENTS, (session_id,))],
    )


def _keep_report(connection: apsw.Connection, session_id: str, make: ReportMaker, now: str) -> dict[str, Any]:
    report = make(_story(connection, session_id))
    connection.execute(_KEEP_REPORT, (session_id, encode(report), now))
    return report


def _decoded(kept: str) -> dict[str, Any]:
    report: dict[str, Any] = msgspec.json.decode(kept)
    return report
