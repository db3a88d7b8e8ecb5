"""What ranking has learnt from outcomes, kept as sums."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec
import numpy as np

from store.contract.evidence import (
    AffinityCount,
    AffinityKind,
    CatalogueEntry,
    EvidenceChange,
    EvidenceSum,
    LearntWeights,
    OutcomeToLearn,
    QueryCell,
    RecordedChoice,
)
from store.contract.searches import ServedSkill
from store.query_hash import hash_of
from store.sqlite.database import Database
from store.sqlite.names import resolve
from store.sqlite.rows import encode, one, record, rows, value

# Uses further apart than this in one session do not count as one task.
TOGETHER_WITHIN_DAYS: Final = 4 / 24
# More than anybody looks through; a client that sends a whole catalogue has not considered all of it.
MOST_ALTERNATIVES: Final = 20
_NO_CELL: Final = -1

_STATE: Final = "SELECT learnt_outcome_seq, revision, epoch FROM ranking_state"
_PENDING: Final = "SELECT EXISTS (SELECT 1 FROM skill_outcome WHERE seq > ?)"
_OUTCOMES: Final = """
SELECT o.seq, o.skill_name, i.skill_version_id, o.outcome, o.finished_at, o.duration_seconds, o.source, i.user_id,
       i.session_id, i.workflow_phase, s.query_vector, s.model_id, i.search_id, i.user_query, i.user_query_hash,
       i.invoked_at, i.alternatives_considered
FROM skill_outcome o JOIN skill_invocation i ON i.id = o.invocation_id LEFT JOIN search s ON s.id = i.search_id
WHERE o.seq > ? ORDER BY o.seq LIMIT ?
"""
_QUERY: Final = """
SELECT query_vector, model_id FROM search WHERE query_hash = ? AND query_vector IS NOT NULL
ORDER BY searched_at DESC LIMIT 1
"""
_SERVED: Final = """
SELECT skill_name, EXISTS (SELECT 1 FROM json_each(components, '$.near_identical') WHERE value = :skill_name)
FROM search_result WHERE search_id = :search_id ORDER BY position
"""
_TAKEN: Final = "SELECT DISTINCT skill_name FROM skill_invocation WHERE search_id = ? AND invoked_at <= ?"
# Each pair is found once, when the later of its outcomes is learnt, whichever use came first.
_TOGETHER: Final = """
SELECT i.skill_name, i.invoked_at FROM skill_invocation i JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id = :session_id AND o.outcome = 'completed' AND o.seq < :seq AND i.skill_name <> :skill_name
  AND abs(julianday(i.invoked_at) - julianday(:invoked_at)) <= :within
"""
_ADD_CELL: Final = """
INSERT INTO query_cell(model_id, code, queries, vector_sum, revision) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (model_id, code) DO UPDATE SET
    queries = excluded.queries, vector_sum = excluded.vector_sum, revision = excluded.revision
RETURNING id
"""
_CELL: Final = "SELECT queries, vector_sum FROM query_cell WHERE model_id = ? AND code = ?"
_SUMS: Final = (
    "success",
    "failure",
    "timed",
    "log_seconds",
    "log_seconds_squared",
    "censored",
    "censored_log_seconds",
    "preferred",
    "passed_over",
    "squared",
)
_ADD_SUM: Final = f"""
INSERT INTO ranking_evidence(skill_name, version, cell, reporter_slot, {", ".join(_SUMS)}, revision)
VALUES (?, ?, ?, ?, {", ".join("?" for _ in _SUMS)}, ?)
ON CONFLICT (skill_name, version, cell, reporter_slot) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}, revision = excluded.revision
"""
_ADD_AFFINITY: Final = """
INSERT INTO ranking_affinity(kind, context, skill_name, successes) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, context, skill_name) DO UPDATE SET successes = successes + excluded.successes
"""
_LEARNT: Final = "UPDATE ranking_state SET learnt_outcome_seq = ?, revision = ?"
_CELLS_SINCE: Final = """
SELECT id, model_id, code, queries, vector_sum FROM query_cell WHERE revision > ? ORDER BY id
"""
_SUMS_SINCE: Final = f"""
SELECT skill_name, version, cell, reporter_slot, {", ".join(_SUMS)} FROM ranking_evidence WHERE revision > ?
ORDER BY skill_name, version, cell, reporter_slot
"""
_RENAMES: Final = """
SELECT r.old_name, r.new_name, old.id FROM skill_rename r
JOIN skills old ON old.skill_name = r.old_name JOIN skills new ON new.skill_name = r.new_name
WHERE old.removed_at IS NOT NULL ORDER BY r.old_name, new.removed_at IS NULL, new.id
"""
_UNSERVED: Final = """
SELECT value FROM json_each(?) used
WHERE NOT EXISTS (SELECT 1 FROM skills s WHERE s.skill_name = used.value AND s.removed_at IS NULL)
"""
# Above every skill's id.
_NO_SKILL: Final = 1 << 40
_CATALOGUE_SEQ: Final = "SELECT coalesce(max(index_seq), 0) FROM skills"
_CATALOGUE_SINCE: Final = """
SELECT s.skill_name, v.id, s.category FROM skills s
LEFT JOIN skill_version v ON v.skill_id = s.id AND v.content_hash = s.content_hash
WHERE s.index_seq > ? AND s.removed_at IS NULL
"""
_AFFINITIES: Final = """
SELECT context, skill_name, successes FROM ranking_affinity
WHERE kind = ? AND context IN ('', ?) AND skill_name IN (SELECT '' UNION ALL SELECT value FROM json_each(?))
"""
_LAST_SUCCESS: Final = """
SELECT i.skill_name FROM skill_invocation i JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.session_id = ? AND o.outcome = 'completed' ORDER BY o.finished_at DESC, o.seq DESC LIMIT 1
"""
_FORGET: Final = """
DELETE FROM ranking_evidence; DELETE FROM ranking_affinity; DELETE FROM query_cell;
UPDATE ranking_state SET learnt_outcome_seq = 0, revision = revision + 1, epoch = epoch + 1
"""
_CHOICES: Final = """
SELECT i.search_id, coalesce(i.user_id, i.session_id, ''), i.skill_name, o.outcome
FROM skill_outcome o JOIN skill_invocation i ON i.id = o.invocation_id
WHERE i.search_id IN (SELECT id FROM search) ORDER BY o.seq DESC LIMIT ?
"""
_SERVED_LINES: Final = """
SELECT position, skill_name, score, components FROM search_result WHERE search_id = ? ORDER BY position
"""
_WEIGHTS: Final = "SELECT version, weights, report, adopted_at FROM ranking_weights ORDER BY id DESC LIMIT 1"
_ADOPT: Final = "INSERT INTO ranking_weights(version, weights, report, adopted_at) VALUES (?, ?, ?, ?)"


class SqliteEvidence:
    """The `store.protocol.LearntEvidence` of one SQLite file."""

    _db: Database

    def outcomes_to_learn(self, *, limit: int) -> tuple[int, list[OutcomeToLearn]]:
        def query(connection: apsw.Connection) -> tuple[int, list[OutcomeToLearn]]:
            learnt, _, _ = _state(connection)
            if not value(connection, _PENDING, (learnt,)):
                return learnt, []
            return learnt, [_outcome(connection, row) for row in rows(connection, _OUTCOMES, (learnt, limit))]

        return self._db.read("outcomes_to_learn", query)

    def add_evidence(
        self,
        *,
        after: int,
        upto: int,
        cells: Sequence[QueryCell],
        sums: Sequence[EvidenceSum],
        affinities: Sequence[AffinityCount],
    ) -> bool:
        def unit(connection: apsw.Connection) -> bool:
            learnt, revision, _ = _state(connection)
            if learnt != after:
                return False
            revision += 1
            place = {(cell.model_id, cell.code): _add_cell(connection, cell, revision) for cell in cells}
            connection.executemany(
                _ADD_SUM,
                [
                    (
                        s.skill_name,
                        s.version,
                        _NO_CELL if s.query is None else place[s.query],
                        s.reporter_slot,
                        *s.sums,
                        revision,
                    )
                    for s in sums
                ],
            )
            connection.executemany(_ADD_AFFINITY, [(a.kind, a.context, a.skill_name, a.successes) for a in affinities])
            connection.execute(_LEARNT, (upto, revision))
            return True

        return self._db.offer("add_evidence", unit)()

    def evidence_since(self, epoch: int, revision: int, catalogue_seq: int) -> EvidenceChange:
        def query(connection: apsw.Connection) -> EvidenceChange:
            _, newest, lasting = _state(connection)
            seen, seen_seq = (revision, catalogue_seq) if epoch == lasting else (-1, -1)
            seq = value(connection, _CATALOGUE_SEQ)
            sums = rows(connection, _SUMS_SINCE, (seen,)) if newest > seen else []
            present = _present_names(connection, {row[0] for row in sums}) if sums else {}
            return EvidenceChange(
                epoch=lasting,
                revision=newest,
                catalogue_seq=seq,
                anew=epoch != lasting,
                cells=[record(QueryCell, row) for row in rows(connection, _CELLS_SINCE, (seen,))]
                if newest > seen
                else [],
                sums=[_under_present_name(row, present) for row in sums],
                catalogue=[record(CatalogueEntry, row) for row in rows(connection, _CATALOGUE_SINCE, (seen_seq,))]
                if seq > seen_seq
                else [],
            )

        return self._db.read("evidence_since", query)

    def affinities(self, kind: AffinityKind, context: str, skill_names: Sequence[str]) -> dict[tuple[str, str], float]:
        bindings = (kind, context, encode(list(skill_names)))
        found = self._db.read("affinities", lambda connection: rows(connection, _AFFINITIES, bindings))
        return {(row[0], row[1]): row[2] for row in found}

    def last_success(self, session_id: str) -> str | None:
        row = self._db.read("last_success", lambda connection: one(connection, _LAST_SUCCESS, (session_id,)))
        return str(row[0]) if row else None

    def forget_evidence(self) -> None:
        self._db.write("forget_evidence", lambda connection: rows(connection, _FORGET))

    def recorded_choices(self, *, limit: int) -> list[RecordedChoice]:
        def query(connection: apsw.Connection) -> list[RecordedChoice]:
            found = []
            for search_id, reporter, skill_name, outcome in rows(connection, _CHOICES, (limit,)):
                served = [
                    record(ServedSkill, line, json=frozenset({"components"}))
                    for line in rows(connection, _SERVED_LINES, (search_id,))
                ]
                found.append(
                    RecordedChoice(
                        search_id=search_id, reporter=reporter, skill_name=skill_name, outcome=outcome, served=served
                    )
                )
            return found

        return self._db.read("recorded_choices", query)

    def learnt_weights(self) -> LearntWeights | None:
        row = self._db.read("learnt_weights", lambda connection: one(connection, _WEIGHTS))
        return record(LearntWeights, row, json=frozenset({"weights", "report"})) if row else None

    def adopt_weights(self, version: str, weights: dict[str, Any], report: dict[str, Any]) -> None:
        bindings = (version, encode(weights), encode(report), self._db.now())
        self._db.write("adopt_weights", lambda connection: rows(connection, _ADOPT, bindings))


def _state(connection: apsw.Connection) -> tuple[int, int, int]:
    return one(connection, _STATE) or (0, 0, 0)


def _outcome(connection: apsw.Connection, row: tuple[Any, ...]) -> OutcomeToLearn:
    *told, search_id, user_query, user_query_hash, invoked_at, alternatives = row
    found = OutcomeToLearn(**dict(zip(OutcomeToLearn.__struct_fields__, told, strict=False)))
    query = user_query_hash if user_query is None else hash_of(user_query)
    if search_id is None and query:
        vector, model_id = one(connection, _QUERY, (query,)) or (None, None)
        found = msgspec.structs.replace(found, query_vector=vector, model_id=model_id)
    if found.outcome != "completed":
        return found
    served: list[str] = []
    taken: list[str] = []
    if search_id is not None:
        for name, stands_for_it in rows(connection, _SERVED, {"search_id": search_id, "skill_name": found.skill_name}):
            # A skill that was only named beside a near-identical one was right behind it for users who chose it, and
            # was not passed over by others.
            served += [name, found.skill_name] if stands_for_it else [name]
        taken = [name for (name,) in rows(connection, _TAKEN, (search_id, invoked_at))]
    considered = [
        resolve(connection, name).skill_name for name in msgspec.json.decode(alternatives)[:MOST_ALTERNATIVES]
    ]
    served = _with_considered(served, considered, found.skill_name)
    before: list[str] = []
    after: list[str] = []
    if found.session_id is not None:
        about = {
            "session_id": found.session_id,
            "seq": found.seq,
            "skill_name": found.skill_name,
            "invoked_at": invoked_at,
            "within": TOGETHER_WITHIN_DAYS,
        }
        for name, moment in rows(connection, _TOGETHER, about):
            (before if moment <= invoked_at else after).append(name)
    return msgspec.structs.replace(found, served=served, taken=taken, succeeded_before=before, succeeded_after=after)


def _with_considered(served: list[str], considered: list[str], chosen: str) -> list[str]:
    """Return a served list in which everything that was considered is above what was chosen.

    What the client says it considered was seen, wherever it was in the list and even without one.
    """
    seen = [name for name in dict.fromkeys(considered) if name != chosen]
    if not seen:
        return served
    place = served.index(chosen) if chosen in served else 0
    above = served[:place]
    below = [name for name in served[place:] if name not in {chosen, *seen}]
    return [*above, *(name for name in seen if name not in above), chosen, *below]


def _add_cell(connection: apsw.Connection, cell: QueryCell, revision: int) -> int:
    queries, total = cell.queries, np.frombuffer(cell.vector_sum, dtype=np.float32)
    kept = one(connection, _CELL, (cell.model_id, cell.code))
    if kept is not None:
        queries, total = queries + kept[0], total + np.frombuffer(kept[1], dtype=np.float32)
    return int(value(connection, _ADD_CELL, (cell.model_id, cell.code, queries, total.tobytes(), revision)))


def _renames(connection: apsw.Connection) -> dict[str, tuple[str, int]]:
    """Return for each former name the present one, through any number of renames, and the former skill's id."""
    found = rows(connection, _RENAMES)
    step = {old: new for old, new, _ in found}
    present = {}
    for old, _, skill_id in found:
        now, seen = old, {old}
        while now in step and step[now] not in seen:
            now = step[now]
            seen.add(now)
        present[old] = (now, skill_id)
    return present


def _present_names(connection: apsw.Connection, names: set[str]) -> dict[str, tuple[str, int]]:
    """Return the present name of each of these that is not the name of a served skill, and a number for the former.

    A renamed document keeps its evidence, and so does a skill that was used under another form of its name before it
    was indexed.
    """
    present = _renames(connection)
    for (name,) in rows(connection, _UNSERVED, (encode(sorted(names)),)):
        if name not in present and (meant := resolve(connection, name).skill_name) != name:
            present[name] = (meant, _NO_SKILL + zlib.crc32(name.encode()))
    return present


def _under_present_name(row: tuple[Any, ...], renamed: dict[str, tuple[str, int]]) -> tuple[Any, ...]:
    name, version, *rest = row
    if name not in renamed:
        return row
    present, skill_id = renamed[name]
    # Rows without a version must not collide with those of the present name; no real version is below -1.
    return (present, version if version >= 0 else -1 - skill_id, *rest)
