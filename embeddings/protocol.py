"""The one interface behind which every model runtime stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Text in, unit vectors out; safe to share between threads.

    Documents and queries land in one space: the dot product of two rows is their cosine similarity. The same
    text gives the same vector (to float rounding) whatever it is encoded together with. Any ``str`` is accepted:
    blank ones (all of them read as the same text), control characters, lone surrogates (read as U+FFFD) and huge
    ones, of which only the beginning counts (``max_tokens``).
    """

    @property
    def model_id(self) -> str:
        """What the vectors depend on: the model's name and a fingerprint of its content.

        Vectors with different ids must never be compared. The same files give the same id on every machine.
        """
        ...

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read, special tokens included; the rest does not count."""
        ...

    def encode_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Encode what is searched.

        Parameters
        ----------
        texts : sequence of str
        on_progress : callable, optional
            Called in the calling thread with the number of texts done since the last call; the numbers add up to
            ``len(texts)``. What it raises ends the encoding and reaches the caller.

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
        """Encode what is asked.

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
