"""Reads the metrics that the triggers maintain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import apsw
import msgspec

from store.buckets import BUCKET_S, MAX_BUCKETS, WEEK_OFFSET_S
from store.clock import format_time
from store.contract.metrics import (
    Bucket,
    MetricsSummary,
    SessionSkill,
    SkillMetrics,
    Tally,
    TimelineBucket,
    WorkflowPath,
)
from store.errors import InvalidRecord
from store.sqlite.database import THOROUGH_DEADLINE_S, Database
from store.sqlite.fulltext import match_all_prefixes
from store.sqlite.names import resolve
from store.sqlite.percentiles import refresh_percentiles
from store.sqlite.projection import first_difference, rebuild
from store.sqlite.rows import encode, one, record, rows, value

TOP: Final = 10
HOUR_CHARACTERS: Final = 13  # of a time as the store writes it

_METRICS: Final = """
SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations, failed_invocations,
       cancelled_invocations, running_invocations, timed_completions, total_duration_seconds, avg_duration_seconds,
       min_duration_seconds, max_duration_seconds, p50_duration_seconds, p95_duration_seconds, p99_duration_seconds,
       percentile_count, completion_rate, first_invoked, last_invoked
FROM skill_metrics WHERE :name IS NULL OR skill_name = :name ORDER BY total_invocations DESC, skill_name
"""
_MAPS: Final = """
SELECT skill_name, kind, value, n FROM skill_metric_count WHERE :name IS NULL OR skill_name = :name
ORDER BY n DESC, value
"""
_TALLIES: Final = """
SELECT m.skill_name, m.completed_invocations, m.failed_invocations,
       m.abandoned_invocations - m.failed_invocations - m.cancelled_invocations, m.cancelled_invocations,
       m.timed_completions, m.avg_duration_seconds, m.p50_duration_seconds, m.last_invoked
FROM json_each(?) wanted JOIN skill_metrics m ON m.skill_name = wanted.value
"""
# Few at a time, so that nobody waits long for the writer.
_STALE_PERCENTILES: Final = "SELECT skill_name FROM skill_metrics WHERE percentile_count <> timed_completions LIMIT 20"
_USED: Final = "SELECT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?)"
_WATERMARK: Final = """
SELECT coalesce((SELECT max(seq) FROM skill_invocation), 0) || ':' || coalesce((SELECT max(seq) FROM skill_outcome), 0)
"""
_SUMMARY: Final = "SELECT watermark, summary FROM skill_metrics_summary"
_STORE_SUMMARY: Final = """
INSERT INTO skill_metrics_summary(only_row, watermark, refreshed_at, summary) VALUES (1, ?, ?, ?)
ON CONFLICT DO UPDATE SET watermark = excluded.watermark, refreshed_at = excluded.refreshed_at,
                          summary = excluded.summary
"""
_TOTALS: Final = """
SELECT count(*), coalesce(sum(total_invocations), 0), coalesce(sum(completed_invocations), 0),
       coalesce(sum(completed_invocations + abandoned_invocations), 0), coalesce(sum(running_invocations), 0),
       sum(total_duration_us) / 1e6 / nullif(sum(timed_completions), 0)
FROM skill_metrics
"""
_MOST_USED: Final = """
SELECT skill_name, total_invocations FROM skill_metrics ORDER BY total_invocations DESC, skill_name LIMIT 1
"""
_TOP_VALUES: Final = """
SELECT value, sum(n) AS total FROM skill_metric_count WHERE kind = ? GROUP BY value ORDER BY total DESC, value LIMIT ?
"""
_TIMELINE: Final = """
SELECT (unixepoch(i.invoked_at) + :offset) / :step AS slot, count(*), count(*) FILTER (WHERE o.outcome = 'completed'),
       count(o.outcome), sum(o.duration_seconds) FILTER (WHERE o.outcome = 'completed'),
       count(o.duration_seconds) FILTER (WHERE o.outcome = 'completed')
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.skill_name = :name AND i.invoked_at >= :since AND i.invoked_at <= :until GROUP BY slot
"""
_TIMELINE_HOURS: Final = """
SELECT (unixepoch(hour || ':00') + :offset) / :step AS slot, sum(invocations), sum(completed), sum(finished),
       sum(total_duration_us) / 1e6, sum(timed_completions)
FROM skill_hour WHERE skill_name = :name AND hour >= :since_hour AND hour < :until_hour GROUP BY slot
"""
_PATHS: Final = """
SELECT c.skill_name, c.value, c.n, c.total_duration_us / 1e6 / nullif(c.timed_completions, 0)
FROM workflow_path_fts f JOIN skill_metric_count c ON c.id = f.rowid
WHERE workflow_path_fts MATCH ? ORDER BY c.n DESC, c.skill_name, c.value LIMIT ?
"""
_SESSION_SKILLS: Final = """
SELECT session_id, skill_name, invocation_count, completed_count, abandoned_count, first_invoked_at, last_invoked_at,
       total_duration_seconds
FROM session_skill WHERE session_id = ? ORDER BY invocation_count DESC, skill_name
"""
_MAP_FIELDS: Final = {
    "workflow_path": "workflow_paths",
    "error_type": "common_errors",
    "follow_up_action": "follow_up_actions",
}


class SqliteMetrics:
    """The `store.protocol.Metrics` of one SQLite file."""

    _db: Database

    def skill_metrics(self, skill_name: str) -> SkillMetrics | None:
        def query(connection: apsw.Connection) -> list[SkillMetrics]:
            return _metrics(connection, _used_name(connection, skill_name))

        found = self._db.read("skill_metrics", query)
        return found[0] if found else None

    def all_metrics(self) -> list[SkillMetrics]:
        return self._db.read("all_metrics", lambda connection: _metrics(connection, None))

    def tallies(self, skill_names: Sequence[str]) -> dict[str, Tally]:
        found = self._db.read("tallies", lambda connection: rows(connection, _TALLIES, (encode(list(skill_names)),)))
        return {row[0]: record(Tally, row) for row in found}

    def summary(self) -> MetricsSummary:
        def query(connection: apsw.Connection) -> tuple[bool, str, MetricsSummary]:
            watermark = value(connection, _WATERMARK)
            kept = one(connection, _SUMMARY)
            if kept is not None and kept[0] == watermark:
                return True, watermark, msgspec.json.decode(kept[1], type=MetricsSummary)
            return False, watermark, _summarise(connection, self._db.now())

        fresh, watermark, summary = self._db.read("summary", query)
        if not fresh:
            bindings = (watermark, summary.refreshed_at, encode(summary))
            # Not waited for: it can be computed again, whether or not it is kept.
            self._db.offer("refresh_summary", lambda connection: rows(connection, _STORE_SUMMARY, bindings))
        return summary

    def timeline(self, skill_name: str, *, window: timedelta, bucket: Bucket) -> list[TimelineBucket]:
        step = BUCKET_S[bucket]
        offset = WEEK_OFFSET_S if bucket == "week" else 0
        now = self._db.clock()
        try:
            since = now - window
        except OverflowError as error:
            raise InvalidRecord("the window starts before the calendar begins", field="window") from error
        first, last = (int(moment.timestamp() + offset) // step for moment in (since, now))
        if last - first >= MAX_BUCKETS:
            raise InvalidRecord(
                f"{last - first + 1} buckets are too many (the limit is {MAX_BUCKETS}): take a shorter window or a "
                "larger bucket",
                field="bucket",
            )
        since_text = format_time(datetime.fromtimestamp(first * step - offset, UTC))
        until_text = format_time(now)
        bindings = {
            "since": since_text,
            "until": until_text,
            "since_hour": since_text[:HOUR_CHARACTERS],
            "until_hour": until_text[:HOUR_CHARACTERS],
            "step": step,
            "offset": offset,
        }

        def query(connection: apsw.Connection) -> list[tuple[Any, ...]]:
            names = {"name": _used_name(connection, skill_name)}
            if bucket == "minute":
                return rows(connection, _TIMELINE, bindings | names)
            # Whole hours are counted already; the current one is incomplete and may contain later uses too.
            present = max(since_text, until_text[:HOUR_CHARACTERS])
            return rows(connection, _TIMELINE_HOURS, bindings | names) + rows(
                connection, _TIMELINE, bindings | names | {"since": present}
            )

        totals: dict[int, list[Any]] = {}
        for slot, *figures in self._db.read("timeline", query):
            known = totals.setdefault(slot, [0, 0, 0, 0.0, 0])
            totals[slot] = [before + (more or 0) for before, more in zip(known, figures, strict=True)]
        return [
            _bucket(format_time(datetime.fromtimestamp(slot * step - offset, UTC)), totals.get(slot))
            for slot in range(first, last + 1)
        ]

    def search_workflow_paths(self, text: str, *, limit: int = 100) -> list[WorkflowPath]:
        match = match_all_prefixes(text)
        if match is None:
            return []
        found = self._db.read("search_workflow_paths", lambda connection: rows(connection, _PATHS, (match, limit)))
        return [record(WorkflowPath, row) for row in found]

    def session_skills(self, session_id: str) -> list[SessionSkill]:
        found = self._db.read("session_skills", lambda connection: rows(connection, _SESSION_SKILLS, (session_id,)))
        return [record(SessionSkill, row) for row in found]

    def refresh_percentiles(self, skill_names: Sequence[str]) -> None:
        def unit(connection: apsw.Connection) -> None:
            refresh_percentiles(connection, [_used_name(connection, name) for name in skill_names])

        self._db.write("refresh_percentiles", unit)

    def refresh_stale_percentiles(self) -> int:
        def unit(connection: apsw.Connection) -> int:
            # Looked up inside the unit: another process may have refreshed them in the meantime.
            stale = [row[0] for row in rows(connection, _STALE_PERCENTILES)]
            refresh_percentiles(connection, stale)
            return len(stale)

        total = 0
        while self._db.read("stale_percentiles", lambda connection: rows(connection, _STALE_PERCENTILES)):
            total += self._db.write("refresh_percentiles", unit)
        return total

    def first_difference(self) -> str | None:
        return self._db.read("first_difference", first_difference, deadline_s=THOROUGH_DEADLINE_S)

    def rebuild(self) -> None:
        self._db.write("rebuild", rebuild)


def _used_name(connection: apsw.Connection, given: str) -> str:
    """Return `given` if uses were recorded under exactly this name, else the name of the skill that it means."""
    if value(connection, _USED, (given,)):
        return given
    return resolve(connection, given).skill_name


def _metrics(connection: apsw.Connection, name: str | None) -> list[SkillMetrics]:
    maps: dict[str, dict[str, dict[str, int]]] = {}
    for skill_name, kind, counted, n in rows(connection, _MAPS, {"name": name}):
        maps.setdefault(skill_name, {}).setdefault(_MAP_FIELDS[kind], {})[counted] = n
    found = []
    for row in rows(connection, _METRICS, {"name": name}):
        own = maps.get(row[0], {})
        found.append(record(SkillMetrics, (*row, *(own.get(field, {}) for field in _MAP_FIELDS.values()))))
    return found


def _summarise(connection: apsw.Connection, now: str) -> MetricsSummary:
    skills, total, completed, finished, running, average = one(connection, _TOTALS) or (0, 0, 0, 0, 0, None)
    most_used, most_used_count = one(connection, _MOST_USED) or (None, 0)
    return msgspec.convert(
        {
            "total_skills": skills,
            "total_invocations": total,
            "completed_invocations": completed,
            "finished_invocations": finished,
            "running_invocations": running,
            "overall_completion_rate": 100.0 * completed / finished if finished else None,
            "most_used_skill": most_used,
            "most_used_count": most_used_count,
            "avg_duration_seconds": average,
            "top_errors": _top(connection, "error_type"),
            "top_workflow_paths": _top(connection, "workflow_path"),
            "refreshed_at": now,
        },
        MetricsSummary,
    )


def _top(connection: apsw.Connection, kind: str) -> list[dict[str, Any]]:
    return [{"value": row[0], "n": row[1]} for row in rows(connection, _TOP_VALUES, (kind, TOP))]


def _bucket(start: str, totals: list[Any] | None) -> TimelineBucket:
    invocations, completed, finished, seconds, timed = totals or (0, 0, 0, 0.0, 0)
    return TimelineBucket(
        time_bucket=start,
        invocations=invocations,
        completed=completed,
        finished=finished,
        avg_duration=seconds / timed if timed else None,
    )
