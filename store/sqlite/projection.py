"""Derives the metrics from the log, compares the stored ones with that, and adds what was imported.

Each `Projection` defines one derived table. The triggers of V1 must maintain exactly this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import apsw

from store.sqlite.percentiles import refresh_percentiles
from store.sqlite.rows import rows

_TIMED: Final = "outcome = 'completed' AND duration_seconds IS NOT NULL"
_MICROSECONDS: Final = "CAST(round(duration_seconds * 1e6) AS INTEGER)"
_TOTAL_US: Final = f"coalesce(sum({_MICROSECONDS}) FILTER (WHERE {_TIMED}), 0)"
_COMPLETED: Final = "count(*) FILTER (WHERE outcome = 'completed')"
_NOT_COMPLETED: Final = "count(*) FILTER (WHERE outcome <> 'completed')"
_USE_COLUMNS: Final = """
i.id, i.skill_name, i.invoked_at, i.session_id, i.workflow_path, o.outcome, o.duration_seconds, o.error_type,
o.follow_up_actions
"""
# Each query starts with a definition of `use`: the whole log, or what an import has staged.
_LOG: Final = f"""
WITH use AS NOT MATERIALIZED (
    SELECT {_USE_COLUMNS} FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id)
"""
_STAGED: Final = f"""
WITH use AS NOT MATERIALIZED (
    SELECT {_USE_COLUMNS} FROM temp.staged_start i LEFT JOIN temp.staged_outcome o ON o.number = i.number)
"""


class Projection(NamedTuple):
    """A derived table: its columns, how uses determine them, and how that is merged with existing rows."""

    columns: str
    derived: str
    merge: str


def _added(*columns: str) -> str:
    return ", ".join(f"{column} = {column} + excluded.{column}" for column in columns)


PROJECTIONS: Final = {
    "skill_metrics": Projection(
        "skill_name, total_invocations, completed_invocations, abandoned_invocations, failed_invocations, "
        "cancelled_invocations, timed_completions, total_duration_us, min_duration_seconds, max_duration_seconds, "
        "first_invoked, last_invoked",
        f"""
SELECT skill_name, count(*), {_COMPLETED}, {_NOT_COMPLETED}, count(*) FILTER (WHERE outcome = 'failed'),
       count(*) FILTER (WHERE outcome = 'cancelled'), count(*) FILTER (WHERE {_TIMED}), {_TOTAL_US},
       min(duration_seconds) FILTER (WHERE {_TIMED}), max(duration_seconds) FILTER (WHERE {_TIMED}),
       min(invoked_at), max(invoked_at)
FROM use GROUP BY skill_name
""",
        "ON CONFLICT (skill_name) DO UPDATE SET "
        + _added(
            "total_invocations",
            "completed_invocations",
            "abandoned_invocations",
            "failed_invocations",
            "cancelled_invocations",
            "timed_completions",
            "total_duration_us",
        )
        + """,
        min_duration_seconds = coalesce(min(min_duration_seconds, excluded.min_duration_seconds),
                                        min_duration_seconds, excluded.min_duration_seconds),
        max_duration_seconds = coalesce(max(max_duration_seconds, excluded.max_duration_seconds),
                                        max_duration_seconds, excluded.max_duration_seconds),
        first_invoked = min(first_invoked, excluded.first_invoked),
        last_invoked = max(last_invoked, excluded.last_invoked)
""",
    ),
    "skill_metric_count": Projection(
        "skill_name, kind, value, n, timed_completions, total_duration_us",
        f"""
SELECT skill_name, 'workflow_path', workflow_path, count(*), count(*) FILTER (WHERE {_TIMED}), {_TOTAL_US}
FROM use WHERE workflow_path IS NOT NULL GROUP BY skill_name, workflow_path
UNION ALL
SELECT skill_name, 'error_type', error_type, count(*), 0, 0
FROM use WHERE error_type IS NOT NULL GROUP BY skill_name, error_type
UNION ALL
SELECT acted.skill_name, 'follow_up_action', action.value, count(*), 0, 0
FROM (SELECT skill_name, follow_up_actions FROM use WHERE follow_up_actions <> '[]') acted,
     json_each(acted.follow_up_actions) action
WHERE action.type = 'text' GROUP BY acted.skill_name, action.value
""",
        "ON CONFLICT (skill_name, kind, value) DO UPDATE SET " + _added("n", "timed_completions", "total_duration_us"),
    ),
    "skill_hour": Projection(
        "skill_name, hour, invocations, completed, finished, timed_completions, total_duration_us",
        f"""
SELECT skill_name, substr(invoked_at, 1, 13) AS hour, count(*), {_COMPLETED}, count(outcome),
       count(*) FILTER (WHERE {_TIMED}), {_TOTAL_US}
FROM use GROUP BY skill_name, hour
""",
        "ON CONFLICT (skill_name, hour) DO UPDATE SET "
        + _added("invocations", "completed", "finished", "timed_completions", "total_duration_us"),
    ),
    "session_skill": Projection(
        "session_id, skill_name, invocation_count, completed_count, abandoned_count, first_invoked_at, "
        "last_invoked_at, total_duration_us",
        f"""
SELECT session_id, skill_name, count(*), {_COMPLETED}, {_NOT_COMPLETED}, min(invoked_at), max(invoked_at),
       {_TOTAL_US}
FROM use WHERE session_id IS NOT NULL GROUP BY session_id, skill_name
""",
        "ON CONFLICT (session_id, skill_name) DO UPDATE SET "
        + _added("invocation_count", "completed_count", "abandoned_count", "total_duration_us")
        + """,
        first_invoked_at = min(first_invoked_at, excluded.first_invoked_at),
        last_invoked_at = max(last_invoked_at, excluded.last_invoked_at)
""",
    ),
    "open_invocation": Projection(
        "invocation_id, invoked_at",
        "SELECT id, invoked_at FROM use WHERE outcome IS NULL",
        "",
    ),
}


@contextmanager
def counted_together(connection: apsw.Connection) -> Iterator[None]:
    """Disable the counting triggers inside the block, and count the staged rows at its end.

    The block must add to the log exactly what `store.sqlite.importing` has staged.
    """
    connection.execute("INSERT INTO projection_paused(only_row) VALUES (1)")
    yield
    connection.execute("DELETE FROM projection_paused")
    for table, (columns, derived, merge) in PROJECTIONS.items():
        connection.execute(f"{_STAGED} INSERT INTO {table}({columns}) SELECT * FROM ({derived}) WHERE true {merge}")


def first_difference(connection: apsw.Connection) -> str | None:
    """Return the first row in which a derived table differs from the log, None when there is none."""
    for table, (columns, derived, _) in PROJECTIONS.items():
        both = f"{_LOG}, derived AS MATERIALIZED ({derived}), kept AS (SELECT {columns} FROM {table})"
        found = rows(
            connection,
            f"{both} SELECT * FROM (SELECT 0, * FROM (SELECT * FROM derived EXCEPT SELECT * FROM kept) LIMIT 1) "
            "UNION ALL SELECT * FROM (SELECT 1, * FROM (SELECT * FROM kept EXCEPT SELECT * FROM derived) LIMIT 1)",
        )
        for extra, *row in found:
            told = ", ".join(map(repr, row))
            if extra:
                return f"{table}: ({told}) is stored, but does not follow from the log"
            return f"{table}: the log gives ({told}), which is not what is stored"
    return None


def rebuild(connection: apsw.Connection) -> None:
    """Replace every derived row, percentiles included, by what the log gives, in the caller's transaction."""
    for table, (columns, derived, _) in PROJECTIONS.items():
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"{_LOG} INSERT INTO {table}({columns}) {derived}")
    names = [row[0] for row in rows(connection, "SELECT skill_name FROM skill_metrics")]
    refresh_percentiles(connection, names)
    connection.execute("DELETE FROM skill_metrics_summary")
    connection.execute("DELETE FROM projection_paused")
