"""What ranking has learnt from outcomes, and the weights with which it ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from store.contract.searches import ServedSkill
from store.contract.tracking import Outcome, OutcomeSource

AffinityKind = Literal["after", "phase"]


class OutcomeToLearn(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome and its context, from which ranking learns.

    `query_vector` is float32, made by `model_id`; None for a use without a known query. The last four fields are
    set for completed uses only: the list that was served for its search, with what the client considered; the skills
    chosen from that list up to then; and the skills that succeeded in the same session shortly before and after.
    """

    seq: int
    skill_name: str
    skill_version_id: int | None
    outcome: Outcome
    finished_at: str
    duration_seconds: float | None
    source: OutcomeSource
    user_id: str | None
    session_id: str | None
    workflow_phase: str | None
    query_vector: bytes | None
    model_id: str | None
    served: list[str] = []
    taken: list[str] = []
    succeeded_before: list[str] = []
    succeeded_after: list[str] = []


class QueryCell(msgspec.Struct, frozen=True, kw_only=True):
    """A group of similar queries; `vector_sum` is float32. The store assigns `id`."""

    id: int | None = None
    model_id: str
    code: int
    queries: int
    vector_sum: bytes


class EvidenceSum(msgspec.Struct, frozen=True, kw_only=True):
    """What outcomes add to one skill; `query` is (model_id, code) of a cell, `sums` in ranking's order."""

    skill_name: str
    version: int
    query: tuple[str, int] | None
    reporter_slot: int
    sums: list[float]


class AffinityCount(msgspec.Struct, frozen=True, kw_only=True):
    """Weighted successes of a skill after another skill or in a phase; an empty name stands for all of them."""

    kind: AffinityKind
    context: str
    skill_name: str
    successes: float


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The current version and category of a served skill."""

    skill_name: str
    version: int | None
    category: str | None


class EvidenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since a reader last looked; `anew` means that it must discard what it holds.

    `sums` are (skill_name, version, cell id or -1, slot, *sums), absolute, each under the skill's present name.
    """

    epoch: int
    revision: int
    catalogue_seq: int
    anew: bool
    cells: list[QueryCell]
    sums: list[tuple[Any, ...]]
    catalogue: list[CatalogueEntry]


class LearntWeights(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that were adopted, with the report that justified them."""

    version: str
    weights: dict[str, Any]
    report: dict[str, Any]
    adopted_at: str


class RecordedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A finished use of a skill that was chosen from a served list, with that list."""

    search_id: str
    reporter: str
    skill_name: str
    outcome: Outcome
    served: list[ServedSkill]


class LearntEvidence(Protocol):
    """What ranking has learnt from outcomes, as sums that only grow: outcomes may be learnt in any order."""

    def outcomes_to_learn(self, *, limit: int) -> tuple[int, list[OutcomeToLearn]]:
        """Return the number of the newest outcome learnt, and at most `limit` of those after it, in order.

        A use without a search has the vector of any search with the same query.
        """

    def add_evidence(
        self,
        *,
        after: int,
        upto: int,
        cells: Sequence[QueryCell],
        sums: Sequence[EvidenceSum],
        affinities: Sequence[AffinityCount],
    ) -> bool:
        """Add the sums of the outcomes after number `after`, up to and including `upto`, as one unit.

        Return False and change nothing when the newest outcome learnt is not `after`: another process has learnt
        them in the meantime. Every query of `sums` is among `cells`. Raises `StoreUnavailable` rather than wait for a
        lock that another program holds.
        """

    def evidence_since(self, epoch: int, revision: int, catalogue_seq: int) -> EvidenceChange:
        """Return everything that changed since a reader saw this epoch, revision and state of the catalogue.

        Sums are totals, not differences. A removed skill's evidence is returned under the name that its document has
        now, if any. For another epoch, or with -1, everything is returned.
        """

    def affinities(self, kind: AffinityKind, context: str, skill_names: Sequence[str]) -> dict[tuple[str, str], float]:
        """Return weighted successes by (context, skill): for `context` and for '' (all), these skills and '' (all)."""

    def last_success(self, session_id: str) -> str | None:
        """Return the skill that was last completed in a session, None if there is none."""

    def forget_evidence(self) -> None:
        """Discard all evidence, so that it is learnt again from the log."""

    def recorded_choices(self, *, limit: int) -> list[RecordedChoice]:
        """Return at most `limit` finished uses that were chosen from a served list, newest first.

        The reporter is the user, else the session.
        """

    def learnt_weights(self) -> LearntWeights | None:
        """Return the weights that were last adopted, None while the release's own are in use."""

    def adopt_weights(self, version: str, weights: dict[str, Any], report: dict[str, Any]) -> None:
        """Rank with these weights from now on. An earlier version may be adopted again."""
