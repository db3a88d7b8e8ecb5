"""Sessions, invocations and their outcomes: an append-only log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

Outcome = Literal["completed", "failed", "abandoned", "cancelled"]
OutcomeSource = Literal["client", "session_end", "sweep", "import"]


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to start; without an `id` the store makes one."""

    id: str | None = None
    project_id: str | None = None
    user_id: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session; `ended_at` is None while it is open."""

    id: str
    project_id: str | None
    user_id: str | None
    started_at: str
    ended_at: str | None


class NewInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a skill that starts.

    Attributes
    ----------
    skill_name : str
        In any form: another case, Unicode form or separator, the name of the skill's folder, ``plugin:name``, or the
        old name of a renamed skill. A name that means no skill, or several, is kept as given.
    id, invoked_at : str or None
        None lets the store make them.
    project_id, project_path : str or None
        Without an id, the project is the one whose `paths` hold the longest folder above `project_path`.
    selection_rank : int or None
        The position at which the skill was found.
    alternatives_considered : list of str
        Skills that were looked at and not taken. Once the use completes, ranking learns that they were passed over.
    user_context : dict
        Kept for the client and returned, never read.
    """

    skill_name: str
    id: str | None = None
    invoked_at: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    project_path: str | None = None
    workflow_path: str | None = None
    workflow_phase: str | None = None
    search_id: str | None = None
    selection_rank: int | None = None
    alternatives_considered: list[str] = []
    user_query: str | None = None
    user_context: dict[str, Any] = {}


class NewOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a use ended; without `finished_at` and `duration_seconds` the store derives them from its clock."""

    outcome: Outcome
    finished_at: str | None = None
    duration_seconds: float | None = None
    error_type: str | None = None
    follow_up_actions: list[str] = []
    source: OutcomeSource = "client"


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a skill as recorded; the outcome's fields are None while it is running.

    Attributes
    ----------
    skill_name : str
        The skill that the given name means.
    given_name : str or None
        The name as given, where it differs from `skill_name`.
    skill_known : bool
        Whether the catalogue has, or once had, a skill of this name.
    user_query_hash : str or None
        The SHA-256 of a query whose text is not kept, '' for one that was forgotten.
    """

    id: str
    skill_name: str
    skill_version_id: int | None
    invoked_at: str
    session_id: str | None
    user_id: str | None
    project_id: str | None
    project_path: str | None
    workflow_path: str | None
    workflow_phase: str | None
    search_id: str | None
    selection_rank: int | None
    alternatives_considered: list[str]
    user_query: str | None
    user_query_hash: str | None
    user_context: dict[str, Any]
    given_name: str | None
    skill_known: bool
    outcome: Outcome | None
    finished_at: str | None
    duration_seconds: float | None
    error_type: str | None
    follow_up_actions: list[str]
    source: OutcomeSource | None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """A use as recorded after finishing it, and whether this call changed it."""

    invocation: Invocation
    changed: bool


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk import did: rows added, rows that were recorded already, and rows refused, each with a reason."""

    imported: int
    duplicates: int
    refused: list[tuple[str, str]]


class SessionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What ending a session did; `changed` is False when it had ended before."""

    session: Session
    abandoned: list[str]
    skills: list[str]
    changed: bool


class Tracking(Protocol):
    """Sessions, uses of skills and their outcomes: an append-only log."""

    def start_session(self, session: NewSession) -> Session:
        """Start a session; an id that exists returns that session unchanged, ended or not."""

    def session(self, session_id: str) -> Session:
        """Return one session. Raises `NotFound`."""

    def start_invocation(self, invocation: NewInvocation) -> Invocation:
        """Record that a use of a skill began. An unknown session id starts that session.

        The same id with the same content returns what is recorded, whatever the catalogue says by now; other content
        raises `Conflict`.
        """

    def finish_invocation(self, invocation_id: str, outcome: NewOutcome) -> Finish:
        """Record how a use ended, exactly once.

        Without a duration, it is the time since the start, never negative. Repeating the same outcome (error type,
        actions and a given duration included) changes nothing. Raises `NotFound`, and `Conflict` with the recorded
        outcome when it differs.
        """

    def invocation(self, invocation_id: str) -> Invocation:
        """Return one use. Raises `NotFound`."""

    def find_invocations(self, invocation_ids: Sequence[str]) -> dict[str, Invocation]:
        """Return the uses with these ids, by id; unknown ids are absent."""

    def invocations(self, *, after: str | None = None, limit: int = 1000) -> list[Invocation]:
        """Return uses in the order in which they were recorded, starting behind the use `after`.

        Raises `NotFound` when there is no use `after`.
        """

    def session_invocations(self, session_id: str) -> list[Invocation]:
        """Return the uses of one session in the order in which they began."""

    def import_invocations(self, uses: Sequence[tuple[NewInvocation, NewOutcome | None]]) -> ImportReport:
        """Add many uses, finished or not. Rows whose id is recorded already are duplicates and change nothing.

        An outcome is derived from its row alone, never from the clock: without `finished_at` it is the start plus the
        duration, and without both the duration is unknown (None). Invalid rows are refused one by one, each with a
        reason, and leave nothing behind.
        """

    def abandon_stale(self, older_than: timedelta) -> list[str]:
        """Finish every use that has been open for longer than `older_than` as abandoned; return their ids."""
