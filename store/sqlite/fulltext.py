"""Prepares text for FTS5: what is indexed, and how a query becomes a match expression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from store.folding import folded

# Scripts written without spaces, in which unicode61 would make one token of a whole sentence.
_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff])"
)
_WORD: Final = re.compile(r"\w+")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

MAX_TERMS: Final = 2000

MOST_BODY_WEIGHT: Final = 0.8
BODY_WEIGHT_OF_A_WORD: Final = 14.0

# Words that say nothing about which skill is meant; searching for them costs time without improving results.
STOP_WORDS: Final = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does
    doing don down each every few for from further get give go had has have having he help her here hers him his
    how i if im in into is it its ive just let like make many may me more most much must my need no nor not now
    of off on once one only or other our out over own please put s same she should so some still such t take
    than that the their them then there these they thing things this those through to too under until up us use
    using very want was way we were what when where which while who whom why will with without would you your
    yours
    """.split()  # noqa: SIM905  a list of 150 literals would fill the page
)


def searchable(text: str) -> str:
    """Return `text` as it is indexed and searched for.

    All Unicode forms of a word become one, every character of a script without spaces becomes a token, and characters
    that UTF-8 cannot represent are left out.
    """
    return _UNSPACED.sub(r" \1 ", _UNSTORABLE.sub(" ", folded(text)))


def terms_of(text: str) -> list[str]:
    """Return the words of `text` in order and with repetitions, without stop words unless there are no others."""
    words = [word.lower() for word in _words(searchable(text))]
    return [word for word in words if word not in STOP_WORDS] or words


def body_weight(words: Sequence[str]) -> float:
    """Return the weight of a word in a body, where one in a description counts 2, for a query of these words.

    FTS5 fixes k1 and b, and a small weight acts like a large k1. Any long body contains some of a long query's many
    words, so only those that it repeats should count: the weight falls with the number of distinct words.
    """
    return min(MOST_BODY_WEIGHT, BODY_WEIGHT_OF_A_WORD / max(len(set(words)), 1))


def match_any(words: Sequence[str]) -> str:
    """Return an FTS5 expression that matches any of `words` (`terms_of`), of which there is at least one.

    Every word is quoted, so no part of the text is read as FTS5 syntax. A word that occurs twice counts twice.
    """
    return " OR ".join(f'"{word}"' for word in words)


def match_all_prefixes(text: str) -> str | None:
    """Return an FTS5 expression that matches every word of `text`, each as a prefix; None when it has no word."""
    # Not `searchable`: the column is indexed as it is, with a run of an unspaced script as one token.
    return " AND ".join(f'"{word}" *' for word in _words(_UNSTORABLE.sub(" ", text))) or None


def _words(text: str) -> list[str]:
    """Return the first words of `text`; an underscore alone is a word for Python, but not a token for FTS5."""
    return [word for word in _WORD.findall(text) if word.strip("_")][:MAX_TERMS]
