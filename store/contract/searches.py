"""Queries, the lists served for them, and the skills that compete in those lists."""

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
    """One query and the list that was served for it; `query` is None when texts are kept out of the store."""

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
    """What happened when two skills stood in one answer: how often each was shown above, taken and completed."""

    searches: int
    first_above: int
    first_taken: int
    second_taken: int
    first_completed: int
    second_completed: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many searches and uses lost their query."""

    searches: int
    uses: int


class SearchLog(Protocol):
    """Queries and what was served for them."""

    def record_search(self, search: SearchRecord) -> None:
        """Keep a search and the list that was served."""

    def start_recording(self, search: SearchRecord) -> Callable[[], None]:
        """Begin to keep a search, and return what waits until it is durable, as `record_search` does.

        Never raises itself; what is returned raises `StoreUnavailable` when the search cannot be kept within a
        moment. An answer does not wait for a lock that another program holds.
        """

    def search(self, search_id: str) -> SearchRecord:
        """Return one search with its list. Raises `NotFound`."""


class Overlap(Protocol):
    """Which skills compete in recorded searches."""

    def served_together(self, *, limit: int, skill_name: str | None = None) -> list[tuple[str, str]]:
        """Return the pairs that stood together among the first five most often, in recent searches, most often first.

        Names in a pair are in their order.
        """

    def contests(self, pairs: Sequence[tuple[str, str]]) -> list[Contest]:
        """Return what happened in the recent searches where both skills of each pair stood among the first five."""


class Retention(Protocol):
    """Forgets queries. The lists that were served, uses, metrics and learnt evidence stay."""

    def forget_words(self) -> Forgotten:
        """Keep no query's words any longer, only hashes and vectors."""

    def forget_queries(self, older_than: timedelta) -> Forgotten:
        """Forget words, hashes and vectors of all queries that were asked longer ago than `older_than`."""
