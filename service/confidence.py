"""Whether anything fits at all: read off how near the nearest skill is, by the scale of the model that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from store.records import Candidate, Confidence

CONFIDENCE_WORDS: Final[dict[Confidence, str]] = {
    "high": "these skills fit the question",
    "medium": "these skills probably fit; look at the first ones before you choose",
    "low": "nothing fits well; these come nearest",
    "none": "no skill fits this question; these are only the least unlike it",
}


class Scale(NamedTuple):
    """How a model's cosines read.

    Attributes
    ----------
    low, medium, high : float
        From which cosine of the nearest skill on an answer is at least this sure.
    spread, lexical_weight : float
        As `service.ranking.fusion.fused_relevance` takes them.
    """

    low: float
    medium: float
    high: float
    spread: float
    lexical_weight: float


# Measured on questions that were held out of training and on questions that nothing fits (DECISIONS.md, 25). A model
# that is not here has another scale, so its answers are never called better or worse than probable.
_SCALES: Final = {
    "all-MiniLM-L6-v2+skills": Scale(0.37, 0.39, 0.50, spread=0.058, lexical_weight=0.17),
    "all-MiniLM-L6-v2": Scale(0.32, 0.42, 0.55, spread=0.0475, lexical_weight=0.32),
}


def fusion_settings(model_id: str | None) -> dict[str, float]:
    """Return what `service.ranking.fusion.fused_relevance` should know of a model; nothing for one without a scale."""
    scale = _scale_of(model_id)
    return {} if scale is None else {"spread": scale.spread, "lexical_weight": scale.lexical_weight}


def judge_confidence(candidates: Sequence[Candidate], model_id: str | None) -> Confidence:
    """Say how sure it is that the best candidate answers the question.

    Parameters
    ----------
    candidates : sequence of Candidate
    model_id : str or None
        The model that the similarities come from; None when only words were compared.
    """
    if not candidates:
        return "none"
    nearest = max((c.similarity for c in candidates if c.similarity is not None), default=None)
    if nearest is None or model_id is None:
        return "low"
    scale = _scale_of(model_id)
    if scale is None:
        return "medium"
    if nearest >= scale.high:
        return "high"
    if nearest >= scale.medium:
        return "medium"
    return "low" if nearest >= scale.low else "none"


def _scale_of(model_id: str | None) -> Scale | None:
    return None if model_id is None else _SCALES.get(model_id.rpartition("@")[0])
