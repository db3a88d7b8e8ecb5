"""Queries, the lists that were served for them, and the skills that compete in those lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

Confidence = Literal["high", "medium", "low", "none"]


class ServedSkill(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a served list."""

    position: int
    skill_name: str
    score: float
    components: dict[str, Any]


class SearchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One query and the list that was served for it; `query` is None when queries are not kept."""

    id: str
    searched_at: str
    query: str | None
    query_hash: str
    query_vector: bytes | None
    model_id: str | None
    session_id: str | None
    user_id: str | None
    project_id: str | None
    filters: dict[str, Any]
    weights_version: str
    explored: bool
    confidence: Confidence
    degraded: list[str]
    elapsed_ms: float
    results: list[ServedSkill]


class Contest(msgspec.Struct, frozen=True):
    """What happened when two skills were in one answer: how often each was shown first, chosen and completed."""

    searches: int
    first_above: int
    first_taken: int
    second_taken: int
    first_completed: int
    second_completed: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The number of searches and uses whose query was forgotten."""

    searches: int
    uses: int


class SearchLog(Protocol):
    """Records queries and the lists that were served for them."""

    def record_search(self, search: SearchRecord) -> None:
        """Record a search and the list that was served; return when it is durable."""

    def start_recording(self, search: SearchRecord) -> Callable[[], None]:
        """Start to record a search; return a function that waits until it is durable.

        Never raises itself. The function raises `StoreUnavailable` when the search cannot be recorded: an answer does
        not wait for a lock that another program holds.
        """

    def search(self, search_id: str) -> SearchRecord:
        """Return one search with its list. Raises `NotFound`."""


class Overlap(Protocol):
    """Which skills compete in recorded searches."""

    def served_together(self, *, limit: int, skill_name: str | None = None) -> list[tuple[str, str]]:
        """Return the pairs that were most often among the first five of recent searches together, most frequent first.

        The names in a pair are in alphabetical order.
        """

    def contests(self, pairs: Sequence[tuple[str, str]]) -> list[Contest]:
        """Return what happened in the recent searches in which both skills of a pair were among the first five."""


class Retention(Protocol):
    """Forgets queries. Served lists, uses, metrics and learnt evidence are kept."""

    def forget_words(self) -> Forgotten:
        """Forget the text of all queries; keep their hashes and vectors."""

    def forget_queries(self, older_than: timedelta) -> Forgotten:
        """Forget the text, hash and vector of every query older than `older_than`."""
