"""What has to be done now and then: close what nobody closed, learn what is new, forget what is too old."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from service.learning.outcomes import Learning
from service.settings import Settings
from service.work.sessions import end_idle_sessions
from store.protocol import Store


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep did: uses abandoned, sessions ended, and searches and uses whose query was forgotten."""

    abandoned_uses: int
    ended_sessions: int
    forgotten_searches: int
    forgotten_uses: int


def sweep(store: Store, learning: Learning, settings: Settings) -> Sweep:
    """Do all of it once; doing it again changes nothing more."""
    abandoned = store.abandon_stale(timedelta(hours=settings.open_limit_hours))
    ended = end_idle_sessions(store, timedelta(hours=settings.session_idle_hours))
    # Searches learn what is new; this is for what an import left behind. It comes before forgetting: what was learnt
    # of a query outlives the query.
    learning.learn_all()
    searches = uses = 0
    if settings.keep_searches_days is not None:
        old = store.forget_queries(timedelta(days=settings.keep_searches_days))
        searches, uses = old.searches, old.uses
    if not settings.keep_queries:
        words = store.forget_words()
        searches, uses = searches + words.searches, uses + words.uses
    return Sweep(
        abandoned_uses=len(abandoned), ended_sessions=len(ended), forgotten_searches=searches, forgotten_uses=uses
    )
