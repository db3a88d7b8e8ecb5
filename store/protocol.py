"""The store's contract: everything durable, behind typed ports.

A backend implements `Store`; nothing above it sees SQL, a driver, or a path. What is written here holds for every
backend and is what ``tests/contract`` checks.

Durability
    A call that writes returns after its unit is committed and synced. A unit is applied whole or not at all.
Threads
    Every method may be called from any thread; reads see all writes that returned before they began.
Errors
    `NotFound`, `Conflict`, `InvalidRecord`, `StoreUnavailable` (`store.errors`); no driver error leaves the store.
Idempotence
    Writes that carry an id may be repeated: the same content again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from store.aggregate_ports import Aggregates
from store.records import (
    AffinityCount,
    AffinityKind,
    BackupReport,
    Bucket,
    Candidate,
    Chunk,
    Contest,
    DocumentState,
    DocumentWrite,
    EvidenceChange,
    EvidenceSum,
    Finish,
    Generation,
    ImportReport,
    IndexRun,
    Invocation,
    LearntWeights,
    MetricsSummary,
    NewInvocation,
    NewOutcome,
    NewSession,
    OutcomeToLearn,
    QuestionCell,
    RecordedChoice,
    SearchRecord,
    Session,
    SessionSkill,
    SkillMetrics,
    SkillRecord,
    SkillVersion,
    StoreHealth,
    Tally,
    Term,
    TimelineBucket,
    WorkflowPath,
)
from store.signal_ports import Projects, Signals
from store.workflow_ports import Retention, SessionReports, WorkflowLog, WorkflowTotals


class Catalogue(Protocol):
    """Skills, their documents, and the generations of the index."""

    def skill(self, skill_name: str) -> SkillRecord:
        """Return one skill, removed ones too. Raises `NotFound`."""

    def skills(
        self,
        *,
        after: str = "",
        limit: int = 100,
        category: str | None = None,
        removed: bool = False,
        declared: bool = False,
    ) -> list[SkillRecord]:
        """Return served skills named after `after`, in the order of their names.

        Instead of them, `removed` asks for those whose document was removed, and `declared` for those that never had
        one and are there because a project declared them.
        """

    def skills_named(self, skill_names: Sequence[str]) -> dict[str, SkillRecord]:
        """Return the served skills of these names."""

    def versions(self, skill_name: str) -> list[SkillVersion]:
        """Return every content the skill's document has had, newest first. Raises `NotFound`."""

    def chunks(self, skill_names: Sequence[str]) -> dict[str, list[Chunk]]:
        """Return the pieces of each skill's document in order; skills without a served document are left out."""

    def documents(self, generation: int | None = None) -> list[DocumentState]:
        """Return every served document, in the order of their paths; `embedded` is told for `generation`."""

    def counts(self) -> tuple[int, int]:
        """Return how many skills are served and how many were removed."""

    def open_generation(self, model_id: str, dimension: int, pieces_schema: int) -> Generation:
        """Return the generation to write to.

        That is the live one when it was made with the same three values; else the one being built with them, begun
        now if need be (a half-built one of other values is dropped). The first generation of a store is live at once.
        """

    def write_document(self, document: DocumentWrite, generation: int) -> int:
        """Add or replace one document, with its pieces, text and vectors, as one unit; return the skill's id.

        A skill of that name keeps its id, versions and history, also when it had been removed; another document
        that was served under the name or from the path makes way. Raises `InvalidRecord` when a vector does not
        have the generation's dimension.
        """

    def update_document(
        self, skill_id: int, *, document_path: str, root: str, copies: Sequence[str], problems: Sequence[str]
    ) -> None:
        """Record where an unchanged document lies and what is said about it.

        Another document that was served from there is served again once it has a place of its own.
        """

    def remove_document(self, skill_id: int) -> None:
        """Stop serving a document; its row, versions and history stay. Removing it again changes nothing."""

    def publish_generation(self, generation: int) -> None:
        """Serve `generation` from now on and drop the vectors of the one before. Live already: no change."""

    def live_generation(self) -> Generation | None:
        """Return the generation that is served, None before the first index run."""

    def building_generation(self) -> Generation | None:
        """Return the generation that is being built, if any."""

    def record_run(self, run: IndexRun) -> None:
        """Keep a finished index run."""

    def last_run(self) -> IndexRun | None:
        """Return the index run that finished last."""

    def roots(self) -> list[str]:
        """Return the roots of the last run, in their order of precedence; empty before the first."""


class Retrieval(Protocol):
    """Finds what may answer a question."""

    def candidates(
        self,
        text: str,
        vectors: NDArray[np.float32] | Callable[[], NDArray[np.float32] | None] | None,
        *,
        depth: int,
        category: str | None = None,
    ) -> list[Candidate]:
        """Return the union of the `depth` best skills by text and the `depth` best by vector.

        Parameters
        ----------
        text : str
            The question; matched as plain words, never parsed as query syntax. Terms count as often as they occur.
        vectors : float32 (windows, dimension), rows L2-normalised, or None; or a function that returns them
            A skill's similarity is its vector's cosine with the nearest window. None searches text alone. A function
            is called once the text has been searched, so a model may make the vectors meanwhile.
        depth : int
        category : str, optional
            Only skills of this category.

        Returns
        -------
        list of Candidate
            In the order of skill names; each has its similarity whenever the skill has a vector.
        """

    def piece_similarities(
        self, skill_ids: Sequence[int], vectors: NDArray[np.float32]
    ) -> dict[int, NDArray[np.float32]]:
        """Return how near the first pieces of these skills' documents are to a question, in the live generation.

        Parameters
        ----------
        skill_ids : sequence of int
        vectors : float32 (windows, dimension), rows L2-normalised
            Vectors of another dimension than the live generation's measure nothing.

        Returns
        -------
        dict of int to float32 (pieces,)
            The cosine of each embedded piece, in order, with its nearest window, in [-1, 1] and exact to 0.001.
            Skills without such vectors are left out.
        """

    def terms(self, text: str) -> list[str]:
        """Return the words of `text` that lexical search looks for, in order, repeated as they occur."""

    def similar(self, skill_name: str, *, limit: int) -> list[Candidate]:
        """Return the skills nearest to a skill by vector, nearest first, itself left out. Raises `NotFound`."""

    def corrections(self, text: str) -> dict[str, str]:
        """Return the words of a question that no document holds, each with the known word that it is taken for.

        Empty when every word is known. Words of code, paths, names and numbers are never corrected.
        """

    def vocabulary(self, text: str) -> list[Term]:
        """Return the words of `text` that lexical search looks for, in order, with how many documents hold each."""

    def closest_pairs(self, *, least: float, limit: int, skill_name: str | None = None) -> list[tuple[str, str, float]]:
        """Return the pairs of skills whose vectors have a cosine of at least `least`, nearest first, at most `limit`.

        Names in a pair are in their order. With `skill_name`, only its pairs; raises `NotFound` for an unknown one.
        """

    def resemblance(self, first: str, second: str) -> float | None:
        """Return the estimated share of shingles that two documents have in common (`store.near_duplicates`).

        None when their vectors are too far apart for it to mean anything, or one of them has none.
        """

    def near_duplicates(self, skill_ids: Sequence[int]) -> list[list[int]]:
        """Return the groups of two or more near-identical skills among these, each in the order of `skill_ids`.

        Told from what the documents say (`store.near_duplicates`), as of now; a skill is in one group at most.
        """

    def refresh(self) -> None:
        """Load what other processes indexed meanwhile. Searches do this by themselves."""


class Tracking(Protocol):
    """Sessions, uses of skills and their outcomes: an append-only log."""

    def start_session(self, session: NewSession) -> Session:
        """Start a session; the same id again returns it unchanged, ended or not."""

    def session(self, session_id: str) -> Session:
        """Return one session. Raises `NotFound`."""

    def start_invocation(self, invocation: NewInvocation) -> Invocation:
        """Record that a use of a skill began. An unknown session id begins that session.

        The same id with the same content returns what is recorded; other content raises `Conflict`.
        """

    def finish_invocation(self, invocation_id: str, outcome: NewOutcome) -> Finish:
        """Record how a use ended, exactly once.

        Without a duration it is the time since the start, never negative. The same outcome again (outcome, error
        type and actions; a given duration too) changes nothing. Raises `NotFound`, and `Conflict` with what is
        recorded when another outcome is.
        """

    def invocation(self, invocation_id: str) -> Invocation:
        """Return one use. Raises `NotFound`."""

    def find_invocations(self, invocation_ids: Sequence[str]) -> dict[str, Invocation]:
        """Return the uses of these ids by id; those that the log does not have are left out."""

    def invocations(self, *, after: str | None = None, limit: int = 1000) -> list[Invocation]:
        """Return uses in the order in which they were recorded, from the one after the use `after` on.

        Raises `NotFound` when the log has no use `after`.
        """

    def session_invocations(self, session_id: str) -> list[Invocation]:
        """Return the uses of one session in the order they began."""

    def import_invocations(self, uses: Sequence[tuple[NewInvocation, NewOutcome | None]]) -> ImportReport:
        """Add many uses, finished or not. Rows whose id the log has are counted as duplicates and left alone.

        An outcome is completed from the row alone, never from the clock: without `finished_at` it is the start plus
        the duration, and without both the duration stays unknown (None). Rows that break a rule are refused one by
        one, each with its reason, and leave nothing behind.
        """

    def abandon_stale(self, older_than: timedelta) -> list[str]:
        """Finish every use open for longer than `older_than` as abandoned; return their ids."""


class Metrics(Protocol):
    """What the log adds up to, equal at every moment to a recomputation from it."""

    def skill_metrics(self, skill_name: str) -> SkillMetrics | None:
        """Return one skill's metrics, None for a skill that was never used."""

    def all_metrics(self) -> list[SkillMetrics]:
        """Return the metrics of every skill ever used, most used first, then by name."""

    def tallies(self, skill_names: Sequence[str]) -> dict[str, Tally]:
        """Return what ranking needs of these skills; those never used are left out."""

    def overall_tally(self) -> tuple[int, int]:
        """Return (completed, finished) over every skill."""

    def summary(self) -> MetricsSummary:
        """Return the dashboard's row, refreshed if the log has grown since.

        A refreshed row is kept behind the answer, so another call at the same moment may refresh it too.
        """

    def timeline(self, skill_name: str, *, window: timedelta, bucket: Bucket) -> list[TimelineBucket]:
        """Return a bucket for each stretch of the window up to now, empty ones included, oldest first."""

    def search_workflow_paths(self, text: str, *, limit: int = 100) -> list[WorkflowPath]:
        """Return workflow paths that hold every word of `text` (plain words, prefixes match), most used first."""

    def session_skills(self, session_id: str) -> list[SessionSkill]:
        """Return what one session used, most used first."""

    def refresh_percentiles(self, skill_names: Sequence[str]) -> None:
        """Recompute p50, p95 and p99 of the durations of completed uses."""

    def first_difference(self) -> str | None:
        """Recompute everything from the log; return the first difference in words, None when all is equal."""

    def rebuild(self) -> None:
        """Derive every metric anew from the log."""


class SearchLog(Protocol):
    """Questions and what was served for them."""

    def record_search(self, search: SearchRecord) -> None:
        """Keep a search and the list that was served."""

    def start_recording(self, search: SearchRecord) -> Callable[[], None]:
        """Begin to keep a search; call what is returned to wait until it is durable, as `record_search` does."""

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


class LearntEvidence(Protocol):
    """What ranking has learnt from outcomes: sums that only grow, so outcomes may be learnt in any order."""

    def outcomes_to_learn(self, *, limit: int) -> tuple[int, list[OutcomeToLearn]]:
        """Return the number of the newest outcome learnt, and at most `limit` of those after it, in order.

        A use without a search whose question was asked in some search has that search's vector.
        """

    def add_evidence(
        self,
        *,
        after: int,
        upto: int,
        cells: Sequence[QuestionCell],
        sums: Sequence[EvidenceSum],
        affinities: Sequence[AffinityCount],
    ) -> bool:
        """Add what the outcomes after number `after`, up to and including `upto`, amount to, as one unit.

        Return False, having changed nothing, when the newest outcome learnt is not `after`: somebody else has learnt
        them meanwhile. Every question of `sums` is among `cells`.
        """

    def evidence_since(self, epoch: int, revision: int, catalogue_seq: int) -> EvidenceChange:
        """Return everything that changed since a reader saw this epoch, revision and state of the catalogue.

        Sums are whole, not differences. A removed skill's evidence is given under the name that its document has
        taken since, if any. Of another epoch, or with -1, everything is returned.
        """

    def affinities(self, kind: AffinityKind, context: str, skill_names: Sequence[str]) -> dict[tuple[str, str], float]:
        """Return weighted successes by (context, skill): for `context` and for '' (all), these skills and '' (all)."""

    def last_success(self, session_id: str) -> str | None:
        """Return the skill whose use was completed last in a session, None without one."""

    def forget_evidence(self) -> None:
        """Forget all evidence, to be learnt anew from the log."""

    def recorded_choices(self, *, limit: int) -> list[RecordedChoice]:
        """Return the newest `limit` finished uses that came from a served list, newest first.

        The reporter is the user, or else the session.
        """

    def learnt_weights(self) -> LearntWeights | None:
        """Return the weights adopted last, None while those of the release rank."""

    def adopt_weights(self, version: str, weights: dict[str, Any], report: dict[str, Any]) -> None:
        """Rank with these weights from now on; those of an earlier version may come back."""


class Operations(Protocol):
    """Keeping the store well."""

    def health(self) -> StoreHealth:
        """Return sizes, counts and what is wrong, as far as that can be told in a moment."""

    def check(self) -> list[str]:
        """Read everything, and return what is wrong in words, nothing when all is well.

        Looks at the files' integrity, at references, at the schema, at the index against the catalogue, and at the
        metrics against the log.
        """

    def backup(self, target: Path) -> BackupReport:
        """Write a checked copy of one moment's state to `target` while reading and writing go on.

        Raises `InvalidRecord` when `target` exists, and `StoreUnavailable` when the copy cannot be written or does
        not pass its check; nothing is left behind then.
        """


class Store(
    Catalogue,
    Retrieval,
    Tracking,
    Metrics,
    SearchLog,
    Overlap,
    Projects,
    Signals,
    WorkflowLog,
    SessionReports,
    WorkflowTotals,
    Retention,
    LearntEvidence,
    Aggregates,
    Operations,
    Protocol,
):
    """Everything durable. `close` drains accepted writes; calling it again does nothing."""

    def close(self) -> None:
        """Commit what was accepted, then release every resource."""
