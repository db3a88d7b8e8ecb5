"""From a ranking to what an answer shows: components, evidence, reasons and the matching passage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.ranking.blend import Weights
from service.ranking.exploration import Explored
from service.ranking.judgement import Judgement
from service.ranking.reasons import Company, History, company_reasons, reasons
from service.ranking.scope import SkillScope, scope_reasons
from service.search.answers import Components, Evidence, Passage, RankedSkill
from service.search.passages import SoughtWords, best_passage, excerpt
from store.contract.catalogue import Chunk, SkillRecord
from store.contract.metrics import Tally
from store.contract.retrieval import Candidate, Term

_SHOWN_WORDS: Final = 4
# With fewer uses for similar queries, their success is not mentioned.
_USES_TO_TELL: Final = 3.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates with everything that is known about them, in the order of the candidates.

    `query` is the query's one vector, None without a model. `chunk_similarities` holds the cosines of documents' first
    chunks by skill id, for those of the candidates that have them.
    """

    query: NDArray[np.float32] | None
    candidates: Sequence[Candidate]
    tallies: Sequence[Tally | None]
    fused: NDArray[np.float64]
    chunk_similarities: Mapping[int, NDArray[np.float32]]
    scope: Sequence[SkillScope]
    after: str | None
    phase: str | None
    weights: Weights
    judgement: Judgement
    explored: Explored
    stands_for: Mapping[int, Sequence[int]]

    def near_identical(self, place: int) -> list[str]:
        """Return the names of the other skills that a served candidate represents, best first."""
        return [self.candidates[other].skill_name for other in self.stands_for[place]]


def explain(
    ranking: Ranking,
    served: Sequence[int],
    words: Sequence[Term],
    skills: dict[str, SkillRecord],
    chunks: dict[str, list[Chunk]],
    *,
    nothing_fits: bool,
) -> list[RankedSkill]:
    """Return the results of an answer.

    Parameters
    ----------
    ranking : Ranking
    served : sequence of int
        Places of candidates, best first.
    words : sequence of Term
        Of the query, as the full-text index has them.
    skills : dict of str to SkillRecord
        Holds every served candidate.
    chunks : dict of str to list of Chunk
    nothing_fits : bool
        Whether even the best candidate does not fit, so that none is called close.
    """
    sought = SoughtWords(words)
    likely = ranking.judgement.likely(np.array(served, dtype=np.intp))
    results = []
    for position, (place, interval) in enumerate(zip(served, likely, strict=True), start=1):
        skill = skills[ranking.candidates[place].skill_name]
        near = ranking.chunk_similarities.get(skill.id, np.empty(0)).tolist()
        found = best_passage(sought, chunks.get(skill.skill_name, []), near)
        text = found.text if found else ""
        told = f"{skill.skill_name} {skill.description or ''} {text}"
        results.append(
            RankedSkill(
                position=position,
                skill_name=skill.skill_name,
                description=skill.description or "",
                category=skill.category,
                document_path=skill.document_path,
                score=float(ranking.judgement.blend.score[place]),
                components=components(ranking, place),
                evidence=_evidence(ranking, place, interval),
                reasons=_reasons(
                    ranking, place, interval, sought.words_in(told)[:_SHOWN_WORDS], nothing_fits=nothing_fits
                ),
                passage=_passage(sought, found),
                near_identical=ranking.near_identical(place),
            )
        )
    return results


def _passage(sought: SoughtWords, found: Chunk | None) -> Passage | None:
    if found is None:
        return None
    shown = excerpt(sought, found.text)
    return Passage(heading=found.heading, text=shown, words=sought.words_in(shown))


def nearest_chunk(similarities: Mapping[int, NDArray[np.float32]], candidate: Candidate) -> float | None:
    """Return the cosine of a candidate's nearest chunk, None where it is not known."""
    cosines = similarities.get(candidate.skill_id)
    return None if cosines is None else max(cosines.tolist())


def components(ranking: Ranking, place: int) -> Components:
    """Return what made a candidate's score."""
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
        chunk_similarity=nearest_chunk(ranking.chunk_similarities, candidate),
        bm25=candidate.bm25,
        fits=bool(blended.fits[place]),
    )


def _evidence(ranking: Ranking, place: int, likely: tuple[float, float]) -> Evidence:
    tally = ranking.tallies[place]
    low, high = likely
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
        uses_at_queries_like_this=round(ranking.judgement.uses_alike(place), 3),
        typical_seconds=tally.typical_seconds if tally else None,
        last_used=tally.last_invoked if tally else None,
    )


def _reasons(
    ranking: Ranking, place: int, likely: tuple[float, float], matched: list[str], *, nothing_fits: bool
) -> list[str]:
    candidate, tally, judgement = ranking.candidates[place], ranking.tallies[place], ranking.judgement
    tells = judgement.uses_alike(place) >= _USES_TO_TELL
    said = reasons(
        similarity=candidate.similarity,
        matched_words=matched,
        fits=bool(judgement.blend.fits[place]) and not nothing_fits,
        history=History(
            completed=tally.completed if tally else 0,
            finished=tally.finished if tally else 0,
            typical_seconds=tally.typical_seconds if tally else None,
            speed_gain=float(judgement.pace.gain[place]) if tally else 0.0,
            likely=likely if tells else None,
            mean_seconds=tally.mean_duration_seconds if tally else None,
        ),
    )
    drawn = ranking.explored.explored and place == ranking.explored.order[0] != judgement.blend.order[0]
    others = len(ranking.stands_for[place])
    copies = [f"one of {others + 1} near-identical skills"] if others else []
    company = Company(
        after=ranking.after,
        co_use_gain=float(judgement.gains["co_use"][place]),
        phase=ranking.phase,
        phase_gain=float(judgement.gains["phase"][place]),
        choice_gain=float(judgement.gains["choice"][place]),
        drawn=bool(drawn),
    )
    return [*said, *copies, *scope_reasons(ranking.scope[place]), *company_reasons(company)]
