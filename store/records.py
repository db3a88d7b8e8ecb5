"""What crosses the store's border: frozen records with no behaviour.

Times are UTC text of fixed width (`store.clock`); durations are seconds. Mappings and sequences hold JSON values.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Outcome = Literal["completed", "failed", "abandoned", "cancelled"]
OutcomeSource = Literal["client", "session_end", "sweep", "import"]
Confidence = Literal["high", "medium", "low", "none"]
Bucket = Literal["minute", "hour", "day", "week"]


class SkillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the catalogue."""

    id: int
    skill_name: str
    declared_name: str | None
    category: str | None
    description: str | None
    document_path: str | None
    root: str | None
    content_hash: str | None
    license: str | None
    compatibility: str | None
    allowed_tools: list[str]
    metadata: dict[str, Any]
    problems: list[str]
    copies: list[str]
    first_indexed_at: str | None
    last_indexed_at: str | None
    removed_at: str | None


class SkillVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One content that a skill's document has had."""

    id: int
    content_hash: str
    size_bytes: int
    first_indexed_at: str
    last_indexed_at: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document: what is shown as the matching passage. Spans are characters of the body."""

    ordinal: int
    kind: Literal["summary", "body"]
    heading: str
    text: str
    span_start: int
    span_end: int


class DocumentState(msgspec.Struct, frozen=True, kw_only=True):
    """What the index holds of one document: enough to decide what a run must do."""

    skill_id: int
    skill_name: str
    declared_name: str
    document_path: str
    root: str
    content_hash: str
    copies: list[str]
    problems: list[str]
    embedded: bool
    """Whether the generation that is being written has a vector of exactly this content."""


class DocumentWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One document as the indexer hands it over.

    `vector` is float32 (dimension,); `piece_vectors` is float32 (pieces, dimension), those of the first body pieces of
    `chunks`, in order. All are L2-normalised.
    """

    skill_name: str
    declared_name: str
    category: str | None
    description: str
    body: str
    document_path: str
    root: str
    content_hash: str
    size_bytes: int
    license: str | None = None
    compatibility: str | None = None
    allowed_tools: list[str] = []
    metadata: dict[str, Any] = {}
    problems: list[str] = []
    copies: list[str] = []
    chunks: list[Chunk]
    vector: NDArray[np.float32]
    piece_vectors: NDArray[np.float32] | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One set of vectors: which model made them, and whether they are served."""

    generation: int
    status: Literal["building", "live", "retired"]
    model_id: str
    dimension: int
    pieces_schema: int
    started_at: str
    live_at: str | None


class IndexRun(msgspec.Struct, frozen=True, kw_only=True):
    """One finished index run; `report` is the indexer's own, as JSON."""

    id: str
    started_at: str
    finished_at: str
    roots: list[str]
    report: dict[str, Any]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One skill that may answer a question, with the evidence of both sides.

    `similarity` is the cosine of the question and the skill's vector, in [-1, 1]; None when there is no vector.
    `bm25` is the lexical score, higher is better; None when the text does not match.
    """

    skill_id: int
    skill_name: str
    category: str | None
    similarity: float | None
    bm25: float | None


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to start; `id` None lets the store make one."""

    id: str | None = None
    project_id: str | None = None
    user_id: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of work."""

    id: str
    project_id: str | None
    user_id: str | None
    started_at: str
    ended_at: str | None


class NewInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a skill that starts; `id` and `invoked_at` None let the store make them."""

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
    """How a use ended; `finished_at` and `duration_seconds` None let the store derive them from its clock."""

    outcome: Outcome
    finished_at: str | None = None
    duration_seconds: float | None = None
    error_type: str | None = None
    follow_up_actions: list[str] = []
    source: OutcomeSource = "client"


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One use of one skill as the log holds it; the outcome's fields are None while it runs.

    `user_query_hash` is the SHA-256 of a question whose words are not kept, '' of one that was forgotten, else None.
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
    outcome: Outcome | None
    finished_at: str | None
    duration_seconds: float | None
    error_type: str | None
    follow_up_actions: list[str]
    source: OutcomeSource | None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The result of finishing: the use as recorded, and whether this call recorded it."""

    invocation: Invocation
    changed: bool


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk import did: rows added, rows the log already had, and rows refused with the reason."""

    imported: int
    duplicates: int
    refused: list[tuple[str, str]]


class SessionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What ending a session did; ending it again changes nothing and says so."""

    session: Session
    abandoned: list[str]
    skills: list[str]
    changed: bool


class SkillMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What the log adds up to for one skill. Rates are percentages, None while nothing has finished."""

    skill_name: str
    total_invocations: int
    completed_invocations: int
    abandoned_invocations: int
    failed_invocations: int
    cancelled_invocations: int
    running_invocations: int
    timed_completions: int
    total_duration_seconds: float
    avg_duration_seconds: float | None
    min_duration_seconds: float | None
    max_duration_seconds: float | None
    p50_duration_seconds: float | None
    p95_duration_seconds: float | None
    p99_duration_seconds: float | None
    percentile_count: int
    completion_rate: float | None
    first_invoked: str | None
    last_invoked: str | None
    workflow_paths: dict[str, int]
    common_errors: dict[str, int]
    follow_up_actions: dict[str, int]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What ranking needs of a skill's history, without its maps."""

    skill_name: str
    completed: int
    failed: int
    abandoned: int
    cancelled: int
    timed_completions: int
    mean_duration_seconds: float | None
    p50_duration_seconds: float | None
    last_invoked: str | None

    @property
    def finished(self) -> int:
        """How many uses ended, in whatever way."""
        return self.completed + self.failed + self.abandoned + self.cancelled

    @property
    def typical_seconds(self) -> float | None:
        """The median duration of completed uses where it is known, else their mean."""
        return self.mean_duration_seconds if self.p50_duration_seconds is None else self.p50_duration_seconds


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A value and how often it occurred."""

    value: str
    n: int


class MetricsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The dashboard's one row."""

    total_skills: int
    total_invocations: int
    completed_invocations: int
    finished_invocations: int
    running_invocations: int
    overall_completion_rate: float | None
    most_used_skill: str | None
    most_used_count: int
    avg_duration_seconds: float | None
    top_errors: list[Counted]
    top_workflow_paths: list[Counted]
    refreshed_at: str


class TimelineBucket(msgspec.Struct, frozen=True, kw_only=True):
    """Uses that started in one bucket of time; `time_bucket` is its start."""

    time_bucket: str
    invocations: int
    completed: int
    finished: int
    avg_duration: float | None


class WorkflowPath(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow path of a skill, with how often it was taken."""

    skill_name: str
    workflow_path: str
    invocation_count: int
    avg_duration: float | None


class SessionSkill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill in one session."""

    session_id: str
    skill_name: str
    invocation_count: int
    completed_count: int
    abandoned_count: int
    first_invoked_at: str
    last_invoked_at: str
    total_duration_seconds: float


class ServedSkill(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a served list."""

    position: int
    skill_name: str
    score: float
    components: dict[str, Any]


class SearchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One question and the list that was served for it; `query` is None when texts are kept out of the store."""

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


class SlowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query of this process that took longer than 100 ms: how often, and the worst."""

    name: str
    count: int
    worst_ms: float
    last_at: str


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written, opened and checked; `sha256` is that of the file."""

    path: str
    sha256: str
    size_bytes: int
    schema_version: int
    total_invocations: int
    total_outcomes: int
    seconds: float


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """A restore that was done; `kept` is where the database before lies now, None when there was none.

    `checksum_verified` is False when no checksum lay beside the backup.
    """

    database: str
    source: str
    kept: str | None
    checksum_verified: bool
    schema_version: int
    total_invocations: int
    total_outcomes: int


AffinityKind = Literal["after", "phase"]


class OutcomeToLearn(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome with what surrounds it, as ranking learns from it.

    `query_vector` is float32, made by `model_id`; None for a use without a known question. The last four are told of
    completed uses only: the list that was served for its search, the skills taken from that list up to then, and the
    skills that succeeded in the same session shortly before and after.
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


class QuestionCell(msgspec.Struct, frozen=True, kw_only=True):
    """Questions that lie close together; `vector_sum` is float32. `id` is given by the store."""

    id: int | None = None
    model_id: str
    code: int
    questions: int
    vector_sum: bytes


class EvidenceSum(msgspec.Struct, frozen=True, kw_only=True):
    """What outcomes add to one skill; `question` is (model_id, code) of a cell, `sums` in ranking's order."""

    skill_name: str
    version: int
    question: tuple[str, int] | None
    reporter_slot: int
    sums: list[float]


class AffinityCount(msgspec.Struct, frozen=True, kw_only=True):
    """Weighted successes of a skill after another one, or in a phase; an empty name stands for all."""

    kind: AffinityKind
    context: str
    skill_name: str
    successes: float


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which content a served skill has now, and its category."""

    skill_name: str
    version: int | None
    category: str | None


class EvidenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since a reader looked last; `anew` means that it must forget what it holds.

    `sums` are (skill_name, version, cell id or -1, slot, *sums), absolute, each under the name its skill has now.
    """

    epoch: int
    revision: int
    catalogue_seq: int
    anew: bool
    cells: list[QuestionCell]
    sums: list[tuple[Any, ...]]
    catalogue: list[CatalogueEntry]


class LearntWeights(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that were adopted, with the report that spoke for them."""

    version: str
    weights: dict[str, Any]
    report: dict[str, Any]
    adopted_at: str


class RecordedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A finished use of a skill that was taken from a served list, with that list."""

    search_id: str
    reporter: str
    skill_name: str
    outcome: Outcome
    served: list[ServedSkill]


class Contest(msgspec.Struct, frozen=True):
    """What happened when two skills stood in one answer: how often each was shown above, taken and completed."""

    searches: int
    first_above: int
    first_taken: int
    second_taken: int
    first_completed: int
    second_completed: int


class Term(msgspec.Struct, frozen=True):
    """A word of a text, as the full-text index spells it, and how many documents hold it."""

    word: str
    stem: str
    documents: int


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The store's state at one moment. `problems` is empty when all is well.

    `size_bytes` is the database file without its log, which has `wal_bytes`; `slow_queries` are those of this process.
    """

    backend: str
    location: str
    schema_version: int
    size_bytes: int
    wal_bytes: int
    served_skills: int
    total_skills: int
    total_invocations: int
    open_invocations: int
    generation: int | None
    model_id: str | None
    slow_queries: list[SlowQuery]
    problems: list[str]
