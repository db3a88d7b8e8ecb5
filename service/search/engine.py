"""From a query to ranked skills: encode, find candidates, rank, explain, record."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from embeddings.protocol import Encoder
from embeddings.scale import Scale
from service.learning.outcomes import Learning
from service.ranking.blend import DEFAULT_WEIGHTS, Weights
from service.ranking.exploration import Exploration, explore
from service.ranking.fusion import DEPTH, fused_relevance
from service.ranking.grouping import representatives, shared_relevance
from service.ranking.judgement import judge
from service.ranking.scope import scope_gain
from service.search.answers import SearchAnswer, SearchRequest
from service.search.confidence import CONFIDENCE_WORDS, describes, fusion_settings, judge_confidence, scale_of
from service.search.encoders import Encoders
from service.search.explaining import Ranking, components, explain, nearest_chunk
from service.search.queries import checked_query, respelled, windows
from service.search.scoping import read_scope
from store.clock import format_time, system_clock
from store.contract.retrieval import Candidate, Term
from store.contract.searches import Confidence, SearchRecord, ServedSkill
from store.errors import StoreUnavailable
from store.folding import folded
from store.protocol import Store
from store.query_hash import hash_of

# Near-identical skills are grouped among this many candidates: a few times as many as are asked for, and those that
# outcomes may bring forward, of which a library of copies could have hundreds.
_GROUPED_PER_RESULT: Final = 3
_GROUPED_AT_LEAST: Final = 20
_GROUPED_AT_MOST: Final = 80
# This many of the best candidates by whole document are compared by chunk as well: as many as an answer may have.
_COMPARED_BY_CHUNKS: Final = 50
# A skill whose name or description has all words of the query is looked for among this many of the first.
_DESCRIBED_AMONG: Final = 10

_NO_VECTORS: Final[Future[NDArray[np.float32] | None]] = Future()
_NO_VECTORS.set_result(None)


class SkillSearch:
    """Answers queries from one store.

    Parameters
    ----------
    store : Store
    encoders : Encoders
        Gives the encoder that made the live generation.
    exploration : Exploration, optional
        How often a skill is placed first to learn more about it; never, by default.
    correct : bool
        Whether mistyped words are corrected unless a request says otherwise.
    """

    def __init__(
        self,
        store: Store,
        encoders: Encoders,
        *,
        exploration: Exploration = Exploration(),  # noqa: B008  frozen
        correct: bool = True,
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._exploration = exploration
        self._correct = correct
        self._random = np.random.default_rng()
        self._encoding = ThreadPoolExecutor(thread_name_prefix="encoding")
        self.learning = Learning(store)

    def answer(self, request: SearchRequest) -> SearchAnswer:
        """Rank the skills that may answer a query, and record what was served.

        Raises
        ------
        InvalidQuery
            When the query is empty, too long, or not plain text.
        """
        started = time.perf_counter()
        query = checked_query(request.query)
        asked, corrected = self._understood(query, request)
        encoding, model_id, degraded = self._start_encoding(asked)
        words = self._store.vocabulary(asked)
        candidates = self._store.candidates(asked, encoding.result, depth=DEPTH, category=request.category)
        ranking = self._rank(candidates, request, encoding.result(), model_id, weights=self.weights())
        first = [int(place) for place in ranking.explored.order[: request.limit]]
        skills = self._store.skills_named([candidates[place].skill_name for place in first])
        # A skill may have been removed by another process since it was found.
        served = [place for place in first if candidates[place].skill_name in skills]
        by_meaning = judge_confidence(candidates, self._scale(model_id))
        record = SearchRecord(
            id=str(uuid.uuid4()),
            searched_at=format_time(system_clock()),
            query=query,
            query_hash=hash_of(query),
            query_vector=None if ranking.query is None else ranking.query.tobytes(),
            model_id=model_id,
            session_id=request.session_id,
            user_id=request.user_id,
            project_id=request.project_id,
            filters=_filters(request),
            weights_version=ranking.weights.version,
            explored=ranking.explored.explored,
            confidence=self._confidence(by_meaning, ranking, words),
            degraded=degraded,
            elapsed_ms=_milliseconds_since(started),
            results=[_logged(ranking, place, position) for position, place in enumerate(served, start=1)],
        )
        # The record reaches the disk while the answer is explained.
        wait_until_recorded = self._store.start_recording(record)
        results = explain(
            ranking,
            served,
            words,
            skills,
            self._store.chunks(list(skills)),
            nothing_fits=by_meaning == "none",
        )
        try:
            wait_until_recorded()
        except StoreUnavailable as error:
            degraded = [*degraded, f"this search was not recorded: {error}"]
        return SearchAnswer(
            search_id=record.id,
            confidence=record.confidence,
            message=CONFIDENCE_WORDS[record.confidence],
            results=results,
            corrected=corrected,
            weights_version=record.weights_version,
            degraded=degraded,
            elapsed_ms=_milliseconds_since(started),
        )

    def order(self, request: SearchRequest, weights: Weights, *, lexical: float | None = None) -> list[str]:
        """Return the names of the skills in the order of some weights, without recording anything.

        Near-identical skills follow the one that represents them. `lexical` is the weight of words relative to meaning,
        None for that of the release.
        """
        query, _ = self._understood(checked_query(request.query), request)
        encoding, model_id, _ = self._start_encoding(query)
        candidates = self._store.candidates(query, encoding.result, depth=DEPTH, category=request.category)
        ranking = self._rank(candidates, request, encoding.result(), model_id, weights=weights, lexical=lexical)
        found = [
            candidates[place].skill_name for first, others in ranking.stands_for.items() for place in (first, *others)
        ]
        return found[: request.limit]

    def weights(self) -> Weights:
        """Return the current weights: those adopted last, or those of the release."""
        learnt = self._store.learnt_weights()
        return DEFAULT_WEIGHTS if learnt is None else msgspec.convert(learnt.weights, Weights)

    def _understood(self, query: str, request: SearchRequest) -> tuple[str, dict[str, str]]:
        """Return the folded and corrected query, and the corrections."""
        text = folded(query)
        correct = self._correct if request.correct is None else request.correct
        corrected = self._store.corrections(text) if correct else {}
        return respelled(text, corrected), corrected

    def _start_encoding(self, query: str) -> tuple[Future[NDArray[np.float32] | None], str | None, list[str]]:
        """Encode the query in another thread, while this one searches for its words."""
        generation = self._store.live_generation()
        if generation is None:
            return _NO_VECTORS, None, ["nothing is indexed yet: run `skillrank index ROOT…`"]
        encoder, problem = self._encoders.for_model(generation.model_id)
        if encoder is None:
            return _NO_VECTORS, None, [f"searching by words alone: {problem}"]
        encoding = self._encoding.submit(_encode, encoder, query)
        return encoding, generation.model_id, [problem] if problem else []

    def _scale(self, model_id: str | None) -> Scale | None:
        return None if model_id is None else scale_of(model_id, self._encoders.scale(model_id))

    def _confidence(self, by_meaning: Confidence, ranking: Ranking, words: Sequence[Term]) -> Confidence:
        """Return how sure the answer is: by meaning, but at least medium where a skill is described in these words."""
        if by_meaning in {"high", "medium"}:
            return by_meaning
        first = [ranking.candidates[place].skill_name for place in ranking.explored.order[:_DESCRIBED_AMONG]]
        skills = self._store.skills_named(first).values()
        texts = (self._store.vocabulary(f"{skill.skill_name} {skill.description or ''}") for skill in skills)
        return "medium" if describes(words, texts) else by_meaning

    def _rank(
        self,
        candidates: Sequence[Candidate],
        request: SearchRequest,
        vectors: NDArray[np.float32] | None,
        model_id: str | None,
        *,
        weights: Weights,
        lexical: float | None = None,
    ) -> Ranking:
        query = _one_vector(vectors)
        settings = fusion_settings(self._scale(model_id)) | ({} if lexical is None else {"lexical_weight": lexical})
        fused, chunk_similarities = self._relevance(candidates, vectors, settings)
        groups = self._groups(candidates, fused, request, weights) if request.group else []
        fused = shared_relevance(fused, groups)
        names = [candidate.skill_name for candidate in candidates]
        known = self._store.tallies(names)
        with suppress(StoreUnavailable):  # what cannot be learnt now is learnt later
            self.learning.learn()
        near = fused >= fused.max(initial=-np.inf) - weights.gate
        scope = read_scope(
            self._store, names, near, project_id=request.project_id, user_id=request.user_id, now=system_clock()
        )
        after = self._store.last_success(request.session_id) if request.session_id is not None else None
        others = {
            "scope": scope_gain(scope),
            "co_use": self.learning.affinity("after", after, names),
            "phase": self.learning.affinity("phase", request.workflow_phase, names),
        }
        book, lock = self.learning.book(model_id, 1 if query is None else query.shape[0])
        with lock:
            judgement = judge(
                fused,
                [(candidate.skill_name, candidate.category) for candidate in candidates],
                book,
                query,
                self.learning.today,
                weights=weights,
                others=others,
            )
        stands_for = representatives(judgement.blend.order, groups)
        shown = np.array(list(stands_for), dtype=np.intp)
        fits = np.zeros_like(judgement.blend.fits)
        fits[shown] = judgement.blend.fits[shown]
        served = replace(judgement.blend, order=shown, fits=fits)
        return Ranking(
            query=query,
            candidates=candidates,
            tallies=[known.get(name) for name in names],
            fused=fused,
            chunk_similarities=chunk_similarities,
            scope=scope,
            after=after,
            phase=request.workflow_phase,
            weights=weights,
            judgement=judgement,
            explored=explore(served, judgement.belief, weights, self._exploration, self._random),
            stands_for=stands_for,
        )

    def _relevance(
        self, candidates: Sequence[Candidate], vectors: NDArray[np.float32] | None, settings: dict[str, float]
    ) -> tuple[NDArray[np.float64], dict[int, NDArray[np.float32]]]:
        """Return the fused relevance of all candidates, and the cosines of the best ones' chunks by skill id."""
        similarity = _column(candidate.similarity for candidate in candidates)
        bm25 = _column(candidate.bm25 for candidate in candidates)
        fused = fused_relevance(similarity, bm25, **settings)
        if vectors is None:
            return fused, {}
        best = np.argsort(-fused, kind="stable")[:_COMPARED_BY_CHUNKS].tolist()
        similarities = self._store.chunk_similarities([candidates[place].skill_id for place in best], vectors)
        if not similarities:
            return fused, {}
        chunk = _column(nearest_chunk(similarities, candidate) for candidate in candidates)
        return fused_relevance(similarity, bm25, chunk, **settings), similarities

    def _groups(
        self, candidates: Sequence[Candidate], fused: NDArray[np.float64], request: SearchRequest, weights: Weights
    ) -> list[list[int]]:
        """Return groups of near-identical candidates, by their places, among those that may be served."""
        fit = int((fused >= fused.max(initial=-np.inf) - weights.gate).sum())
        deep = max(_GROUPED_PER_RESULT * request.limit + _GROUPED_AT_LEAST, min(fit, _GROUPED_AT_MOST))
        place = {candidates[at].skill_id: at for at in np.argsort(-fused, kind="stable")[:deep].tolist()}
        return [[place[skill_id] for skill_id in group] for group in self._store.near_duplicates(list(place))]


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def _column(cells: Any) -> NDArray[np.float64]:
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def _logged(ranking: Ranking, place: int, position: int) -> ServedSkill:
    """Return the record of a served skill: enough to try other weights later (`service.learning.tuning`)."""
    return ServedSkill(
        position=position,
        skill_name=ranking.candidates[place].skill_name,
        score=float(ranking.judgement.blend.score[place]),
        components={
            **msgspec.to_builtins(components(ranking, place)),
            "near_identical": ranking.near_identical(place),
            "gains": {name: float(gains[place]) for name, gains in ranking.judgement.gains.items()},
            "believed": float(ranking.judgement.belief.mean[place]),
            "propensity": float(ranking.explored.propensity[place]),
        },
    )


def _filters(request: SearchRequest) -> dict[str, Any]:
    told: dict[str, Any] = {field: getattr(request, field) for field in ("limit", "category", "workflow_phase")}
    told |= {} if request.group else {"group": False}
    told |= {} if request.correct is None else {"correct": request.correct}
    return {field: value for field, value in told.items() if value is not None}


def _encode(encoder: Encoder, query: str) -> NDArray[np.float32] | None:
    return encoder.encode_queries(windows(query))


def _one_vector(vectors: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    if vectors is None:
        return None
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
