"""Whether anything fits at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store.records import Candidate, Confidence

CONFIDENCE_WORDS: Final[dict[Confidence, str]] = {
    "high": "these skills fit the question",
    "medium": "these skills probably fit; look at the first ones before you choose",
    "low": "nothing fits well; these come nearest",
    "none": "no skill fits this question; these are only the least unlike it",
}

# Cosines of the default model between a question and the nearest skill; see DECISIONS.md for what they were set by.
_HIGH: Final = 0.55
_MEDIUM: Final = 0.42
_LOW: Final = 0.32


def judge_confidence(candidates: Sequence[Candidate], words: Sequence[str]) -> Confidence:
    """Say how sure it is that the best candidate answers the question.

    Parameters
    ----------
    candidates : sequence of Candidate
    words : sequence of str
        The question's words, as lexical search sees them.
    """
    nearest = max((c.similarity for c in candidates if c.similarity is not None), default=None)
    if not candidates or not words:
        return "none"
    if nearest is None:
        return "low"
    if nearest >= _HIGH:
        return "high"
    if nearest >= _MEDIUM:
        return "medium"
    return "low" if nearest >= _LOW else "none"
