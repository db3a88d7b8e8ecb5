"""The interface that every model runtime implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Encodes texts as unit vectors; safe to share between threads.

    Documents and queries share one vector space: the dot product of two rows is their cosine similarity. A text gets
    the same vector (up to float rounding) regardless of what it is encoded together with. Any ``str`` is accepted:
    blank texts (which all get the same vector), control characters, lone surrogates (read as U+FFFD) and huge texts, of
    which only the beginning is read (``max_tokens``).
    """

    @property
    def model_id(self) -> str:
        """The model's name and a fingerprint of everything that its vectors depend on.

        Vectors with different ids must never be compared. The same files have the same id on every machine.
        """
        ...

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read, special tokens included; the rest is ignored."""
        ...

    def encode_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Encode documents.

        Parameters
        ----------
        texts : sequence of str
        on_progress : callable, optional
            Called in the calling thread with the number of texts encoded since the last call; the numbers add up to
            ``len(texts)``. An exception that it raises stops the encoding and reaches the caller.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            L2-normalised, row ``i`` for ``texts[i]``; shape (0, dimension) for no texts.

        Raises
        ------
        TypeError
            When ``texts`` is a single string.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode queries.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            L2-normalised, row ``i`` for ``texts[i]``; shape (0, dimension) for no texts.

        Raises
        ------
        TypeError
            When ``texts`` is a single string.
        """
        ...
