"""Reads projects, and runs units of work on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import apsw

from store.contract.projects import (
    MentorshipSession,
    ProgressUpdate,
    Project,
    ProjectMember,
    ProjectSkill,
    WorkTransaction,
)
from store.sqlite.database import Database
from store.sqlite.rows import narrowed, record, rows
from store.sqlite.work import (
    MENTORSHIP_COLUMNS,
    UPDATE_COLUMNS,
    SqliteWorkTransaction,
    find_members,
    find_mentorship,
    find_project,
    find_skills,
    find_update,
)

T = TypeVar("T")

_PROJECTS: Final = """
SELECT id, name, paths, metadata, created_at, completed_at FROM projects WHERE id > ? ORDER BY id LIMIT ?
"""
_UPDATES: Final = f"SELECT {UPDATE_COLUMNS} FROM progress_updates"
_MENTORSHIPS: Final = f"SELECT {MENTORSHIP_COLUMNS} FROM mentorship_sessions"


class SqliteProjects:
    """The `store.contract.projects.Projects` of one SQLite file."""

    _db: Database

    def transaction(self, work: Callable[[WorkTransaction], T]) -> T:
        def unit(connection: apsw.Connection) -> T:
            transaction = SqliteWorkTransaction(connection, self._db.now())
            try:
                return work(transaction)
            finally:
                transaction.end()

        return self._db.write("transaction", unit)

    def project(self, project_id: str) -> Project:
        return self._db.read("project", lambda connection: find_project(connection, project_id))

    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        found = self._db.read("projects", lambda connection: rows(connection, _PROJECTS, (after, limit)))
        return [record(Project, row, json=frozenset({"paths", "metadata"})) for row in found]

    def project_skills(self, project_id: str) -> list[ProjectSkill]:
        return self._db.read("project_skills", lambda connection: find_skills(connection, project_id))

    def project_members(self, project_id: str) -> list[ProjectMember]:
        return self._db.read("project_members", lambda connection: find_members(connection, project_id))

    def progress_update(self, update_id: str) -> ProgressUpdate:
        return self._db.read("progress_update", lambda connection: find_update(connection, update_id))

    def progress_updates(
        self, *, project_id: str | None = None, user_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[ProgressUpdate]:
        where, bound = narrowed(("project_id = ?", project_id), ("user_id = ?", user_id), ("seq < ?", before))
        sql = f"{_UPDATES} {where} ORDER BY seq DESC LIMIT ?"
        found = self._db.read("progress_updates", lambda connection: rows(connection, sql, (*bound, limit)))
        return [record(ProgressUpdate, row) for row in found]

    def mentorship_session(self, session_id: str) -> MentorshipSession:
        return self._db.read("mentorship_session", lambda connection: find_mentorship(connection, session_id))

    def mentorship_sessions(
        self,
        *,
        intern_id: str | None = None,
        mentor_id: str | None = None,
        project_id: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[MentorshipSession]:
        where, bound = narrowed(
            ("intern_id = ?", intern_id),
            ("mentor_id = ?", mentor_id),
            ("project_id = ?", project_id),
            ("seq < ?", before),
        )
        sql = f"{_MENTORSHIPS} {where} ORDER BY seq DESC LIMIT ?"
        found = self._db.read("mentorship_sessions", lambda connection: rows(connection, sql, (*bound, limit)))
        return [record(MentorshipSession, row) for row in found]
