"""Derives every metric anew from the log, and compares what the triggers kept with that.

Each query below says, for one derived table, what the log adds up to. The triggers of V1 must keep exactly this.
"""

from __future__ import annotations

from typing import Final

import apsw

from store.sqlite.percentiles import refresh_percentiles
from store.sqlite.rows import rows

_TIMED: Final = "o.outcome = 'completed' AND o.duration_seconds IS NOT NULL"
_MICROSECONDS: Final = "CAST(round(o.duration_seconds * 1e6) AS INTEGER)"

_METRICS_COLUMNS: Final = """
skill_name, total_invocations, completed_invocations, abandoned_invocations, failed_invocations,
cancelled_invocations, timed_completions, total_duration_us, min_duration_seconds, max_duration_seconds,
first_invoked, last_invoked
"""
_METRICS: Final = f"""
SELECT i.skill_name, count(*), count(*) FILTER (WHERE o.outcome = 'completed'),
       count(*) FILTER (WHERE o.outcome <> 'completed'), count(*) FILTER (WHERE o.outcome = 'failed'),
       count(*) FILTER (WHERE o.outcome = 'cancelled'), count(*) FILTER (WHERE {_TIMED}),
       coalesce(sum({_MICROSECONDS}) FILTER (WHERE {_TIMED}), 0),
       min(o.duration_seconds) FILTER (WHERE {_TIMED}), max(o.duration_seconds) FILTER (WHERE {_TIMED}),
       min(i.invoked_at), max(i.invoked_at)
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id GROUP BY i.skill_name
"""
_COUNT_COLUMNS: Final = "skill_name, kind, value, n, timed_completions, total_duration_us"
_COUNTS: Final = f"""
SELECT i.skill_name, 'workflow_path', i.workflow_path, count(*), count(*) FILTER (WHERE {_TIMED}),
       coalesce(sum({_MICROSECONDS}) FILTER (WHERE {_TIMED}), 0)
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.workflow_path IS NOT NULL GROUP BY i.skill_name, i.workflow_path
UNION ALL
SELECT skill_name, 'error_type', error_type, count(*), 0, 0 FROM skill_outcome
WHERE error_type IS NOT NULL GROUP BY skill_name, error_type
UNION ALL
SELECT o.skill_name, 'follow_up_action', action.value, count(*), 0, 0
FROM skill_outcome o, json_each(o.follow_up_actions) action WHERE action.type = 'text'
GROUP BY o.skill_name, action.value
"""
_SESSION_COLUMNS: Final = """
session_id, skill_name, invocation_count, completed_count, abandoned_count, first_invoked_at, last_invoked_at,
total_duration_us
"""
_SESSIONS: Final = f"""
SELECT i.session_id, i.skill_name, count(*), count(*) FILTER (WHERE o.outcome = 'completed'),
       count(*) FILTER (WHERE o.outcome <> 'completed'), min(i.invoked_at), max(i.invoked_at),
       coalesce(sum({_MICROSECONDS}) FILTER (WHERE {_TIMED}), 0)
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id IS NOT NULL GROUP BY i.session_id, i.skill_name
"""
_OPEN_COLUMNS: Final = "invocation_id, invoked_at"
_OPEN: Final = """
SELECT i.id, i.invoked_at FROM skill_invocation i
WHERE NOT EXISTS (SELECT 1 FROM skill_outcome o WHERE o.invocation_id = i.id)
"""

PROJECTIONS: Final = {
    "skill_metrics": (_METRICS_COLUMNS, _METRICS),
    "skill_metric_count": (_COUNT_COLUMNS, _COUNTS),
    "session_skill": (_SESSION_COLUMNS, _SESSIONS),
    "open_invocation": (_OPEN_COLUMNS, _OPEN),
}


def first_difference(connection: apsw.Connection) -> str | None:
    """Return the first row in which a derived table and the log disagree, None when all agree."""
    for table, (columns, derived) in PROJECTIONS.items():
        kept = f"SELECT {columns} FROM {table}"
        for missing in rows(connection, f"SELECT * FROM ({derived}) EXCEPT {kept} LIMIT 1"):
            return f"{table}: the log gives {missing}, which is not what is kept"
        for extra in rows(connection, f"{kept} EXCEPT SELECT * FROM ({derived}) LIMIT 1"):
            return f"{table}: {extra} is kept, but the log does not give it"
    return None


def rebuild(connection: apsw.Connection) -> None:
    """Replace every derived row by what the log gives, percentiles included, in the caller's transaction."""
    for table, (columns, derived) in PROJECTIONS.items():
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"INSERT INTO {table}({columns}) {derived}")
    names = [row[0] for row in rows(connection, "SELECT skill_name FROM skill_metrics")]
    refresh_percentiles(connection, names)
    connection.execute("DELETE FROM skill_metrics_summary")
