"""Checks queries, applies corrections, and cuts long queries for the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from migrations.errors import SkillrankError

MAX_CHARACTERS: Final = 20_000
WINDOW_WORDS: Final = 150
MAX_WINDOWS: Final = 40
# A query slightly longer than a window loses nothing when it is encoded whole.
_WHOLE_WORDS: Final = 200
# Names of products are rarely as long as this and one letter from a common word.
_LONG_WORD: Final = 8

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff]")


class InvalidQuery(SkillrankError):
    """A query that cannot be searched for; the message says what to change."""


def checked_query(text: str) -> str:
    """Return `text` without surrounding white space.

    Raises
    ------
    InvalidQuery
        When it is empty, longer than `MAX_CHARACTERS`, contains control characters, or has no letter or digit.
    """
    query = text.strip()
    if not query:
        raise InvalidQuery("the query is empty; describe in a few words what you want to do")
    if len(query) > MAX_CHARACTERS:
        raise InvalidQuery(
            f"the query has {len(query):,} characters; the limit is {MAX_CHARACTERS:,}: keep the part that says "
            "what you want to do"
        )
    found = _CONTROL.search(query)
    if found is not None:
        raise InvalidQuery(
            f"the query holds the control character U+{ord(found[0]):04X} at position {found.start()}; send plain text"
        )
    if not any(character.isalnum() for character in query):
        raise InvalidQuery("the query has no word in it; describe in a few words what you want to do")
    return query


def respelled(query: str, corrections: Mapping[str, str]) -> str:
    """Return the query with what mistyped words are taken for.

    The corrected word stands beside the typed one, which may be a name that no list holds. It replaces it where that
    is unlikely: in long words, and where two letters merely changed places.
    """
    if not corrections:
        return query
    words = "|".join(re.escape(word) for word in corrections)
    return re.sub(rf"\b(?:{words})\b", lambda found: _corrected(found[0], corrections[found[0]]), query)


def _corrected(typed: str, meant: str) -> str:
    certain = max(len(typed), len(meant)) >= _LONG_WORD or sorted(typed) == sorted(meant)
    return meant if certain else f"{typed} {meant}"


def windows(query: str) -> list[str]:
    """Cut a long query into consecutive windows of words; a short one is its only window.

    A model reads only the first few hundred tokens of a text. A skill is as similar to a query as to its most similar
    window. Shorter windows were worse with the default model, which was trained on whole queries.
    """
    words = query.split()
    if len(words) <= _WHOLE_WORDS:
        return [query]
    cut = [" ".join(words[start : start + WINDOW_WORDS]) for start in range(0, len(words), WINDOW_WORDS)]
    return cut[:MAX_WINDOWS]
