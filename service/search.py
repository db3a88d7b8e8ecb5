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
from service.passages import SoughtWords, best_passage, excerpt
from service.questions import checked_question, windows
from service.ranking.blend import DEFAULT_WEIGHTS, Blend, blend
from service.ranking.fusion import fused_relevance, lexical_weight
from service.ranking.outcomes import FAILURE_WEIGHT, prior_rate, speed_gain, success_gain, success_posterior
from service.ranking.reasons import History, reasons
from service.ranking.scope import SkillScope, scope_gain, scope_reasons
from service.scoping import read_scope
from store.clock import format_time, system_clock
from store.protocol import Store
from store.records import Candidate, SearchRecord, ServedSkill, SkillRecord, Tally

DEPTH: Final = 200
_SHOWN_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Candidates with everything that is known of them, in the order of the candidates."""

    candidates: Sequence[Candidate]
    tallies: Sequence[Tally | None]
    fused: NDArray[np.float64]
    believed: NDArray[np.float64]
    speed: NDArray[np.float64]
    scope: Sequence[SkillScope]
    blend: Blend


class SkillSearch:
    """Answers questions from one store.

    Parameters
    ----------
    store : Store
    encoders : Encoders
        Gives the encoder that made the live generation.
    keep_questions : bool
        Whether the text of questions is stored beside their hash and vector.
    """

    def __init__(self, store: Store, encoders: Encoders, *, keep_questions: bool = True) -> None:
        self._store = store
        self._encoders = encoders
        self._keep_questions = keep_questions

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
        ranking = self._rank(candidates, words, request)
        confidence = judge_confidence(candidates, words)
        results = self._explain(ranking, words, request.limit)
        answer = SearchAnswer(
            search_id=str(uuid.uuid4()),
            confidence=confidence,
            message=CONFIDENCE_WORDS[confidence],
            results=results,
            weights_version=DEFAULT_WEIGHTS.version,
            degraded=degraded,
            elapsed_ms=round((time.perf_counter() - started) * 1000, 3),
        )
        self._record(request, question, vectors, model_id, answer)
        return answer

    def _encode(self, question: str) -> tuple[NDArray[np.float32] | None, str | None, list[str]]:
        generation = self._store.live_generation()
        if generation is None:
            return None, None, ["nothing is indexed yet: run `skillrank index ROOT…`"]
        encoder, problem = self._encoders.for_model(generation.model_id)
        if encoder is None:
            return None, None, [f"searching by words alone: {problem}"]
        return encoder.encode_questions(windows(question)), generation.model_id, [problem] if problem else []

    def _rank(self, candidates: Sequence[Candidate], words: Sequence[str], request: SearchRequest) -> _Ranking:
        fused = fused_relevance(
            _column(candidate.similarity for candidate in candidates),
            _column(candidate.bm25 for candidate in candidates),
            lexical_weight=lexical_weight(len(set(words))),
        )
        names = [candidate.skill_name for candidate in candidates]
        known = self._store.tallies(names)
        tallies = [known.get(candidate.skill_name) for candidate in candidates]
        successes = np.array([t.completed if t else 0.0 for t in tallies], dtype=np.float64)
        failures = np.array([_failures(t) if t else 0.0 for t in tallies], dtype=np.float64)
        prior = prior_rate(*self._store.overall_tally())
        near = fused >= fused.max(initial=-np.inf) - DEFAULT_WEIGHTS.gate
        seconds = _column(t.typical_seconds if t and fit else None for t, fit in zip(tallies, near, strict=True))
        speed = speed_gain(seconds, np.array([t.timed_completions if t else 0.0 for t in tallies]))
        scope = read_scope(
            self._store, names, near, project_id=request.project_id, user_id=request.user_id, now=system_clock()
        )
        gains = {"scope": scope_gain(scope)}
        return _Ranking(
            candidates=candidates,
            tallies=tallies,
            fused=fused,
            believed=success_posterior(successes, failures, prior),
            speed=speed,
            scope=scope,
            blend=blend(fused, success_gain(successes, failures, prior), speed, others=gains),
        )

    def _explain(self, ranking: _Ranking, words: Sequence[str], limit: int) -> list[RankedSkill]:
        served = [int(place) for place in ranking.blend.order[:limit]]
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
                    score=float(ranking.blend.score[place]),
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
    ) -> None:
        filters: dict[str, Any] = {
            field: getattr(request, field)
            for field in ("limit", "category", "workflow_phase")
            if getattr(request, field) is not None
        }
        self._store.record_search(
            SearchRecord(
                id=answer.search_id,
                searched_at=format_time(system_clock()),
                query=question if self._keep_questions else None,
                query_hash=hashlib.sha256(question.encode()).hexdigest(),
                query_vector=None if vectors is None else _one_vector(vectors).tobytes(),
                model_id=model_id,
                session_id=request.session_id,
                user_id=request.user_id,
                project_id=request.project_id,
                filters=filters,
                weights_version=answer.weights_version,
                explored=False,
                confidence=answer.confidence,
                degraded=answer.degraded,
                elapsed_ms=answer.elapsed_ms,
                results=[
                    ServedSkill(
                        position=skill.position,
                        skill_name=skill.skill_name,
                        score=skill.score,
                        components=msgspec.to_builtins(skill.components),
                    )
                    for skill in answer.results
                ],
            )
        )


def _column(cells: Any) -> NDArray[np.float64]:
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def _failures(tally: Tally) -> float:
    return (
        FAILURE_WEIGHT["failed"] * tally.failed
        + FAILURE_WEIGHT["abandoned"] * tally.abandoned
        + FAILURE_WEIGHT["cancelled"] * tally.cancelled
    )


def _one_vector(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _told(skill: SkillRecord) -> str:
    return f"{skill.skill_name} {skill.description or ''}"


def _components(ranking: _Ranking, place: int) -> Components:
    candidate = ranking.candidates[place]
    return Components(
        log_relevance=float(ranking.blend.log_relevance[place]),
        success=float(ranking.blend.success[place]),
        speed=float(ranking.blend.speed[place]),
        scope=float(ranking.blend.others["scope"][place]),
        fused=float(ranking.fused[place]),
        similarity=candidate.similarity,
        bm25=candidate.bm25,
        fits=bool(ranking.blend.fits[place]),
    )


def _evidence(ranking: _Ranking, place: int) -> Evidence:
    tally = ranking.tallies[place]
    believed = float(ranking.believed[place])
    if tally is None:
        return Evidence(
            uses=0,
            completed=0,
            failed=0,
            abandoned=0,
            cancelled=0,
            completion_rate=None,
            believed_success=believed,
            typical_seconds=None,
            last_used=None,
        )
    finished = tally.finished
    return Evidence(
        uses=finished,
        completed=tally.completed,
        failed=tally.failed,
        abandoned=tally.abandoned,
        cancelled=tally.cancelled,
        completion_rate=100.0 * tally.completed / finished if finished else None,
        believed_success=believed,
        typical_seconds=tally.typical_seconds,
        last_used=tally.last_invoked,
    )


def _reasons(ranking: _Ranking, place: int, sought: SoughtWords, text: str) -> list[str]:
    candidate, tally = ranking.candidates[place], ranking.tallies[place]
    said = reasons(
        similarity=candidate.similarity,
        matched_words=sought.words_in(text)[:_SHOWN_WORDS],
        fits=bool(ranking.blend.fits[place]),
        history=History(
            completed=tally.completed if tally else 0,
            finished=tally.finished if tally else 0,
            typical_seconds=tally.typical_seconds if tally else None,
            speed_gain=float(ranking.speed[place]) if tally else 0.0,
        ),
    )
    return [*said, *scope_reasons(ranking.scope[place])]
