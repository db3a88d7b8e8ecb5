"""Whether anything fits at all: read off how near the nearest skill is, by the scale of the model that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from embeddings.scale import Scale
from store.contract.retrieval import Candidate
from store.contract.searches import Confidence

CONFIDENCE_WORDS: Final[dict[Confidence, str]] = {
    "high": "these skills fit the query",
    "medium": "these skills probably fit; compare the first ones before you choose",
    "low": "no skill fits well; these are the closest",
    "none": "no skill fits this query; the closest ones are listed only for reference",
}

# Measured on queries that were held out of training and on queries that nothing fits (DECISIONS.md, 25,
# 52 and 55). A model that has no scale, here or beside it, reads otherwise, so its answers are never called better or
# worse than probable.
_SCALES: Final = {
    "all-MiniLM-L6-v2+skills": Scale(low=0.35, medium=0.39, high=0.50, spread=0.058, lexical_weight=0.17),
    "all-MiniLM-L6-v2": Scale(low=0.32, medium=0.42, high=0.55, spread=0.0475, lexical_weight=0.32),
}


def scale_of(model_id: str, own: Scale | None) -> Scale | None:
    """Return the scale that lies beside a model (`own`), else that of the release, else None."""
    return own or _SCALES.get(model_id.rpartition("@")[0])


def fusion_settings(scale: Scale | None) -> dict[str, float]:
    """Return what `service.ranking.fusion.fused_relevance` should know of a model; nothing for one without a scale."""
    return {} if scale is None else {"spread": scale.spread, "lexical_weight": scale.lexical_weight}


def judge_confidence(candidates: Sequence[Candidate], scale: Scale | None) -> Confidence:
    """Say how sure it is that the best candidate answers the query.

    Parameters
    ----------
    candidates : sequence of Candidate
        Without any similarity when only words were compared.
    scale : Scale or None
        Of the model that the similarities come from.
    """
    if not candidates:
        return "none"
    nearest = max((c.similarity for c in candidates if c.similarity is not None), default=None)
    if nearest is None:
        return "low"
    if scale is None:
        return "medium"
    if nearest >= scale.high:
        return "high"
    if nearest >= scale.medium:
        return "medium"
    return "low" if nearest >= scale.low else "none"
