"""Skills, their documents and the generations of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import numpy as np
from numpy.typing import NDArray

from store.contract.catalogue import (
    Chunk,
    DocumentState,
    DocumentWrite,
    Generation,
    IndexRun,
    SkillRecord,
    SkillVersion,
)
from store.errors import Conflict, InvalidRecord, NotFound
from store.sqlite.chunk_vectors import forget_generation_chunks, forget_skill_chunks, write_chunks
from store.sqlite.database import Database
from store.sqlite.fulltext import searchable
from store.sqlite.index_lock import take_turn
from store.sqlite.names import write_aliases
from store.sqlite.rows import encode, one, record, require_same, rows, value

_SKILL_COLUMNS: Final = """
id, skill_name, declared_name, category, description, document_path, root, content_hash, license, compatibility,
allowed_tools, metadata, problems, copies, first_indexed_at, last_indexed_at, removed_at
"""
_SKILL_JSON: Final = frozenset({"allowed_tools", "metadata", "problems", "copies"})
_SKILL: Final = f"SELECT {_SKILL_COLUMNS} FROM skills WHERE skill_name = ?"
_SERVED: Final = "document_path IS NOT NULL AND removed_at IS NULL"
_SKILLS: Final = f"""
SELECT {_SKILL_COLUMNS} FROM skills
WHERE skill_name > :after AND (:category IS NULL OR category = :category)
  AND (removed_at IS NOT NULL) = :removed AND (document_path IS NULL) = :declared
ORDER BY skill_name LIMIT :limit
"""
_SKILLS_NAMED: Final = f"""
SELECT {_SKILL_COLUMNS} FROM skills
WHERE skill_name IN (SELECT value FROM json_each(?)) AND document_path IS NOT NULL AND removed_at IS NULL
"""
_VERSIONS: Final = """
SELECT v.id, v.content_hash, v.size_bytes, v.first_indexed_at, v.last_indexed_at
FROM skill_version v JOIN skills s ON s.id = v.skill_id WHERE s.skill_name = ?
ORDER BY v.last_indexed_at DESC, v.id DESC
"""
_CHUNKS: Final = """
SELECT s.skill_name, c.ordinal, c.kind, c.heading, c.text, c.span_start, c.span_end
FROM json_each(?) wanted JOIN skills s ON s.skill_name = wanted.value JOIN skill_chunk c ON c.skill_id = s.id
ORDER BY s.skill_name, c.ordinal
"""
_DOCUMENTS: Final = f"""
SELECT s.id, s.skill_name, s.declared_name, s.document_path, s.root, s.content_hash, s.copies, s.problems,
       s.file_stamp, e.content_hash IS s.content_hash
FROM skills s LEFT JOIN skill_embedded e ON e.skill_id = s.id AND e.generation = ?
WHERE {_SERVED} ORDER BY s.document_path
"""
_COUNTS: Final = f"SELECT count(*) FILTER (WHERE {_SERVED}), count(*) FILTER (WHERE removed_at IS NOT NULL) FROM skills"

_GENERATION_COLUMNS: Final = "generation, status, model_id, dimension, chunks_schema, started_at, live_at"
_GENERATION: Final = f"SELECT {_GENERATION_COLUMNS} FROM index_state WHERE status = ?"
_GENERATION_BY_ID: Final = f"SELECT {_GENERATION_COLUMNS} FROM index_state WHERE generation = ?"
_ADD_GENERATION: Final = """
INSERT INTO index_state(status, model_id, dimension, chunks_schema, started_at, live_at)
VALUES (:status, :model_id, :dimension, :chunks_schema, :now, CASE :status WHEN 'live' THEN :now END)
RETURNING generation
"""
_SET_STATUS: Final = (
    "UPDATE index_state SET status = :status, live_at = coalesce(live_at, :live_at) WHERE generation = :generation"
)

_NEXT_SEQ: Final = "SELECT coalesce(max(index_seq), 0) + 1 FROM skills"
_WRITE_SKILL: Final = """
INSERT INTO skills(skill_name, declared_name, category, description, document_path, root, content_hash, license,
                   compatibility, allowed_tools, metadata, problems, copies, file_stamp, index_seq, first_indexed_at,
                   last_indexed_at)
VALUES (:skill_name, :declared_name, :category, :description, :document_path, :root, :content_hash, :license,
        :compatibility, :allowed_tools, :metadata, :problems, :copies, :file_stamp, :seq, :now, :now)
ON CONFLICT (skill_name) DO UPDATE SET
    declared_name = excluded.declared_name, category = coalesce(excluded.category, category),
    description = excluded.description, document_path = excluded.document_path, root = excluded.root,
    content_hash = excluded.content_hash, license = excluded.license, compatibility = excluded.compatibility,
    allowed_tools = excluded.allowed_tools, metadata = excluded.metadata, problems = excluded.problems,
    copies = excluded.copies, file_stamp = excluded.file_stamp, index_seq = excluded.index_seq,
    first_indexed_at = coalesce(first_indexed_at, excluded.first_indexed_at),
    last_indexed_at = excluded.last_indexed_at, removed_at = NULL
RETURNING id
"""
_OTHER_AT_PATH: Final = """
SELECT id, skill_name FROM skills WHERE document_path = ? AND skill_name <> ? AND removed_at IS NULL
"""
_WRITE_VERSION: Final = """
INSERT INTO skill_version(skill_id, content_hash, size_bytes, first_indexed_at, last_indexed_at)
VALUES (?1, ?2, ?3, ?4, ?4)
ON CONFLICT (skill_id, content_hash) DO UPDATE SET last_indexed_at = excluded.last_indexed_at
"""
_DROP_CHUNKS: Final = "DELETE FROM skill_chunk WHERE skill_id = ?"
_WRITE_CHUNK: Final = """
INSERT INTO skill_chunk(skill_id, ordinal, kind, heading, text, span_start, span_end) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DROP_TEXT: Final = "DELETE FROM skill_fts WHERE rowid = ?"
_WRITE_TEXT: Final = "INSERT INTO skill_fts(rowid, name, description, body) VALUES (?, ?, ?, ?)"
_MARK_EMBEDDED: Final = """
INSERT INTO skill_embedded(generation, skill_id, content_hash) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET content_hash = excluded.content_hash
"""
# Two documents may have swapped places. The other one is given its own next, or is found by the next run.
_VACATE_PATH: Final = """
UPDATE skills SET document_path = NULL, index_seq = ? WHERE document_path = ? AND id <> ? AND removed_at IS NULL
"""
# A new `index_seq` says that a document began or ceased to be served, not that its file was moved.
_UPDATE_PLACE: Final = """
UPDATE skills SET document_path = ?, root = ?, copies = ?, problems = ?,
                  index_seq = CASE WHEN document_path IS NULL THEN ? ELSE index_seq END
WHERE id = ?
"""
_REMOVE: Final = "UPDATE skills SET removed_at = ?, index_seq = ? WHERE id = ? AND removed_at IS NULL"
_NOTE_STAMP: Final = "UPDATE skills SET file_stamp = ? WHERE id = ?"
# Replaced, so that the trigger that announces renames fires again when a skill goes back to an earlier name.
_NOTE_RENAME: Final = "INSERT OR REPLACE INTO skill_rename(old_name, new_name) VALUES (?, ?)"
_RUN: Final = "SELECT id, started_at, finished_at, roots, report FROM index_run WHERE id = ?"
_ADD_RUN: Final = "INSERT INTO index_run(id, started_at, finished_at, roots, report) VALUES (?, ?, ?, ?, ?)"
# By number, never by time: a run under a clock that was ahead must not stay the last one.
_LAST_RUN: Final = "SELECT id, started_at, finished_at, roots, report FROM index_run ORDER BY seq DESC LIMIT 1"
# Only recent runs are of use.
_FORGET_RUNS: Final = "DELETE FROM index_run WHERE seq <= (SELECT max(seq) FROM index_run) - 50"

_RUN_JSON: Final = frozenset({"roots", "report"})

LIVE_VECTORS: Final = "skill_vector"
NEXT_VECTORS: Final = "skill_vector_next"


class SqliteCatalogue:
    """The `store.protocol.Catalogue` of one SQLite file."""

    _db: Database

    def skill(self, skill_name: str) -> SkillRecord:
        row = self._db.read("skill", lambda connection: one(connection, _SKILL, (skill_name,)))
        if row is None:
            raise NotFound("skill", skill_name)
        return record(SkillRecord, row, json=_SKILL_JSON)

    def skills(
        self,
        *,
        after: str = "",
        limit: int = 100,
        category: str | None = None,
        removed: bool = False,
        declared: bool = False,
    ) -> list[SkillRecord]:
        bindings = {
            "after": after,
            "limit": limit,
            "category": category,
            "removed": removed,
            "declared": declared,
        }
        found = self._db.read("skills", lambda connection: rows(connection, _SKILLS, bindings))
        return [record(SkillRecord, row, json=_SKILL_JSON) for row in found]

    def skills_named(self, skill_names: Sequence[str]) -> dict[str, SkillRecord]:
        wanted = encode(list(skill_names))
        found = self._db.read("skills_named", lambda connection: rows(connection, _SKILLS_NAMED, (wanted,)))
        return {row[1]: record(SkillRecord, row, json=_SKILL_JSON) for row in found}

    def versions(self, skill_name: str) -> list[SkillVersion]:
        def query(connection: apsw.Connection) -> list[SkillVersion]:
            if one(connection, _SKILL, (skill_name,)) is None:
                raise NotFound("skill", skill_name)
            return [record(SkillVersion, row) for row in rows(connection, _VERSIONS, (skill_name,))]

        return self._db.read("versions", query)

    def chunks(self, skill_names: Sequence[str]) -> dict[str, list[Chunk]]:
        def query(connection: apsw.Connection) -> dict[str, list[Chunk]]:
            found: dict[str, list[Chunk]] = {}
            for name, *cells in rows(connection, _CHUNKS, (encode(list(skill_names)),)):
                found.setdefault(name, []).append(record(Chunk, tuple(cells)))
            return found

        return self._db.read("chunks", query)

    def documents(self, generation: int | None = None) -> list[DocumentState]:
        def query(connection: apsw.Connection) -> list[DocumentState]:
            return [
                record(DocumentState, (*row[:-1], bool(row[-1])), json=frozenset({"copies", "problems"}))
                for row in rows(connection, _DOCUMENTS, (generation,))
            ]

        return self._db.read("documents", query)

    def counts(self) -> tuple[int, int]:
        served, removed = self._db.read("counts", lambda connection: one(connection, _COUNTS)) or (0, 0)
        return served, removed

    def live_generation(self) -> Generation | None:
        return self._db.read("live_generation", lambda connection: _generation(connection, "live"))

    def building_generation(self) -> Generation | None:
        return self._db.read("building_generation", lambda connection: _generation(connection, "building"))

    def open_generation(self, model_id: str, dimension: int, chunks_schema: int) -> Generation:
        wanted = (model_id, dimension, chunks_schema)

        def unit(connection: apsw.Connection) -> Generation:
            live = _generation(connection, "live")
            if live and _made_with(live) == wanted:
                _drop_building(connection)
                return live
            building = _generation(connection, "building")
            if building and _made_with(building) == wanted:
                return building
            _drop_building(connection)
            status = "building" if live else "live"
            _create_vectors(connection, NEXT_VECTORS if live else LIVE_VECTORS, dimension)
            number = value(
                connection,
                _ADD_GENERATION,
                {
                    "status": status,
                    "model_id": model_id,
                    "dimension": dimension,
                    "chunks_schema": chunks_schema,
                    "now": self._db.now(),
                },
            )
            return record(Generation, one(connection, _GENERATION_BY_ID, (number,)) or ())

        return self._db.write("open_generation", unit)

    def write_document(self, document: DocumentWrite, generation: int) -> int:
        def unit(connection: apsw.Connection) -> int:
            table = _vector_table(connection, generation, document)
            now = self._db.now()
            former = [] if document.renamed_from is None else [document.renamed_from]
            for other, name in rows(connection, _OTHER_AT_PATH, (document.document_path, document.skill_name)):
                _remove(connection, other, now)
                former.append(name)
            skill_id = int(value(connection, _WRITE_SKILL, _skill_bindings(connection, document, now)))
            for name in dict.fromkeys(former):
                connection.execute(_NOTE_RENAME, (name, document.skill_name))
            write_aliases(connection, skill_id)
            connection.execute(_WRITE_VERSION, (skill_id, document.content_hash, document.size_bytes, now))
            connection.execute(_DROP_CHUNKS, (skill_id,))
            connection.executemany(
                _WRITE_CHUNK,
                [(skill_id, c.ordinal, c.kind, c.heading, c.text, c.span_start, c.span_end) for c in document.chunks],
            )
            connection.execute(_DROP_TEXT, (skill_id,))
            connection.execute(
                _WRITE_TEXT,
                (
                    skill_id,
                    searchable(document.declared_name),
                    searchable(document.description),
                    searchable(document.body),
                ),
            )
            _write_vector(connection, table, skill_id, document.vector)
            write_chunks(connection, skill_id, generation, document.chunk_vectors)
            connection.execute(_MARK_EMBEDDED, (generation, skill_id, document.content_hash))
            return skill_id

        return self._db.write("write_document", unit)

    def update_document(
        self, skill_id: int, *, document_path: str, root: str, copies: Sequence[str], problems: Sequence[str]
    ) -> None:
        place = (document_path, root, encode(list(copies)), encode(list(problems)))

        def unit(connection: apsw.Connection) -> None:
            seq = value(connection, _NEXT_SEQ)
            connection.execute(_VACATE_PATH, (seq, document_path, skill_id))
            connection.execute(_UPDATE_PLACE, (*place, seq, skill_id))
            write_aliases(connection, skill_id)

        self._db.write("update_document", unit)

    def note_stamps(self, stamps: Mapping[int, str]) -> None:
        noted = [(stamp, skill_id) for skill_id, stamp in stamps.items()]
        if noted:
            self._db.write("note_stamps", lambda connection: connection.executemany(_NOTE_STAMP, noted).fetchall())

    def remove_document(self, skill_id: int) -> None:
        self._db.write("remove_document", lambda connection: _remove(connection, skill_id, self._db.now()))

    def publish_generation(self, generation: int) -> None:
        def unit(connection: apsw.Connection) -> None:
            building = _generation(connection, "building")
            if building is None or building.generation != generation:
                return
            live = _generation(connection, "live")
            if live is not None:
                connection.execute(_SET_STATUS, {"status": "retired", "live_at": None, "generation": live.generation})
                _forget_embedded(connection, live.generation)
            # vec0 tables cannot be renamed, so the vectors are copied into a new table with the served name.
            vectors = rows(connection, f"SELECT skill_id, embedding FROM {NEXT_VECTORS}")
            _create_vectors(connection, LIVE_VECTORS, building.dimension)
            connection.executemany(_insert_vector(LIVE_VECTORS), vectors)
            connection.execute(f"DROP TABLE {NEXT_VECTORS}")
            bindings = {"status": "live", "live_at": self._db.now(), "generation": generation}
            connection.execute(_SET_STATUS, bindings)

        self._db.write("publish_generation", unit)

    def record_run(self, run: IndexRun) -> None:
        def unit(connection: apsw.Connection) -> None:
            kept = one(connection, _RUN, (run.id,))
            if kept is not None:
                require_same("index run", run.id, record(IndexRun, kept, json=_RUN_JSON), run)
                return
            connection.execute(
                _ADD_RUN, (run.id, run.started_at, run.finished_at, encode(run.roots), encode(run.report))
            )
            connection.execute(_FORGET_RUNS)

        self._db.write("record_run", unit)

    def last_run(self) -> IndexRun | None:
        row = self._db.read("last_run", lambda connection: one(connection, _LAST_RUN))
        return record(IndexRun, row, json=_RUN_JSON) if row else None

    def roots(self) -> list[str]:
        run = self.last_run()
        return run.roots if run else []

    @contextmanager
    def index_turn(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        with take_turn(self._db.path, should_stop) as taken:
            yield taken


def _generation(connection: apsw.Connection, status: str) -> Generation | None:
    row = one(connection, _GENERATION, (status,))
    return record(Generation, row) if row else None


def _made_with(generation: Generation) -> tuple[str, int, int]:
    return generation.model_id, generation.dimension, generation.chunks_schema


def _drop_building(connection: apsw.Connection) -> None:
    building = _generation(connection, "building")
    if building is not None:
        connection.execute(f"DROP TABLE IF EXISTS {NEXT_VECTORS}")
        _forget_embedded(connection, building.generation)
        connection.execute(_SET_STATUS, {"status": "retired", "live_at": None, "generation": building.generation})


def _forget_embedded(connection: apsw.Connection, generation: int) -> None:
    connection.execute("DELETE FROM skill_embedded WHERE generation = ?", (generation,))
    forget_generation_chunks(connection, generation)


def _create_vectors(connection: apsw.Connection, table: str, dimension: int) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.execute(
        f"CREATE VIRTUAL TABLE {table} USING vec0("
        f"skill_id INTEGER PRIMARY KEY, embedding FLOAT[{int(dimension)}] distance_metric=cosine)"
    )


def _vector_table(connection: apsw.Connection, generation: int, document: DocumentWrite) -> str:
    row = one(connection, _GENERATION_BY_ID, (generation,))
    found = record(Generation, row) if row else None
    if found is None or found.status == "retired":
        raise Conflict(
            f"index generation {generation} is no longer written to: another index run replaced it; run it again",
            recorded={"generation": generation, "status": found.status if found else None},
        )
    for field, given, axes in (("vector", document.vector, 1), ("chunk_vectors", document.chunk_vectors, 2)):
        if given is not None and (given.ndim != axes or given.shape[-1] != found.dimension):
            raise InvalidRecord(
                f"{field} of shape {given.shape} does not fit generation {generation}, whose dimension is "
                f"{found.dimension}",
                field=field,
            )
    return LIVE_VECTORS if found.status == "live" else NEXT_VECTORS


def _insert_vector(table: str) -> str:
    return f"INSERT INTO {table}(skill_id, embedding) VALUES (?, ?)"


def _write_vector(connection: apsw.Connection, table: str, skill_id: int, vector: NDArray[np.float32]) -> None:
    connection.execute(f"DELETE FROM {table} WHERE skill_id = ?", (skill_id,))
    connection.execute(_insert_vector(table), (skill_id, np.ascontiguousarray(vector, dtype=np.float32).tobytes()))


def _skill_bindings(connection: apsw.Connection, document: DocumentWrite, now: str) -> dict[str, Any]:
    return {
        "skill_name": document.skill_name,
        "declared_name": document.declared_name,
        "category": document.category,
        "description": document.description,
        "document_path": document.document_path,
        "root": document.root,
        "content_hash": document.content_hash,
        "license": document.license,
        "compatibility": document.compatibility,
        "allowed_tools": encode(document.allowed_tools),
        "metadata": encode(document.metadata),
        "problems": encode(document.problems),
        "copies": encode(document.copies),
        "file_stamp": document.stamp,
        "seq": value(connection, _NEXT_SEQ),
        "now": now,
    }


def _remove(connection: apsw.Connection, skill_id: int, now: str) -> None:
    connection.execute(_REMOVE, (now, value(connection, _NEXT_SEQ), skill_id))
    if connection.changes() == 0:
        return
    connection.execute(_DROP_CHUNKS, (skill_id,))
    connection.execute(_DROP_TEXT, (skill_id,))
    connection.execute("DELETE FROM skill_embedded WHERE skill_id = ?", (skill_id,))
    forget_skill_chunks(connection, skill_id)
    for status, table in (("live", LIVE_VECTORS), ("building", NEXT_VECTORS)):
        if _generation(connection, status) is not None:
            connection.execute(f"DELETE FROM {table} WHERE skill_id = ?", (skill_id,))
