"""Writes projects and what happens in them, inside one unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from store.contract.identifiers import MAX_ID_CHARACTERS, checked_id
from store.contract.projects import (
    MENTORSHIP_TRANSITIONS,
    MentorshipSession,
    MentorshipStatus,
    NewMentorshipSession,
    NewProgressUpdate,
    NewProject,
    ProgressUpdate,
    Project,
    ProjectMember,
    ProjectSkill,
    SkillDeclaration,
)
from store.contract.signal_writes import NewSignals, SignalInsertion
from store.errors import Conflict, InvalidRecord, NotFound
from store.sqlite.rows import encode, one, record, rows, value
from store.sqlite.signals import insert_signals
from store.sqlite.uses import new_id

MAX_NAME_CHARACTERS: Final = 300

_PROJECT: Final = "SELECT id, name, paths, metadata, created_at, completed_at FROM projects WHERE id = ?"
_PROJECT_JSON: Final = frozenset({"paths", "metadata"})
_ADD_PROJECT: Final = "INSERT INTO projects(id, name, paths, metadata, created_at) VALUES (?, ?, ?, ?, ?)"
_COMPLETE: Final = "UPDATE projects SET completed_at = max(?, created_at) WHERE id = ? AND completed_at IS NULL"
_SKILLS: Final = """
SELECT p.skill_id, s.skill_name, s.category, s.document_path IS NOT NULL AND s.removed_at IS NULL, p.declared_at
FROM project_skills p JOIN skills s ON s.id = p.skill_id WHERE p.project_id = ? ORDER BY s.skill_name
"""
_ADD_SKILL: Final = "INSERT INTO skills(skill_name, category) VALUES (?, ?) RETURNING id"
# A document states its category; only a skill without a document takes it from a project.
_SET_CATEGORY: Final = """
UPDATE skills SET category = ? WHERE id = ? AND document_path IS NULL AND category IS NULL
"""
_DECLARE: Final = """
INSERT INTO project_skills(project_id, skill_id, declared_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_KEEP_ONLY: Final = """
DELETE FROM project_skills WHERE project_id = ? AND skill_id NOT IN (SELECT value FROM json_each(?))
"""
_MEMBERS: Final = "SELECT project_id, user_id, joined_at FROM project_members WHERE project_id = ? ORDER BY user_id"
_MEMBER: Final = "SELECT project_id, user_id, joined_at FROM project_members WHERE project_id = ? AND user_id = ?"
_ADD_MEMBER: Final = "INSERT INTO project_members(project_id, user_id, joined_at) VALUES (?, ?, ?)"
UPDATE_COLUMNS: Final = "seq, id, project_id, user_id, content, idempotency_key, created_at"
_UPDATE: Final = f"SELECT {UPDATE_COLUMNS} FROM progress_updates WHERE id = ?"
_UPDATE_OF_KEY: Final = f"""
SELECT {UPDATE_COLUMNS} FROM progress_updates WHERE project_id = ? AND user_id = ? AND idempotency_key = ?
"""
_ADD_UPDATE: Final = """
INSERT INTO progress_updates(id, project_id, user_id, content, idempotency_key, created_at) VALUES (?, ?, ?, ?, ?, ?)
"""
MENTORSHIP_COLUMNS: Final = "seq, id, intern_id, mentor_id, session_focus, project_id, status, created_at"
_MENTORSHIP: Final = f"SELECT {MENTORSHIP_COLUMNS} FROM mentorship_sessions WHERE id = ?"
_ADD_MENTORSHIP: Final = """
INSERT INTO mentorship_sessions(id, intern_id, mentor_id, session_focus, project_id, status, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""

_SET_MENTORSHIP_STATUS: Final = "UPDATE mentorship_sessions SET status = ? WHERE id = ?"


class SqliteWorkTransaction:
    """The `store.contract.projects.WorkTransaction` of one unit of the writer.

    Parameters
    ----------
    connection : apsw.Connection
        Inside a savepoint.
    now : str
        The moment of everything that is written.
    """

    def __init__(self, connection: apsw.Connection, now: str) -> None:
        self._held: apsw.Connection | None = connection
        self._now = now

    def end(self) -> None:
        """Refuse every call from now on: the writer runs other units."""
        self._held = None

    @property
    def _connection(self) -> apsw.Connection:
        if self._held is None:
            raise RuntimeError("this transaction has ended; use it only inside the function that received it")
        return self._held

    def add_project(self, project: NewProject) -> tuple[Project, bool]:
        project_id = checked_id(project.id) if project.id is not None else new_id()
        name = _name(project.name, "name")
        row = one(self._connection, _PROJECT, (project_id,))
        if row is not None:
            kept = record(Project, row, json=_PROJECT_JSON)
            asked = (name, project.paths, msgspec.json.decode(encode(project.metadata)))
            if (kept.name, kept.paths, kept.metadata) != asked:
                raise _taken("project", project_id, kept)
            return kept, False
        self._connection.execute(
            _ADD_PROJECT, (project_id, name, encode(project.paths), encode(project.metadata), self._now)
        )
        return find_project(self._connection, project_id), True

    def declare_skills(
        self, project_id: str, skills: Sequence[SkillDeclaration], *, add_missing: bool
    ) -> list[ProjectSkill]:
        find_project(self._connection, project_id)
        wanted = [self._skill_id(skill, add_missing=add_missing) for skill in skills]
        self._connection.execute(_KEEP_ONLY, (project_id, encode(wanted)))
        self._connection.executemany(_DECLARE, [(project_id, skill_id, self._now) for skill_id in wanted])
        return find_skills(self._connection, project_id)

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        return find_skills(self._connection, project_id)

    def add_member(self, project_id: str, user_id: str) -> tuple[ProjectMember, bool]:
        find_project(self._connection, project_id)
        key = (project_id, _identifier(user_id, "user_id"))
        new = one(self._connection, _MEMBER, key) is None
        if new:
            self._connection.execute(_ADD_MEMBER, (*key, self._now))
        return record(ProjectMember, one(self._connection, _MEMBER, key) or ()), new

    def members(self, project_id: str) -> list[ProjectMember]:
        return find_members(self._connection, project_id)

    def complete_project(self, project_id: str) -> tuple[Project, bool]:
        find_project(self._connection, project_id)
        self._connection.execute(_COMPLETE, (self._now, project_id))
        new = self._connection.changes() > 0
        return find_project(self._connection, project_id), new

    def add_progress_update(self, update: NewProgressUpdate) -> tuple[ProgressUpdate, bool]:
        find_project(self._connection, update.project_id)
        user_id, content = _identifier(update.user_id, "user_id"), _text(update.content, "content")
        key = update.idempotency_key if update.idempotency_key is None else _identifier(update.idempotency_key, "key")
        row = one(self._connection, _UPDATE_OF_KEY, (update.project_id, user_id, key))
        if row is not None:
            kept = record(ProgressUpdate, row)
            if kept.content != content:
                raise _taken("progress update of the idempotency key", key or "", kept)
            return kept, False
        update_id = new_id()
        self._connection.execute(_ADD_UPDATE, (update_id, update.project_id, user_id, content, key, self._now))
        return find_update(self._connection, update_id), True

    def add_mentorship_session(self, session: NewMentorshipSession) -> tuple[MentorshipSession, bool]:
        if session.project_id is not None:
            find_project(self._connection, session.project_id)
        intern_id, mentor_id = _identifier(session.intern_id, "intern_id"), _identifier(session.mentor_id, "mentor_id")
        if intern_id == mentor_id:
            raise InvalidRecord(
                "a mentorship session needs two people, but intern_id equals mentor_id", field="mentor_id"
            )
        focus = _text(session.session_focus, "session_focus")
        session_id = checked_id(session.id) if session.id is not None else new_id()
        told = (session_id, intern_id, mentor_id, focus, session.project_id, session.status)
        row = one(self._connection, _MENTORSHIP, (session_id,))
        if row is not None:
            kept = record(MentorshipSession, row)
            moved_on = kept.status in MENTORSHIP_TRANSITIONS[session.status]
            if row[1:-2] != told[:-1] or not (moved_on or kept.status == session.status):
                raise _taken("mentorship session", session_id, kept)
            return kept, False
        self._connection.execute(_ADD_MENTORSHIP, (*told, self._now))
        return find_mentorship(self._connection, session_id), True

    def set_mentorship_status(self, session_id: str, status: MentorshipStatus) -> tuple[MentorshipSession, bool]:
        kept = find_mentorship(self._connection, session_id)
        if kept.status == status:
            return kept, False
        if status not in MENTORSHIP_TRANSITIONS[kept.status]:
            raise Conflict(
                f"mentorship session {session_id!r} is {kept.status} and cannot become {status}",
                recorded=msgspec.to_builtins(kept),
            )
        self._connection.execute(_SET_MENTORSHIP_STATUS, (status, session_id))
        return msgspec.structs.replace(kept, status=status), True

    def add_signals(self, signals: NewSignals) -> SignalInsertion:
        return insert_signals(self._connection, signals, self._now)

    def _skill_id(self, skill: SkillDeclaration, *, add_missing: bool) -> int:
        if (skill.skill_id is None) == (skill.skill_name is None):
            raise InvalidRecord("a skill is declared by its id or by its name", field="skills")
        if skill.skill_name is None:
            return _required(self._connection, "SELECT id FROM skills WHERE id = ?", skill.skill_id)
        name = _name(skill.skill_name, "skill_name")
        found = value(self._connection, "SELECT id FROM skills WHERE skill_name = ?", (name,))
        if found is not None:
            if skill.category is not None:
                self._connection.execute(_SET_CATEGORY, (skill.category, found))
            return int(found)
        if not add_missing:
            raise NotFound("skill", name)
        return int(value(self._connection, _ADD_SKILL, (name, skill.category)))


def find_project(connection: apsw.Connection, project_id: str) -> Project:
    """Return one project. Raises `NotFound`."""
    row = one(connection, _PROJECT, (project_id,))
    if row is None:
        raise NotFound("project", project_id)
    return record(Project, row, json=_PROJECT_JSON)


def find_skills(connection: apsw.Connection, project_id: str) -> list[ProjectSkill]:
    """Return the skills of a project's scope, ordered by name. Raises `NotFound`."""
    found = rows(connection, _SKILLS, (project_id,))
    if not found:
        find_project(connection, project_id)
    return [record(ProjectSkill, (*row[:3], bool(row[3]), row[4])) for row in found]


def find_members(connection: apsw.Connection, project_id: str) -> list[ProjectMember]:
    """Return the members of a project. Raises `NotFound`."""
    found = rows(connection, _MEMBERS, (project_id,))
    if not found:
        find_project(connection, project_id)
    return [record(ProjectMember, row) for row in found]


def find_update(connection: apsw.Connection, update_id: str) -> ProgressUpdate:
    """Return one progress update. Raises `NotFound`."""
    row = one(connection, _UPDATE, (update_id,))
    if row is None:
        raise NotFound("progress update", update_id)
    return record(ProgressUpdate, row)


def find_mentorship(connection: apsw.Connection, session_id: str) -> MentorshipSession:
    """Return one mentorship session. Raises `NotFound`."""
    row = one(connection, _MENTORSHIP, (session_id,))
    if row is None:
        raise NotFound("mentorship session", session_id)
    return record(MentorshipSession, row)


def _required(connection: apsw.Connection, sql: str, skill_id: int | None) -> int:
    found = value(connection, sql, (skill_id,))
    if found is None:
        raise NotFound("skill", str(skill_id))
    return int(found)


def _identifier(text: str, field: str) -> str:
    if not text.strip() or len(text) > MAX_ID_CHARACTERS:
        raise InvalidRecord(f"{field} must have 1 to {MAX_ID_CHARACTERS} characters, not all blank", field=field)
    return text


def _name(text: str, field: str) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRecord(f"{field} has 1 to {MAX_NAME_CHARACTERS} printable characters, not all blank", field=field)
    return name


def _text(text: str, field: str) -> str:
    if not text.strip():
        raise InvalidRecord(f"{field} is blank; say in a few words what it was about", field=field)
    return text


def _taken(kind: str, key: str, kept: msgspec.Struct) -> Conflict:
    return Conflict(
        f"{kind} {key!r} is already recorded with other content; use a new id or key",
        recorded=msgspec.to_builtins(kept),
    )
