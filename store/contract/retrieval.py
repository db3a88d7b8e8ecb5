"""Finding candidates for a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One skill that may answer a query, with the evidence of both sides.

    `similarity` is the cosine of the query and the skill's vector, in [-1, 1]; None when there is no vector.
    `bm25` is the lexical score, higher is better; None when the text does not match.
    """

    skill_id: int
    skill_name: str
    category: str | None
    similarity: float | None
    bm25: float | None


class Term(msgspec.Struct, frozen=True):
    """A word of a text, as the full-text index spells it, and how many documents hold it."""

    word: str
    stem: str
    documents: int


class Retrieval(Protocol):
    """Finds what may answer a query."""

    def candidates(
        self,
        text: str,
        vectors: NDArray[np.float32] | Callable[[], NDArray[np.float32] | None] | None,
        *,
        depth: int,
        category: str | None = None,
    ) -> list[Candidate]:
        """Return the union of the `depth` best skills by text and the `depth` best by vector.

        Parameters
        ----------
        text : str
            The query; matched as plain words, never parsed as query syntax. Terms count as often as they occur.
        vectors : float32 (windows, dimension), rows L2-normalised, or None; or a function that returns them
            A skill's similarity is its vector's cosine with the nearest window. None searches text alone. A function
            is called once the text has been searched, so a model may make the vectors meanwhile.
        depth : int
        category : str, optional
            Only skills of this category.

        Returns
        -------
        list of Candidate
            In the order of skill names; each has its similarity whenever the skill has a vector.
        """

    def chunk_similarities(
        self, skill_ids: Sequence[int], vectors: NDArray[np.float32]
    ) -> dict[int, NDArray[np.float32]]:
        """Return how near the first chunks of these skills' documents are to a query, in the live generation.

        Parameters
        ----------
        skill_ids : sequence of int
        vectors : float32 (windows, dimension), rows L2-normalised
            Vectors of another dimension than the live generation's measure nothing.

        Returns
        -------
        dict of int to float32 (chunks,)
            The cosine of each embedded chunk, in order, with its nearest window, in [-1, 1] and exact to 0.001.
            Skills without such vectors are left out.
        """

    def terms(self, text: str) -> list[str]:
        """Return the words of `text` that lexical search looks for, in order, repeated as they occur."""

    def similar(self, skill_name: str, *, limit: int) -> list[Candidate]:
        """Return the skills nearest to a skill by vector, nearest first, itself left out. Raises `NotFound`."""

    def corrections(self, text: str) -> dict[str, str]:
        """Return the mistyped words of a query, each with the word of the documents that it is taken for.

        A word that stands in a general word list or names a product is not mistyped (`store.words`). Code, paths,
        identifiers, capitalised words and numbers are never corrected.
        """

    def vocabulary(self, text: str) -> list[Term]:
        """Return the words of `text` that lexical search looks for, in order, with how many documents hold each."""

    def closest_pairs(self, *, least: float, limit: int, skill_name: str | None = None) -> list[tuple[str, str, float]]:
        """Return the pairs of skills whose vectors have a cosine of at least `least`, nearest first, at most `limit`.

        Names in a pair are in their order. With `skill_name`, only its pairs; raises `NotFound` for an unknown one.
        """

    def resemblance(self, first: str, second: str) -> float | None:
        """Return the estimated share of shingles that two documents have in common (`store.near_duplicates`).

        None when their vectors are too far apart for it to mean anything, or one of them has none.
        """

    def near_duplicates(self, skill_ids: Sequence[int]) -> list[list[int]]:
        """Return the groups of two or more near-identical skills among these, each in the order of `skill_ids`.

        Told from what the documents say (`store.near_duplicates`), as of now; a skill is in one group at most.
        """

    def refresh(self) -> None:
        """Load what other processes indexed meanwhile. Searches do this by themselves."""
