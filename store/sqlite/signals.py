"""Skill signals: the only statement that writes them, and the charts that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import apsw

from store.buckets import bucket_starts
from store.clock import format_time, normalise_time, read_time
from store.contract.metrics import Bucket
from store.contract.signal_writes import NewSignals, SignalInsertion
from store.contract.signals import (
    Activity,
    CategoryTotal,
    Distribution,
    Momentum,
    MomentumBucket,
    Scope,
    Signal,
    SignalFilter,
    SkillTotal,
    SkillUse,
)
from store.errors import InvalidRecord, NotFound
from store.sqlite.database import Database
from store.sqlite.rows import encode, narrowed, one, record, rows, value

# The newest signals of a user or project that a search reads: enough to tell current work.
SCOPE_SIGNALS: Final = 2_000

_INSERT: Final = """
INSERT INTO user_skill_signals(user_id, skill_id, source_type, source_id, signal_type, project_id, weight, context,
                               created_at)
SELECT :user_id, declared.skill_id, :source_type, :source_id, :signal_type, :project_id, :weight, :context, :now
FROM json_each(:skill_ids) wanted
JOIN project_skills declared ON declared.project_id = :project_id AND declared.skill_id = wanted.value
WHERE NOT EXISTS (
    SELECT 1 FROM user_skill_signals known
    WHERE known.user_id = :user_id AND known.skill_id = declared.skill_id AND known.source_type = :source_type
      AND known.source_id = :source_id AND known.signal_type = :signal_type)
"""
_RECORDED: Final = """
SELECT count(*) FROM json_each(:skill_ids) wanted JOIN user_skill_signals known
ON known.user_id = :user_id AND known.skill_id = wanted.value AND known.source_type = :source_type
   AND known.source_id = :source_id AND known.signal_type = :signal_type
"""
_UNKNOWN_SKILL: Final = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM skills) LIMIT 1"
_PROJECT_OF: Final = {
    "project": "SELECT project_id FROM project_members WHERE project_id = ? AND user_id = ?",
    "update": "SELECT project_id FROM progress_updates WHERE id = ? AND user_id = ?",
}

# Labels come from the catalogue; every number below comes from user_skill_signals alone.
_LABELS: Final = "SELECT id, skill_name, category FROM skills WHERE id IN (SELECT value FROM json_each(?))"
_IDS_OF_NAMES: Final = "SELECT id, skill_name FROM skills WHERE skill_name IN (SELECT value FROM json_each(?))"
_ID_OF_NAME: Final = "SELECT id FROM skills WHERE skill_name = ?"
_IDS_OF_CATEGORY: Final = "SELECT json_group_array(id) FROM skills WHERE category = ?"

_ONE_OF: Final = "skill_id IN (SELECT value FROM json_each(?))"
# The plus keeps SQLite from collecting and sorting all signals of a category when the newest fifty are wanted.
_ONE_OF_UNSORTED: Final = "+skill_id IN (SELECT value FROM json_each(?))"
_TOTALS: Final = "SELECT skill_id, count(*), max(created_at) FROM user_skill_signals"
_COUNTS: Final = """
SELECT (SELECT count(*) FROM user_skill_signals {where} AND created_at >= edge.value ->> 0
                                                       AND created_at < edge.value ->> 1)
FROM json_each(?) edge ORDER BY edge.key
"""
_SIGNALS: Final = """
SELECT id, user_id, skill_id, source_type, source_id, signal_type, project_id, context, created_at
FROM user_skill_signals
"""
_DECLARED: Final = "SELECT skill_id FROM project_skills WHERE project_id = ?"
# The newest are found in an index that includes the skill; the table is read for these skills alone.
_USES: Final = """
WITH recent(id, skill_id, own) AS (
    SELECT * FROM (
        SELECT id, skill_id, 1 FROM user_skill_signals
        WHERE user_id = :user AND created_at >= :since ORDER BY created_at DESC LIMIT :most)
    UNION ALL
    SELECT * FROM (
        SELECT id, skill_id, 0 FROM user_skill_signals
        WHERE project_id = :project AND created_at >= :since ORDER BY created_at DESC LIMIT :most)
)
SELECT signal.skill_id, substr(signal.created_at, 1, 10) AS day, sum(signal.weight),
       sum(signal.signal_type = 'update' AND recent.own),
       sum(signal.signal_type = 'update' AND signal.project_id IS :project)
FROM recent CROSS JOIN user_skill_signals signal ON signal.id = recent.id
WHERE recent.skill_id IN (SELECT value FROM json_each(:skill_ids)) AND (recent.own OR signal.user_id IS NOT :user)
GROUP BY signal.skill_id, day ORDER BY signal.skill_id, day
"""


def insert_signals(connection: apsw.Connection, signals: NewSignals, now: str) -> SignalInsertion:
    """Append one event's signals. See `store.contract.projects.WorkTransaction.add_signals`."""
    if signals.source_type not in _PROJECT_OF:
        raise InvalidRecord(f"{signals.source_type} emits no skill signals", field="source_type")
    source = (signals.source_id, signals.user_id)
    project_id = value(connection, _PROJECT_OF[signals.source_type], source)
    if project_id is None:
        kind = "progress update" if signals.source_type == "update" else "project"
        raise NotFound(f"{kind} of the user {signals.user_id!r}", signals.source_id)
    wanted = sorted(set(signals.skill_ids))
    bindings: dict[str, Any] = {
        "user_id": signals.user_id,
        "source_type": signals.source_type,
        "source_id": signals.source_id,
        "signal_type": signals.signal_type,
        "project_id": project_id,
        "weight": signals.weight,
        "context": None if signals.context is None else encode(signals.context),
        "skill_ids": encode(wanted),
        "now": now,
    }
    connection.execute(_INSERT, bindings)
    inserted = connection.changes()
    if inserted == len(wanted):
        return SignalInsertion(inserted=inserted, recorded=0, undeclared=0)
    unknown = one(connection, _UNKNOWN_SKILL, (bindings["skill_ids"],))
    if unknown is not None:
        raise NotFound("skill", str(unknown[0]))
    recorded = value(connection, _RECORDED, bindings) - inserted
    return SignalInsertion(inserted=inserted, recorded=recorded, undeclared=len(wanted) - inserted - recorded)


class SqliteSignals:
    """The `store.contract.signals.Signals` of one SQLite file."""

    _db: Database

    def signal_distribution(self, wanted: SignalFilter) -> Distribution:
        def query(connection: apsw.Connection) -> Distribution:
            where, bound = _narrowed(connection, wanted)
            counted = rows(connection, f"{_TOTALS} {where} GROUP BY skill_id", bound)
            return _distribution(connection, counted)

        return self._db.read("signal_distribution", query)

    def signal_momentum(self, wanted: SignalFilter, *, bucket: Bucket, window: timedelta) -> Momentum:
        since, until = self._period(wanted, window)
        starts = bucket_starts(since, until, bucket)
        try:
            before = since - (until - since)
        except OverflowError as error:
            raise InvalidRecord("the preceding period starts before the calendar begins", field="since") from error
        inner = [max(start, since) for start in starts[1:]]
        edges = [*zip(inner, [*inner[1:], until], strict=True), (before, since), (starts[0], starts[1])]
        told = encode([(format_time(start), format_time(end)) for start, end in edges])

        def query(connection: apsw.Connection) -> list[int]:
            where, bound = _narrowed(connection, SignalFilter(**_without_time(wanted)))
            sql = _COUNTS.format(where=where or "WHERE true")
            return [row[0] for row in rows(connection, sql, (*bound, told))]

        *counts, total_before, first_before = self._db.read("signal_momentum", query)
        total = sum(counts)
        return Momentum(
            bucket=bucket,
            since=format_time(since),
            until=format_time(until),
            total=total,
            total_before=total_before,
            change=total - total_before,
            change_percent=100.0 * (total - total_before) / total_before if total_before else None,
            buckets=[
                MomentumBucket(time_bucket=format_time(start), signals=count, change=count - previous)
                for start, count, previous in zip(starts[1:], counts, [first_before, *counts], strict=False)
            ],
        )

    def signal_activity(self, wanted: SignalFilter, *, cursor: str | None = None, limit: int = 50) -> Activity:
        place = None if cursor is None else _read_cursor(cursor)

        def query(connection: apsw.Connection) -> Activity:
            where, bound = _narrowed(connection, wanted, one_of=_ONE_OF_UNSORTED)
            if place is not None:
                where = f"{where or 'WHERE true'} AND created_at <= ? AND (created_at < ? OR id < ?)"
                bound = (*bound, place[0], *place)
            sql = f"{_SIGNALS} {where} ORDER BY created_at DESC, id DESC LIMIT ?"
            found = rows(connection, sql, (*bound, limit + 1))
            page = found[:limit]
            labels = _labels(connection, {row[2] for row in page})
            last = page[-1] if len(found) > limit else None
            return Activity(
                signals=[
                    record(Signal, (*row[:2], *labels[row[2]], *row[3:]), json=frozenset({"context"})) for row in page
                ],
                next=f"{last[8]}_{last[0]}" if last else None,
            )

        return self._db.read("signal_activity", query)

    def scope(self, skill_names: Sequence[str], *, project_id: str | None, user_id: str | None, since: str) -> Scope:
        def query(connection: apsw.Connection) -> Scope:
            names = dict(rows(connection, _IDS_OF_NAMES, (encode(list(skill_names)),)))
            declared = frozenset(names[row[0]] for row in rows(connection, _DECLARED, (project_id,)) if row[0] in names)
            bindings = {
                "project": project_id,
                "user": user_id,
                "since": since,
                "most": SCOPE_SIGNALS,
                "skill_ids": encode(list(names)),
            }
            uses: dict[str, list[SkillUse]] = {}
            for skill_id, *cells in rows(connection, _USES, bindings):
                uses.setdefault(names[skill_id], []).append(record(SkillUse, tuple(cells)))
            return Scope(declared=declared, uses=uses)

        return self._db.read("scope", query)

    def _period(self, wanted: SignalFilter, window: timedelta) -> tuple[datetime, datetime]:
        try:
            # The present moment belongs to a period that ends now, and `until` is exclusive.
            until = read_time(wanted.until) if wanted.until else self._db.clock() + timedelta(microseconds=1)
            return read_time(wanted.since) if wanted.since else until - window, until
        except OverflowError as error:
            raise InvalidRecord("the period is outside the calendar", field="window") from error


def _narrowed(
    connection: apsw.Connection, wanted: SignalFilter, *, one_of: LiteralString = _ONE_OF
) -> tuple[str, tuple[Any, ...]]:
    skill_id = members = None
    if wanted.skill_name is not None:
        skill_id = value(connection, _ID_OF_NAME, (wanted.skill_name,))
        if skill_id is None:
            raise NotFound("skill", wanted.skill_name)
    if wanted.category is not None:
        members = value(connection, _IDS_OF_CATEGORY, (wanted.category,))
    return narrowed(
        ("user_id = ?", wanted.user_id),
        ("project_id = ?", wanted.project_id),
        ("skill_id = ?", skill_id),
        (one_of, members),
        ("created_at >= ?", normalise_time(wanted.since) if wanted.since else None),
        ("created_at < ?", normalise_time(wanted.until) if wanted.until else None),
    )


def _without_time(wanted: SignalFilter) -> dict[str, str | None]:
    return {field: getattr(wanted, field) for field in ("user_id", "project_id", "skill_name", "category")}


def _labels(connection: apsw.Connection, skill_ids: set[int]) -> dict[int, tuple[str, str | None]]:
    return {row[0]: row[1:] for row in rows(connection, _LABELS, (encode(sorted(skill_ids)),))}


def _distribution(connection: apsw.Connection, counted: list[tuple[Any, ...]]) -> Distribution:
    labels = _labels(connection, {row[0] for row in counted})
    total = sum(row[1] for row in counted)
    skills = [
        SkillTotal(
            skill_name=labels[skill_id][0],
            category=labels[skill_id][1],
            signals=signals,
            share=signals / total,
            last_at=last_at,
        )
        for skill_id, signals, last_at in counted
    ]
    categories: Counter[str | None] = Counter()
    for skill in skills:
        categories[skill.category] += skill.signals
    return Distribution(
        total=total,
        skills=sorted(skills, key=lambda skill: (-skill.signals, skill.skill_name)),
        categories=[
            CategoryTotal(category=category, signals=signals, share=signals / total)
            for category, signals in sorted(categories.items(), key=lambda pair: (-pair[1], pair[0] or ""))
        ],
    )


def _read_cursor(cursor: str) -> tuple[str, int]:
    moment, _, number = cursor.rpartition("_")
    if not (number.isascii() and number.isdigit() and len(number) < 19):  # noqa: PLR2004  what a 64-bit id has at most
        raise InvalidRecord("the cursor is not one that a page returned as `next`", field="cursor")
    return normalise_time(moment), int(number)
