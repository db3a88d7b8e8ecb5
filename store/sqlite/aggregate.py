"""Counts the uses in this database and in others by project, skill and day, from where it stopped before."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from store.contract.aggregates import MetricsSource, SourceRun
from store.errors import SourceUnreadable
from store.sqlite.aggregate_reading import PROJECT_OF_SEARCH, SqliteAggregateReading
from store.sqlite.database import THOROUGH_DEADLINE_S
from store.sqlite.rows import one, record, rows, value
from store.sqlite.sources import read_source

_IDENTITY: Final = "SELECT id FROM store_identity"
_SOURCE: Final = """
SELECT id, location, invocation_seq, invocation_id, outcome_seq, outcome_of, search_seq, search_id FROM metrics_source
WHERE store_id = ?
"""
_SOURCES: Final = """
SELECT id, store_id, location, store_id = (SELECT id FROM store_identity), invocation_seq, aggregated_at
FROM metrics_source ORDER BY id
"""
_REVISION: Final = "SELECT coalesce(sum(revision), 0) FROM metrics_source"
# For each log: its newest row, and the row of a number.
_LOGS: Final = (("skill_invocation", "id"), ("skill_outcome", "invocation_id"), ("search_order", "search_id"))

_MICROSECONDS: Final = "CAST(round(o.duration_seconds * 1e6) AS INTEGER)"
_TIMED: Final = "o.outcome = 'completed' AND o.duration_seconds IS NOT NULL"
# What a use does not say, its session may.
_PROJECT: Final = "coalesce(i.project_id, (SELECT project_id FROM session WHERE id = i.session_id), '')"
_USER: Final = "coalesce(i.user_id, (SELECT user_id FROM session WHERE id = i.session_id))"
_CELLS: Final = f"""
SELECT substr(i.invoked_at, 1, 10), i.skill_name, {_PROJECT}, count(*),
       count(*) FILTER (WHERE o.outcome = 'completed'), count(*) FILTER (WHERE o.outcome = 'failed'),
       count(*) FILTER (WHERE o.outcome = 'abandoned'), count(*) FILTER (WHERE o.outcome = 'cancelled'),
       count(*) FILTER (WHERE {_TIMED}), coalesce(sum({_MICROSECONDS}) FILTER (WHERE {_TIMED}), 0),
       count(DISTINCT {_USER}), count(DISTINCT i.session_id),
       count(DISTINCT coalesce({_USER}, i.session_id, i.id))
FROM {{uses}} LEFT JOIN skill_outcome o ON o.invocation_id = i.id GROUP BY 1, 2, 3
"""
_ALL_CELLS: Final = _CELLS.format(uses="skill_invocation i")
# The skills and days of what was started or finished since the last run, which must be counted again.
_TOUCHED_CELLS: Final = """
WITH touched(skill_name, day) AS MATERIALIZED (
    SELECT skill_name, substr(invoked_at, 1, 10) FROM skill_invocation WHERE seq > :invocation_seq
    UNION
    SELECT i.skill_name, substr(i.invoked_at, 1, 10)
    FROM skill_outcome o JOIN skill_invocation i ON i.id = o.invocation_id WHERE o.seq > :outcome_seq)
""" + _CELLS.format(
    uses="touched t CROSS JOIN skill_invocation i ON i.skill_name = t.skill_name AND i.invoked_at >= t.day "
    "AND i.invoked_at < t.day || 'U'"
)
_USERS: Final = f"""
SELECT i.skill_name, {_PROJECT}, {_USER} AS who, substr(min(i.invoked_at), 1, 10), substr(max(i.invoked_at), 1, 10)
FROM skill_invocation i WHERE i.seq > :invocation_seq GROUP BY 1, 2, 3 HAVING who IS NOT NULL
"""
_SHOWN: Final = f"""
SELECT substr(s.searched_at, 1, 10), r.skill_name, {PROJECT_OF_SEARCH}, r.position, count(*), 0
FROM search_order n JOIN search s ON s.id = n.search_id JOIN search_result r ON r.search_id = s.id
WHERE n.seq > :search_seq GROUP BY 1, 2, 3, 4
"""
# A skill is chosen from a list once, however often it is then used. The list may be recorded after the use.
_TAKEN: Final = f"""
WITH pair AS (
    SELECT search_id, skill_name FROM skill_invocation WHERE seq > :invocation_seq AND search_id IS NOT NULL
    UNION
    SELECT i.search_id, i.skill_name FROM search_order n JOIN skill_invocation i ON i.search_id = n.search_id
    WHERE n.seq > :search_seq)
SELECT substr(s.searched_at, 1, 10), r.skill_name, {PROJECT_OF_SEARCH}, r.position, 0, count(*)
FROM pair JOIN search s ON s.id = pair.search_id JOIN search_order n ON n.search_id = s.id
     JOIN search_result r ON r.search_id = s.id AND r.skill_name = pair.skill_name
WHERE n.seq > :search_seq OR NOT EXISTS (
    SELECT 1 FROM skill_invocation earlier
    WHERE earlier.search_id = pair.search_id AND earlier.skill_name = pair.skill_name
      AND earlier.seq <= :invocation_seq)
GROUP BY 1, 2, 3, 4
"""

_ADD_SOURCE: Final = """
INSERT INTO metrics_source(store_id, location, invocation_seq, outcome_seq, search_seq, revision, aggregated_at)
VALUES (?, '', 0, 0, 0, 0, ?) ON CONFLICT DO NOTHING
"""
_SAVE_SOURCE: Final = """
UPDATE metrics_source SET location = ?, invocation_seq = ?, invocation_id = ?, outcome_seq = ?, outcome_of = ?,
       search_seq = ?, search_id = ?, revision = revision + 1, aggregated_at = ?
WHERE id = ?
"""
_DERIVED: Final = ("cross_project_metrics", "cross_project_user", "skill_exposure")
_COUNTS: Final = [
    *("invocations", "completed", "failed", "abandoned", "cancelled", "timed_completions", "total_duration_us"),
    *("users", "sessions", "reporters"),
]
_PUT_CELL: Final = f"""
INSERT INTO cross_project_metrics(source_id, day, skill_name, project_id, {", ".join(_COUNTS)})
VALUES (?, ?, ?, ?, {", ".join("?" for _ in _COUNTS)})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COUNTS)}
"""
_PUT_USER: Final = """
INSERT INTO cross_project_user(source_id, skill_name, project_id, user_id, first_day, last_day)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET first_day = min(first_day, excluded.first_day), last_day = max(last_day, excluded.last_day)
"""
_ADD_EXPOSURE: Final = """
INSERT INTO skill_exposure(source_id, day, skill_name, project_id, position, shown, taken) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET shown = shown + excluded.shown, taken = taken + excluded.taken
"""


class _Mark(NamedTuple):
    """The last row of a log that was read, and what it was about: (0, None) before the first."""

    seq: int = 0
    key: str | None = None


class _State(NamedTuple):
    """How far a database was counted: one mark for each of `_LOGS`."""

    location: str | None = None
    marks: tuple[_Mark, ...] = (_Mark(), _Mark(), _Mark())


class _Collected(NamedTuple):
    """What is new in a database, read on one snapshot."""

    run: SourceRun
    marks: tuple[_Mark, ...]
    cells: list[tuple[Any, ...]]
    users: list[tuple[Any, ...]]
    exposures: list[tuple[Any, ...]]


class SqliteAggregates(SqliteAggregateReading):
    """The `store.contract.aggregates.Aggregates` of one SQLite file."""

    def store_id(self) -> str:
        return self._db.read("store_id", _identity)

    def identify_source(self, source: Path) -> str:
        return read_source(source, _identity)

    def aggregate(self, source: Path | None = None) -> SourceRun:
        store_id = self.store_id() if source is None else self.identify_source(source)
        location = str((source or self._db.path).resolve())
        while True:
            state = self._db.read("metrics_source", partial(_state, store_id=store_id))
            collect = partial(_collect, store_id=store_id, location=location, state=state)
            if source is None:
                found = self._db.read("aggregate", collect, deadline_s=THOROUGH_DEADLINE_S)
            else:
                found = read_source(source, collect)
            if found.marks == state.marks and location == state.location:
                return found.run
            unit = partial(_write, found=found, state=state, now=self._db.now())
            # False: another process has counted the same in the meantime, so look again at what is left.
            if self._db.write("aggregate", unit):
                return found.run

    def metrics_sources(self) -> list[MetricsSource]:
        found = self._db.read("metrics_sources", lambda connection: rows(connection, _SOURCES))
        return [record(MetricsSource, (*row[:3], bool(row[3]), *row[4:])) for row in found]

    def aggregate_revision(self) -> int:
        return int(self._db.read("aggregate_revision", lambda connection: value(connection, _REVISION)))


def _identity(connection: apsw.Connection) -> str:
    return str(value(connection, _IDENTITY))


def _state(connection: apsw.Connection, *, store_id: str) -> _State:
    row = one(connection, _SOURCE, (store_id,))
    if row is None:
        return _State()
    _, location, *marks = row
    return _State(location, tuple(_Mark(*marks[at : at + 2]) for at in range(0, len(marks), 2)))


def _collect(connection: apsw.Connection, *, store_id: str, location: str, state: _State) -> _Collected:
    if _identity(connection) != store_id:
        raise SourceUnreadable(
            f"{location} was replaced by another file in the meantime; try again", cause="unreadable"
        )
    newest = tuple(
        _Mark(*(one(connection, f"SELECT seq, {key} FROM {log} ORDER BY seq DESC LIMIT 1") or ())) for log, key in _LOGS
    )
    anew = not all(_still_there(connection, *log, mark) for log, mark in zip(_LOGS, state.marks, strict=True))
    after = _State().marks if anew else state.marks
    since = dict(zip(("invocation_seq", "outcome_seq", "search_seq"), (mark.seq for mark in after), strict=True))
    read = [
        int(value(connection, f"SELECT count(*) FROM {log} WHERE seq > ?", (mark.seq,)))
        for (log, _), mark in zip(_LOGS, after, strict=True)
    ]
    # Beyond some share of the log, one pass over all of it is cheaper than looking days up one by one.
    sql, bound = (_ALL_CELLS, {}) if 2 * max(read[:2]) > newest[0].seq else (_TOUCHED_CELLS, since)
    cells = rows(connection, sql, bound) if read[0] or read[1] else []
    exposures = [row for sql in (_SHOWN, _TAKEN) for row in rows(connection, sql, since)] if read[0] or read[2] else []
    run = SourceRun(
        store_id=store_id,
        location=location,
        invocations=read[0],
        outcomes=read[1],
        searches=read[2],
        days=len({row[0] for row in cells} | {row[0] for row in exposures}),
        anew=anew,
    )
    return _Collected(run, newest, cells, rows(connection, _USERS, since) if read[0] else [], exposures)


def _still_there(connection: apsw.Connection, log: str, key: str, mark: _Mark) -> bool:
    return mark.seq == 0 or value(connection, f"SELECT {key} FROM {log} WHERE seq = ?", (mark.seq,)) == mark.key


def _write(connection: apsw.Connection, *, found: _Collected, state: _State, now: str) -> bool:
    store_id = found.run.store_id
    if _state(connection, store_id=store_id) != state:
        return False
    connection.execute(_ADD_SOURCE, (store_id, now))
    source_id = value(connection, _SOURCE, (store_id,))
    if found.run.anew:
        for table in _DERIVED:
            connection.execute(f"DELETE FROM {table} WHERE source_id = ?", (source_id,))
    connection.executemany(_PUT_CELL, [(source_id, *row) for row in found.cells])
    connection.executemany(_PUT_USER, [(source_id, *row) for row in found.users])
    connection.executemany(_ADD_EXPOSURE, [(source_id, *row) for row in found.exposures])
    marks = [cell for mark in found.marks for cell in mark]
    connection.execute(_SAVE_SOURCE, (found.run.location, *marks, now, source_id))
    return True
