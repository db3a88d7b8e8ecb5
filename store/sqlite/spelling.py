"""Corrects mistyped words: a word in no document is taken for the nearest one that is in some."""

from __future__ import annotations

import re
import threading
from typing import Final

import apsw
from rapidfuzz import process
from rapidfuzz.distance import OSA

from store.sqlite.fulltext import STOP_WORDS
from store.sqlite.rows import rows
from store.sqlite.vocabulary import Vocabulary, parts_of, word_at

# Shorter words are near too many others.
_FEWEST_LETTERS: Final = 5
_LONG_WORD: Final = 8
# Typing mistakes are few; a query full of unknown words is in another language or about something else.
_MOST_WORDS: Final = 5
_MOST_SHARE: Final = 0.5
_SURE_OF: Final = 3
# A word that occurs in one document may be a mistake itself.
_FEWEST_DOCUMENTS: Final = 2
_MOST_STEMS: Final = 8
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
# Words in lower case on their own; names, paths and identifiers are left as they are.
_PLAIN_WORD: Final = re.compile(r"(?<![^\s(\"“'])[^\W\d_]{2,}(?=[.,;:!?)\"”']*(?:\s|$))")
_TERMS: Final = "SELECT term, doc FROM skill_vocabulary WHERE term >= :first AND term < :last AND doc >= :least"
# The places of a word; names and descriptions, which are short, before bodies.
_PLACES: Final = """
SELECT doc, col, "offset" FROM (SELECT doc, col, "offset" FROM skill_vocabulary_places WHERE term = ? LIMIT 100)
ORDER BY col = 'body' LIMIT 4
"""
_TEXT: Final = "SELECT name, description, body FROM skill_fts WHERE rowid = ?"
_COLUMNS: Final = ("name", "description", "body")


class Spelling:
    """Corrects queries with the words of the full-text index."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._seq = -1
        self._known: dict[str, dict[str, int]] = {}

    def corrections(self, connection: apsw.Connection, text: str) -> dict[str, str]:
        """Return what the unknown words of a query are taken for; nothing when all are known.

        Only plain words of five letters or more, outside code; with one letter wrong (left out, added, changed, or
        changed places with the next), or two from eight letters on; never the first one.
        """
        plain = _CODE.sub(" ", text)
        words = list(dict.fromkeys(word for word in _PLAIN_WORD.findall(plain) if word not in STOP_WORDS))
        counted = self._vocabulary.documents(connection, words)
        unknown = [
            word
            for word, held in zip(words, counted, strict=True)
            if not held and len(word) >= _FEWEST_LETTERS and word.islower()
        ]
        if len(unknown) > max(_SURE_OF, _MOST_SHARE * len(words)):
            return {}
        found = {word: self._nearest(connection, word) for word in unknown[:_MOST_WORDS]}
        return {word: taken for word, taken in found.items() if taken is not None}

    def _nearest(self, connection: apsw.Connection, word: str) -> str | None:
        stem = "".join(parts_of(connection, word))
        known = self._beginning_with(connection, stem[:1])
        most = 1 if len(word) < _LONG_WORD else 2
        # A mistake near a word's end may change its stem, so the words as written decide.
        near = process.extract(stem, known.keys(), scorer=OSA.distance, score_cutoff=most + 1, limit=_MOST_STEMS)
        written = [
            (OSA.distance(word, each), -known[each_stem], each)
            for each_stem, _, _ in near
            for each in _as_written(connection, each_stem)
        ]
        distance, _, best = min(written, default=(most + 1, 0, ""))
        return best if distance <= most else None

    def _beginning_with(self, connection: apsw.Connection, letter: str) -> dict[str, int]:
        """Return the words of the index that begin with a letter, with their numbers of documents."""
        with self._lock:
            seq = self._vocabulary.seq(connection)
            if seq != self._seq:
                self._seq, self._known = seq, {}
            if letter not in self._known:
                bounds = {"first": letter, "last": letter + "\U0010ffff", "least": _FEWEST_DOCUMENTS}
                found = dict(rows(connection, _TERMS, bounds))
                if not found:
                    return found  # there are more characters than words: only those that begin one are remembered
                self._known[letter] = found
            return self._known[letter]


def _as_written(connection: apsw.Connection, stem: str) -> set[str]:
    """Return words, as documents spell them, whose stem in the index is `stem`."""
    found = set()
    for document, column, offset in rows(connection, _PLACES, (stem,)):
        (texts,) = rows(connection, _TEXT, (document,))
        found.add(word_at(connection, texts[_COLUMNS.index(column)], offset).lower())
    return found
