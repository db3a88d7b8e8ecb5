"""Finding candidates for a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that may answer a query, with its lexical and semantic scores.

    `similarity` is the cosine of the query and the skill's vector, in [-1, 1]; None when there is no vector.
    `bm25` is the lexical score, higher is better; None when the text does not match.
    """

    skill_id: int
    skill_name: str
    category: str | None
    similarity: float | None
    bm25: float | None


class Term(msgspec.Struct, frozen=True):
    """A word of a text, its stem in the full-text index, and the number of documents that contain it."""

    word: str
    stem: str
    documents: int


class Retrieval(Protocol):
    """Finds the skills that may answer a query."""

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
            is called after the text was searched, so that a model may compute the vectors in the meantime.
        depth : int
        category : str, optional
            Only skills of this category.

        Returns
        -------
        list of Candidate
            Ordered by skill name; each has a similarity if the skill has a vector.
        """

    def chunk_similarities(
        self, skill_ids: Sequence[int], vectors: NDArray[np.float32]
    ) -> dict[int, NDArray[np.float32]]:
        """Return the cosines of a query and the first chunks of these skills' documents, in the live generation.

        Parameters
        ----------
        skill_ids : sequence of int
        vectors : float32 (windows, dimension), rows L2-normalised
            With another dimension than the live generation's, the result is empty.

        Returns
        -------
        dict of int to float32 (chunks,)
            The cosine of each embedded chunk, in order, with its nearest window, in [-1, 1] and exact to 0.001.
            Skills without chunk vectors are absent.
        """

    def terms(self, text: str) -> list[str]:
        """Return the words of `text` that lexical search uses, in order and with repetitions."""

    def similar(self, skill_name: str, *, limit: int) -> list[Candidate]:
        """Return the other skills nearest to a skill by vector, nearest first. Raises `NotFound`."""

    def corrections(self, text: str) -> dict[str, str]:
        """Return the mistyped words of a query, each with the word of the documents that it is taken for.

        A word that stands in a general word list or names a product is not mistyped (`store.words`). Code, paths,
        identifiers, capitalised words and numbers are never corrected.
        """

    def vocabulary(self, text: str) -> list[Term]:
        """Return the words of `text` that lexical search uses, in order, with their numbers of documents."""

    def closest_pairs(self, *, least: float, limit: int, skill_name: str | None = None) -> list[tuple[str, str, float]]:
        """Return the pairs of skills whose vectors have a cosine of at least `least`, nearest first, at most `limit`.

        The names in a pair are in alphabetical order. With `skill_name`, only pairs of that skill; raises `NotFound`
        for an unknown one.
        """

    def resemblance(self, first: str, second: str) -> float | None:
        """Return the estimated share of shingles that two documents have in common (`store.near_duplicates`).

        None when one of them has no vector, or their vectors are too far apart for the estimate to be meaningful.
        """

    def near_duplicates(self, skill_ids: Sequence[int]) -> list[list[int]]:
        """Return the groups of two or more near-identical skills among these, each in the order of `skill_ids`.

        Computed from the current documents (`store.near_duplicates`); a skill is in one group at most.
        """

    def refresh(self) -> None:
        """Load what other processes have indexed. Searches do this themselves."""
