"""The request and the answer of a search, shared by HTTP, the command line and callers in process."""

from __future__ import annotations

from typing import Annotated

import msgspec

from store.contract.identifiers import RecordId
from store.contract.searches import Confidence

MAX_RESULTS = 50

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query and its context."""

    query: Annotated[
        str,
        msgspec.Meta(
            description="What you want to do, in your own words: two words or a page.",
            extra_json_schema={"minLength": 1, "pattern": r"\S"},
        ),
    ]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_RESULTS, description="How many skills to return.")] = 10
    session_id: RecordId | None = None
    user_id: Identifier | None = None
    project_id: Identifier | None = None
    workflow_phase: Identifier | None = None
    category: Annotated[str, msgspec.Meta(description="Only skills of this category.")] | None = None
    correct: Annotated[
        bool | None,
        msgspec.Meta(description="Whether mistyped words are corrected; the setting SKILLRANK_CORRECT by default."),
    ] = None
    group: Annotated[bool, msgspec.Meta(description="Show near-identical skills as one, naming the others.")] = True


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a score, which is the sum of log_relevance, success, speed, choice, co_use, phase and scope.

    All but the first are bounded and can be switched off by their weights. `similarity` is the cosine of the query and
    the whole document, `chunk_similarity` that of the nearest of its first chunks, None where it was not computed.
    """

    log_relevance: float
    success: float
    speed: float
    choice: float
    co_use: float
    phase: float
    scope: float
    fused: float
    similarity: float | None
    chunk_similarity: float | None
    bm25: float | None
    fits: bool


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded uses of a skill.

    `believed_success` is the success rate to expect for this query, in [0, 1], with its 80% credible interval. An
    abandoned use counts as half a failure and a cancelled one not at all, so it may exceed `completion_rate`, a
    percentage. `uses_at_queries_like_this` counts recent uses by different people in full, old uses and repeated uses
    by one person in part. `typical_seconds` is the median duration of completed uses, None while it is not known.
    """

    uses: int
    completed: int
    failed: int
    abandoned: int
    cancelled: int
    completion_rate: float | None
    believed_success: float
    believed_low: float
    believed_high: float
    uses_at_queries_like_this: float
    typical_seconds: float | None
    last_used: str | None


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the document that matches the query best, and the query's words in it, rarest first.

    Where no word matches, it is the most similar of the document's first chunks.
    """

    heading: str
    text: str
    words: list[str]


class RankedSkill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill of the answer; `near_identical` names the skills that it represents, best first."""

    position: int
    skill_name: str
    description: str
    category: str | None
    document_path: str | None
    score: float
    components: Components
    evidence: Evidence
    reasons: list[str]
    passage: Passage | None
    near_identical: list[str]


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The ranked skills, and how confident the service is that they fit.

    `corrected` names the mistyped words of the query with what they were taken for.
    """

    search_id: str
    confidence: Confidence
    message: str
    results: list[RankedSkill]
    corrected: dict[str, str]
    weights_version: str
    degraded: list[str]
    elapsed_ms: float
