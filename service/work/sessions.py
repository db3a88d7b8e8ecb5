"""How a session ends, and the report of a session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from service.insights.session import Session as StoryToRead
from service.insights.session import SessionReport, correlate
from store.contract.tracking import Session
from store.contract.workflows import SessionStory
from store.protocol import Store


class EndedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What ending a session did, and its report. `changed` is false when it had ended before."""

    session: Session
    abandoned: list[str]
    skills: list[str]
    changed: bool
    report: SessionReport


def end_session(store: Store, session_id: str) -> EndedSession:
    """End a session and keep its report, in one unit. Raises `NotFound`."""
    ended = store.end_session(session_id, _make)
    return EndedSession(
        session=ended.session,
        abandoned=ended.abandoned,
        skills=ended.skills,
        changed=ended.changed,
        report=session_report(store, session_id),
    )


def session_report(store: Store, session_id: str) -> SessionReport:
    """Return the report of a session, ended or not. Raises `NotFound`."""
    return msgspec.convert(store.session_report(session_id, _make), SessionReport)


def end_idle_sessions(store: Store, idle_for: timedelta) -> list[str]:
    """End every session in which nothing was recorded for longer than `idle_for`; return their ids."""
    idle = store.idle_sessions(idle_for)
    for session_id in idle:
        store.end_session(session_id, _make)
    return idle


def _make(story: SessionStory) -> dict[str, Any]:
    report = correlate(msgspec.convert(story, StoryToRead, from_attributes=True))
    kept: dict[str, Any] = msgspec.to_builtins(report)
    return kept
