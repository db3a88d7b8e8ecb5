"""Known words: general word lists of several languages, and names of products, languages and terms of software.

The general lists are data files of pyspellchecker. They are searched as stored, sorted and one word a line, since the
package's own loader would take seconds for eight languages. `names.txt` contains the words of the titles in Simple
Icons (7.21 and 16.35, CC0), the names of the languages that Pygments highlights, and about a hundred terms such as
``webhook``, each unless the English list has it.
"""

from __future__ import annotations

import gzip
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

# English comes first, since most words are in it and the other lists are then not read.
LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl", "pt", "ru")


_PREFIXES: Final = (
    "anti", "auto", "co", "de", "inter", "mega", "meta", "micro", "mini", "mis", "multi", "non", "out", "over", "post",
    "pre", "re", "semi", "sub", "super", "un", "under",
)  # fmt: skip
# Shorter parts also occur in mistyped words.
_FEWEST_LETTERS_OF_A_PART: Final = 4
# The English list is American.
_BRITISH: Final = (
    (re.compile(r"is(?=(?:e|ed|er|ers|es|ing|able|ation|ations)$)"), "iz"),
    (re.compile(r"ys(?=(?:e|ed|er|ers|es|ing)$)"), "yz"),
    (re.compile(r"ll(?=(?:ed|er|ers|ing)$)"), "l"),
    (re.compile(r"our"), "or"),
)


@lru_cache(maxsize=16_384)
def is_known_word(word: str) -> bool:
    """Whether a word in lower case is spelt correctly.

    That is so if it is in the list of some language or in `product_names`, or if it is English in British spelling,
    with a common prefix (``cofounder``), or a compound of two words (``codebase``).
    """
    return (
        word in product_names()
        or any(_holds(word_list(language), word.encode()) for language in LANGUAGES)
        or (_is_derived(word))
    )


def _is_derived(word: str) -> bool:
    spellings = {word, *(british.sub(american, word) for british, american in _BRITISH)}
    return any(_is_english(each) or _is_prefixed(each) for each in spellings) or _is_compound(word)


def _is_prefixed(word: str) -> bool:
    return any(word.startswith(prefix) and _is_part(word[len(prefix) :]) for prefix in _PREFIXES)


def _is_compound(word: str) -> bool:
    places = range(_FEWEST_LETTERS_OF_A_PART, len(word) - _FEWEST_LETTERS_OF_A_PART + 1)
    return any(_is_part(word[:place]) and _is_part(word[place:]) for place in places)


def _is_part(word: str) -> bool:
    return len(word) >= _FEWEST_LETTERS_OF_A_PART and _is_english(word)


def _is_english(word: str) -> bool:
    return _holds(word_list(LANGUAGES[0]), word.encode())


@cache
def product_names() -> frozenset[str]:
    """Return names of products and languages, and terms of software, in lower case."""
    return frozenset(files("store").joinpath("names.txt").read_text(encoding="utf-8").split())


@cache
def word_list(language: str) -> bytes:
    """Return a word list in the form that pyspellchecker ships: JSON in UTF-8, one word a line, sorted by bytes."""
    return gzip.decompress(files("spellchecker").joinpath("resources", f"{language}.json.gz").read_bytes())


def _holds(lines: bytes, word: bytes) -> bool:
    """Look a word up by binary search over the lines of a list."""
    low, high = lines.index(b"\n") + 1, lines.rindex(b"\n")
    while low < high:
        start = lines.rfind(b"\n", low - 1, (low + high) // 2) + 1 or low
        end = lines.find(b"\n", start)
        entry = lines[start + 1 : lines.index(b'":', start)]
        if entry == word:
            return True
        if entry < word:
            low = end + 1
        else:
            high = start - 1
    return False
