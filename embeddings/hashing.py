"""A deterministic encoder that needs no model: signed feature hashing of words and parts of words.

It is meant for tests that need vectors but no model. Texts with the same or related words get similar vectors; meaning
plays no part.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from embeddings.texts import clean_texts

# Part of the identity. Increase it with every change that changes a vector.
_SCHEME: Final = 1
_MAX_TOKENS: Final = 512

_CHINESE_JAPANESE: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_CHINESE_JAPANESE}]+|[^\W_{_CHINESE_JAPANESE}]+")
_CHINESE_JAPANESE_WORD: Final = re.compile(f"[{_CHINESE_JAPANESE}]")
_CAMEL_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Weight of all parts of a word relative to the whole word; they make "tests" and "testing" similar.
_PARTS: Final = 0.6
# Weight of a function word relative to a content word.
_FUNCTION_WORD: Final = 0.1
_ENGLISH: Final = """
    a about all am an and any are as at be been but by can could did do does for from had has have how i
    if in into is it its may me my no not of on one or our should so some such than that the their them
    then there these they this those to too up us use used using was we were what when where which who
    why will with would you your
"""
_FUNCTION_WORDS: Final = frozenset(_ENGLISH.split())

_Features = tuple[NDArray[np.uint64], NDArray[np.float64]]


class HashingEncoder:
    """An `Encoder` without a model that gives the same vectors in every process and on every machine.

    Words are folded (NFKC, case; ``camelCase`` and ``snake_case`` are split). Each whole word and each of its parts (3
    characters with the ends of the word marked; 2 characters in Chinese and Japanese) is hashed to one component and
    one sign [1]_. A word that occurs ``n`` times has weight ``sqrt(n)``; English function words weigh little. The
    order of words is ignored.

    Parameters
    ----------
    dimension : int
        The length of the vectors; in shorter vectors, more unrelated words collide.

    Raises
    ------
    ValueError
        When ``dimension`` is not positive.

    References
    ----------
    .. [1] Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """

    def __init__(self, dimension: int = 256) -> None:
        if dimension < 1:
            raise ValueError(f"dimension must be positive, not {dimension}")
        self._dimension = dimension

    @property
    def model_id(self) -> str:
        """See `Encoder.model_id`."""
        return f"hashing-{self._dimension}@{_SCHEME}"

    @property
    def dimension(self) -> int:
        """See `Encoder.dimension`."""
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """See `Encoder.max_tokens`; a token is a word here."""
        return _MAX_TOKENS

    def encode_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """See `Encoder.encode_documents`."""
        cleaned = clean_texts(texts, max_tokens=_MAX_TOKENS)
        vectors = np.empty((len(cleaned), self._dimension), np.float32)
        for row, text in enumerate(cleaned):
            vectors[row] = self._encode(text)
            if on_progress is not None:
                on_progress(1)
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.encode_queries`."""
        return self.encode_documents(texts)

    def _encode(self, text: str) -> NDArray[np.float32]:
        hashes, weights = _weigh_features(_split_words(text))
        signs = np.where(hashes & np.uint64(1), 1.0, -1.0)
        places = (hashes >> np.uint64(1)) % np.uint64(self._dimension)
        vector = np.bincount(places.astype(np.intp), weights * signs, minlength=self._dimension)
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            # A text without words still needs a direction; all such texts share one.
            vector[0] = length = 1.0
        return np.asarray(vector / length, np.float32)


def _split_words(text: str) -> list[str]:
    split = _CAMEL_HUMP.sub(" ", unicodedata.normalize("NFKC", text))
    return [found[0].casefold() for found in islice(_WORD.finditer(split), _MAX_TOKENS)]


def _weigh_features(words: list[str]) -> _Features:
    if not words:
        return np.empty(0, np.uint64), np.empty(0)
    counts = Counter(words)
    features = [_word_features(word) for word in counts]
    weights = [math.sqrt(times) * of_word for times, (_, of_word) in zip(counts.values(), features, strict=True)]
    return np.concatenate([hashes for hashes, _ in features]), np.concatenate(weights)


@lru_cache(maxsize=1 << 16)
def _word_features(word: str) -> _Features:
    parts = _split_parts(word)
    weights = np.full(1 + len(parts), math.sqrt(_PARTS / len(parts)))
    weights[0] = 1.0
    scale = _FUNCTION_WORD if word in _FUNCTION_WORDS else 1.0
    return np.array([_hash(word), *(_hash(f"part {part}") for part in parts)], np.uint64), scale * weights


def _split_parts(word: str) -> list[str]:
    if _CHINESE_JAPANESE_WORD.match(word):
        return [word[start : start + 2] for start in range(max(1, len(word) - 1))]
    marked = f"<{word}>"
    return [marked[start : start + 3] for start in range(len(marked) - 2)]


def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
