"""How similar two documents are, judged by their words alone.

Shingles of five words, kept as the smallest hashes of each document (Broder, "On the resemblance and containment of
documents", 1997): enough to estimate the share of shingles that two documents have in common, at a kilobyte each.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS: Final = 5
# The standard error of a resemblance is at most sqrt(1 / (4 * SKETCH_HASHES)), 0.03.
SKETCH_HASHES: Final = 256
# Chosen by 206 pairs of 4,011 documents (DECISIONS.md, 44): above these, two documents are versions of one skill.
# The words alone are not enough, since documents made from one template share them and are about different things.
LEAST_RESEMBLANCE: Final = 0.5
LEAST_COSINE: Final = 0.7
LEAST_MEAN: Final = 0.7

_WORD: Final = re.compile(r"\w+")
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))

Sketch = NDArray[np.uint32]


def sketch(text: str) -> Sketch:
    """Return the smallest distinct hashes of the text's shingles, ascending; none for a text of four words or fewer.

    The result is the same in every process.
    """
    words = _WORD.findall(text.lower())
    codes = {word: zlib.crc32(word.encode(errors="replace")) for word in set(words)}
    stream = np.fromiter((codes[word] for word in words), dtype=np.uint64, count=len(words))
    count = max(len(stream) - SHINGLE_WORDS + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        hashes = (hashes ^ stream[offset : offset + count]) * _MIX[0]
        hashes ^= hashes >> np.uint64(29)
    hashes = hashes * _MIX[1]
    # A copy: a view would keep the hashes of the whole document in memory.
    return np.unique((hashes >> np.uint64(32)).astype(np.uint32))[:SKETCH_HASHES].copy()


def resemblance(one: Sketch, other: Sketch) -> float:
    """Return the estimated Jaccard similarity of two documents' shingles, in [0, 1]."""
    if not one.size or not other.size:
        return 0.0
    # A sketch that is not full holds every shingle; the smaller one bounds what is known of the union.
    depth = SKETCH_HASHES if min(one.size, other.size) == SKETCH_HASHES else one.size + other.size
    smallest = np.union1d(one, other)[:depth]
    both = np.intersect1d(one, other, assume_unique=True)
    return float(np.isin(both, smallest, assume_unique=True).sum() / smallest.size)


def near_identical(resemblance: float, cosine: float) -> bool:
    """Return whether two documents are one skill in practice: nearly the same words, about the same thing.

    Parameters
    ----------
    resemblance : float
        Of their texts, in [0, 1].
    cosine : float
        Of their vectors, in [-1, 1].
    """
    return resemblance >= LEAST_RESEMBLANCE and cosine >= LEAST_COSINE and (resemblance + cosine) / 2 >= LEAST_MEAN
