"""How likely it is that a skill fits: read off the cosine of the nearest one, on the scale of the model.

A query of one or two words has a low cosine with every document, so words count too: a query whose words all stand in
the name or description of one of the first skills is never answered by "no skill fits".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from embeddings.scale import Scale
from store.contract.retrieval import Candidate, Term
from store.contract.searches import Confidence

CONFIDENCE_WORDS: Final[dict[Confidence, str]] = {
    "high": "these skills fit the query",
    "medium": "these skills probably fit; compare the first ones before you choose",
    "low": "no skill fits well; these are the closest",
    "none": "no skill fits this query; the closest ones are listed only for reference",
}

# Measured on queries held out of training and on queries that no skill fits (DECISIONS.md, 52 and 55). The cosines
# of a model without a scale, here or beside the model, cannot be read this way, so its confidence is always medium.
_SCALES: Final = {
    "all-MiniLM-L6-v2+skills": Scale(low=0.35, medium=0.39, high=0.50, spread=0.058, lexical_weight=0.17),
    "all-MiniLM-L6-v2": Scale(low=0.32, medium=0.42, high=0.55, spread=0.0475, lexical_weight=0.32),
}


def scale_of(model_id: str, own: Scale | None) -> Scale | None:
    """Return the scale stored beside a model (`own`), else that of the release, else None."""
    return own or _SCALES.get(model_id.rpartition("@")[0])


def fusion_settings(scale: Scale | None) -> dict[str, float]:
    """Return the arguments of `service.ranking.fusion.fused_relevance` for a model; none for one without a scale."""
    return {} if scale is None else {"spread": scale.spread, "lexical_weight": scale.lexical_weight}


def judge_confidence(candidates: Sequence[Candidate], scale: Scale | None) -> Confidence:
    """Return the confidence that the best candidate answers the query.

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


def describes(words: Sequence[Term], texts: Iterable[Collection[Term]]) -> bool:
    """Whether one of some texts, each as its terms, holds every word of a query in some form."""
    sought = {word.stem for word in words}
    return bool(sought) and any(sought <= {term.stem for term in text} for text in texts)
