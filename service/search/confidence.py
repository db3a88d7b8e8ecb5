"""How well the best skill fits a query: judged by its similarity, on the scale of the model that computed it."""

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

# Measured on queries that were held out of training and on queries that no skill fits (DECISIONS.md, 25, 52 and 55).
# Similarities of a model without a scale, here or in its own folder, cannot be read, so its confidence stays medium.
_SCALES: Final = {
    "all-MiniLM-L6-v2+skills": Scale(low=0.35, medium=0.39, high=0.50, spread=0.058, lexical_weight=0.17),
    "all-MiniLM-L6-v2": Scale(low=0.32, medium=0.42, high=0.55, spread=0.0475, lexical_weight=0.32),
}


def scale_of(model_id: str, own: Scale | None) -> Scale | None:
    """Return the scale in the folder of the model (`own`), else the built-in one, else None."""
    return own or _SCALES.get(model_id.rpartition("@")[0])


def fusion_settings(scale: Scale | None) -> dict[str, float]:
    """Return the settings of `service.ranking.fusion.fused_relevance` for a model; none without a scale."""
    return {} if scale is None else {"spread": scale.spread, "lexical_weight": scale.lexical_weight}


def judge_confidence(candidates: Sequence[Candidate], scale: Scale | None) -> Confidence:
    """Return how certain it is that the best candidate fits the query.

    Parameters
    ----------
    candidates : sequence of Candidate
        They have no similarity when only words were compared.
    scale : Scale or None
        The scale of the model that computed the similarities.
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
