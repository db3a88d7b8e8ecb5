"""From a question to ranked skills: encode, find candidates, rank, explain, record."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.answers import Components, Evidence, Passage, RankedSkill, SearchAnswer, SearchRequest
from service.confidence import CONFIDENCE_WORDS, judge_confidence
from service.encoders import Encoders
from service.learning import Learning
from service.passages import SoughtWords, best_passage, excerpt
from service.questions import checked_question, windows
from service.ranking.blend import DEFAULT_WEIGHTS, Weights
from service.ranking.exploration import Exploration, Explored, explore
from service.ranking.fusion import DEPTH, fused_relevance, lexical_weight
from service.ranking.judgement import Judgement, judge
from service.ranking.reasons import Company, History, company_reasons, reasons
from service.ranking.scope import SkillScope, scope_gain, scope_reasons
from service.scoping import read_scope
from store.clock import format_time, system_clock
from store.protocol import Store
from store.records import Candidate, SearchRecord, ServedSkill, SkillRecord, Tally

_SHOWN_WORDS: Final = 4
# So many uses at questions like this one are needed before their success is spoken of.
_USES_TO_TELL: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Candidates with everything that is known of them, in the order of the candidates."""

    candidates: Sequence[Candidate]
    tallies: Sequence[Tally | None]
    fused: NDArray[np.float64]
    scope: Sequence[SkillScope]
    after: str | None
    phase: str | None
    weights: Weights
    judgement: Judgement
    explored: Explored


class SkillSearch:
    """Answers questions from one store.

    Parameters
    ----------
    store : Store
    encoders : Encoders
        Gives the encoder that made the live generation.
    exploration : Exploration, optional
        How often a skill is put first to learn more about it; never, by default.
    """

    def __init__(
        self,
        store: Store,
        encoders: Encoders,
        *,
        exploration: Exploration = Exploration(),  # noqa: B008  frozen
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._exploration = exploration
        self._random = np.random.default_rng()
        self.learning = Learning(store)

    def answer(self, request: SearchRequest) -> SearchAnswer:
        """Rank the skills that may answer a question, and record what was served.

        Raises
        ------
        InvalidQuestion
            When the question cannot be asked.
        """
        started = time.perf_counter()
        question = checked_question(request.query)
        vectors, model_id, degraded = self._encode(question)
        candidates = self._store.candidates(question, vectors, depth=DEPTH, category=request.category)
        words = self._store.terms(question)
        one = None if vectors is None else _one_vector(vectors)
        ranking = self._rank(candidates, words, request, one, model_id, weights=self.weights())
        confidence = judge_confidence(candidates, model_id)
        results = self._explain(ranking, words, request.limit)
        answer = SearchAnswer(
            search_id=str(uuid.uuid4()),
            confidence=confidence,
            message=CONFIDENCE_WORDS[confidence],
            results=results,
            weights_version=ranking.weights.version,
            degraded=degraded,
            elapsed_ms=round((time.perf_counter() - started) * 1000, 3),
        )
        self._record(request, question, vectors, model_id, answer, ranking)
        return answer

    def order(self, request: SearchRequest, weights: Weights) -> list[str]:
        """Return the names of the skills in the order that some weights give, without recording anything."""
        question = checked_question(request.query)
        vectors, model_id, _ = self._encode(question)
        candidates = self._store.candidates(question, vectors, depth=DEPTH, category=request.category)
        one = None if vectors is None else _one_vector(vectors)
        ranking = self._rank(candidates, self._store.terms(question), request, one, model_id, weights=weights)
        return [candidates[int(place)].skill_name for place in ranking.judgement.blend.order[: request.limit]]

    def weights(self) -> Weights:
        """Return the weights that rank: those adopted last, or those of the release."""
        learnt = self._store.learnt_weights()
        return DEFAULT_WEIGHTS if learnt is None else msgspec.convert(learnt.weights, Weights)

    def _encode(self, question: str) -> tuple[NDArray[np.float32] | None, str | None, list[str]]:
        generation = self._store.live_generation()
        if generation is None:
            return None, None, ["nothing is indexed yet: run `skillrank index ROOT…`"]
        encoder, problem = self._encoders.for_model(generation.model_id)
        if encoder is None:
            return None, None, [f"searching by words alone: {problem}"]
        return encoder.encode_questions(windows(question)), generation.model_id, [problem] if problem else []

    def _rank(
        self,
        candidates: Sequence[Candidate],
        words: Sequence[str],
        request: SearchRequest,
        question: NDArray[np.float32] | None,
        model_id: str | None,
        *,
        weights: Weights,
    ) -> _Ranking:
        fused = fused_relevance(
            _column(candidate.similarity for candidate in candidates),
            _column(candidate.bm25 for candidate in candidates),
            lexical_weight=lexical_weight(len(set(words))),
        )
        names = [candidate.skill_name for candidate in candidates]
        known = self._store.tallies(names)
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
        book, lock = self.learning.book(model_id, 1 if question is None else question.shape[0])
        with lock:
            judgement = judge(
                fused,
                [(candidate.skill_name, candidate.category) for candidate in candidates],
                book,
                question,
                self.learning.today,
                weights=weights,
                others=others,
            )
        return _Ranking(
            candidates=candidates,
            tallies=[known.get(name) for name in names],
            fused=fused,
            scope=scope,
            after=after,
            phase=request.workflow_phase,
            weights=weights,
            judgement=judgement,
            explored=explore(judgement.blend, judgement.belief, weights, self._exploration, self._random),
        )

    def _explain(self, ranking: _Ranking, words: Sequence[str], limit: int) -> list[RankedSkill]:
        served = [int(place) for place in ranking.explored.order[:limit]]
        names = [ranking.candidates[place].skill_name for place in served]
        chunks = self._store.chunks(names)
        skills = self._store.skills_named(names)
        sought = SoughtWords(words)
        results: list[RankedSkill] = []
        for place in served:
            name = ranking.candidates[place].skill_name
            if name not in skills:
                continue  # removed by another process since it was found
            found = best_passage(sought, chunks.get(name, []))
            text = found.text if found else ""
            results.append(
                RankedSkill(
                    position=len(results) + 1,
                    skill_name=name,
                    description=skills[name].description or "",
                    category=skills[name].category,
                    document_path=skills[name].document_path,
                    score=float(ranking.judgement.blend.score[place]),
                    components=_components(ranking, place),
                    evidence=_evidence(ranking, place),
                    reasons=_reasons(ranking, place, sought, f"{_told(skills[name])} {text}"),
                    passage=Passage(heading=found.heading, text=excerpt(sought, text)) if found else None,
                )
            )
        return results

    def _record(
        self,
        request: SearchRequest,
        question: str,
        vectors: NDArray[np.float32] | None,
        model_id: str | None,
        answer: SearchAnswer,
        ranking: _Ranking,
    ) -> None:
        filters: dict[str, Any] = {
            field: getattr(request, field)
            for field in ("limit", "category", "workflow_phase")
            if getattr(request, field) is not None
        }
        place = {candidate.skill_name: at for at, candidate in enumerate(ranking.candidates)}
        self._store.record_search(
            SearchRecord(
                id=answer.search_id,
                searched_at=format_time(system_clock()),
                query=question,
                query_hash=hashlib.sha256(question.encode()).hexdigest(),
                query_vector=None if vectors is None else _one_vector(vectors).tobytes(),
                model_id=model_id,
                session_id=request.session_id,
                user_id=request.user_id,
                project_id=request.project_id,
                filters=filters,
                weights_version=answer.weights_version,
                explored=ranking.explored.explored,
                confidence=answer.confidence,
                degraded=answer.degraded,
                elapsed_ms=answer.elapsed_ms,
                results=[
                    ServedSkill(
                        position=skill.position,
                        skill_name=skill.skill_name,
                        score=skill.score,
                        components=_logged(ranking, place[skill.skill_name], skill.components),
                    )
                    for skill in answer.results
                ],
            )
        )


def _column(cells: Any) -> NDArray[np.float64]:
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def _logged(ranking: _Ranking, place: int, components: Components) -> dict[str, Any]:
    """Return what is kept of a served skill: enough to try other weights on it later (`service.tuning`)."""
    return {
        **msgspec.to_builtins(components),
        "gains": {name: float(gains[place]) for name, gains in ranking.judgement.gains.items()},
        "believed": float(ranking.judgement.belief.mean[place]),
        "propensity": float(ranking.explored.propensity[place]),
    }


def _one_vector(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _told(skill: SkillRecord) -> str:
    return f"{skill.skill_name} {skill.description or ''}"


def _components(ranking: _Ranking, place: int) -> Components:
    candidate, blended = ranking.candidates[place], ranking.judgement.blend

    def further(name: str) -> float:
        return float(blended.others[name][place]) if name in blended.others else 0.0

    return Components(
        log_relevance=float(blended.log_relevance[place]),
        success=float(blended.success[place]),
        speed=float(blended.speed[place]),
        choice=further("choice"),
        co_use=further("co_use"),
        phase=further("phase"),
        scope=further("scope"),
        fused=float(ranking.fused[place]),
        similarity=candidate.similarity,
        bm25=candidate.bm25,
        fits=bool(blended.fits[place]),
    )


def _evidence(ranking: _Ranking, place: int) -> Evidence:
    tally = ranking.tallies[place]
    low, high = ranking.judgement.likely(place)
    finished = tally.finished if tally else 0
    return Evidence(
        uses=finished,
        completed=tally.completed if tally else 0,
        failed=tally.failed if tally else 0,
        abandoned=tally.abandoned if tally else 0,
        cancelled=tally.cancelled if tally else 0,
        completion_rate=100.0 * tally.completed / finished if tally and finished else None,
        believed_success=float(ranking.judgement.belief.mean[place]),
        believed_low=low,
        believed_high=high,
        uses_at_questions_like_this=round(ranking.judgement.uses_alike(place), 3),
        typical_seconds=tally.typical_seconds if tally else None,
        last_used=tally.last_invoked if tally else None,
    )


def _reasons(ranking: _Ranking, place: int, sought: SoughtWords, text: str) -> list[str]:
    candidate, tally, judgement = ranking.candidates[place], ranking.tallies[place], ranking.judgement
    tells = judgement.uses_alike(place) >= _USES_TO_TELL
    said = reasons(
        similarity=candidate.similarity,
        matched_words=sought.words_in(text)[:_SHOWN_WORDS],
        fits=bool(judgement.blend.fits[place]),
        history=History(
            completed=tally.completed if tally else 0,
            finished=tally.finished if tally else 0,
            typical_seconds=tally.typical_seconds if tally else None,
            speed_gain=float(judgement.pace.gain[place]) if tally else 0.0,
            likely=judgement.likely(place) if tells else None,
        ),
    )
    drawn = ranking.explored.explored and place == ranking.explored.order[0] != judgement.blend.order[0]
    company = Company(
        after=ranking.after,
        co_use_gain=float(judgement.gains["co_use"][place]),
        phase=ranking.phase,
        phase_gain=float(judgement.gains["phase"][place]),
        choice_gain=float(judgement.gains["choice"][place]),
        drawn=bool(drawn),
    )
    return [*said, *scope_reasons(ranking.scope[place]), *company_reasons(company)]
