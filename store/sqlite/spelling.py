"""Corrects mistyped words: a word in no word list is replaced by the closest word of the documents that is in one.

The documents alone do not show what is mistyped: queries name products that no document mentions, and documents contain
mistakes too. So both the typed word and its correction are looked up in word lists (`store.words`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Final

import apsw
from rapidfuzz import process
from rapidfuzz.distance import OSA

from store.sqlite.fulltext import STOP_WORDS
from store.sqlite.rows import rows
from store.sqlite.vocabulary import Vocabulary, parts_of, word_at
from store.words import is_known_word

# Shorter words are close to too many others. In words of four letters only swapped letters are corrected.
_FEWEST_LETTERS: Final = 4
_LONG_WORD: Final = 8
_MOST_WRONG: Final = 2
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
# Few words of a query are mistyped. A query full of words that no document contains is in another language or about
# something else.
_MOST_WORDS: Final = 5
_MOST_SHARE: Final = 0.5
_SURE_OF: Final = 3
_MOST_STEMS: Final = 8
# Corrections are cached until the index changes, up to this many.
_MOST_REMEMBERED: Final = 4096
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
# Whole words of letters only, so that names with other characters, paths and identifiers are never corrected.
_PLAIN_WORD: Final = re.compile(r"(?<![^\s(\"“'])[^\W\d_]{2,}(?=[.,;:!?)\"”']*(?:\s|$))")
_TERMS: Final = "SELECT term, doc FROM skill_vocabulary WHERE term >= :first AND term < :last"
# Occurrences of a word, in names and descriptions before bodies, and only near the beginning of a long text, which has
# to be read up to the word.
_READ_CHARACTERS: Final = 100_000
_PLACES: Final = """
SELECT doc, col, "offset" FROM (
    SELECT doc, col, "offset" FROM skill_vocabulary_places WHERE term = ? AND "offset" < 10000 LIMIT 100
)
ORDER BY col = 'body' LIMIT 4
"""
_TEXT: Final = f"SELECT substr({{}}, 1, {_READ_CHARACTERS}) FROM skill_fts WHERE rowid = ?"
_COLUMNS: Final = {column: _TEXT.format(column) for column in ("name", "description", "body")}


def plain_words(text: str) -> list[str]:
    """Return the whole words of a query outside code, each once, without stop words."""
    plain = _CODE.sub(" ", text)
    return list(dict.fromkeys(word for word in _PLAIN_WORD.findall(plain) if word not in STOP_WORDS))


def unknown_words(words: Sequence[str]) -> list[str]:
    """Return those of the plain words that may be mistyped: in lower case, long enough, and in no word list."""
    return [word for word in words if len(word) >= _FEWEST_LETTERS and word.islower() and not is_known_word(word)]


class Spelling:
    """Corrects queries by the words of the index that a connection sees."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._seq = -1
        self._known: dict[str, dict[str, int]] = {}
        self._answers: dict[str, str | None] = {}

    def corrections(self, connection: apsw.Connection, words: Sequence[str], unknown: Sequence[str]) -> dict[str, str]:
        """Return the mistyped words of a query with what they are taken for; empty when none is mistyped.

        One letter may be wrong (left out, added, changed, or changed places with the next), or two from eight letters
        on, but never the first one.

        Parameters
        ----------
        connection : apsw.Connection
            Inside a read transaction.
        words : sequence of str
            The plain words of the query (`plain_words`).
        unknown : sequence of str
            Those that no word list has (`unknown_words`).
        """
        held = dict(zip(words, self._vocabulary.documents(connection, words), strict=True))
        if sum(not documents for documents in held.values()) > max(_SURE_OF, _MOST_SHARE * len(words)):
            return {}
        found = {word: self._meant(connection, word, held=held[word] > 0) for word in unknown[:_MOST_WORDS]}
        return {word: meant for word, meant in found.items() if meant is not None}

    def _meant(self, connection: apsw.Connection, word: str, *, held: bool) -> str | None:
        with self._lock:
            seq = self._vocabulary.seq(connection)
            if seq != self._seq:
                self._seq, self._known, self._answers = seq, {}, {}
            terms, answers = self._known, self._answers
        if word in answers:
            return answers[word]
        if held:
            meant = _other_ending(connection, word)
        else:
            meant = _nearest(connection, word, _beginning_like(connection, word, terms))
        if len(answers) < _MOST_REMEMBERED:
            answers[word] = meant
        return meant


def _beginning_like(connection: apsw.Connection, word: str, terms: dict[str, dict[str, int]]) -> dict[str, int]:
    """Return the stems in the index with the first letter of a word, with their document counts; fills `terms`."""
    first = "".join(parts_of(connection, word))[:1]
    if first in terms:
        return terms[first]
    bounds = {"first": first, "last": first + "\U0010ffff"}
    found = dict(rows(connection, _TERMS, bounds))
    if found:  # an unlimited number of characters begins no word, so those are not cached
        terms[first] = found
    return found


def _nearest(connection: apsw.Connection, word: str, terms: dict[str, int]) -> str | None:
    """Return the closest known word of the index to a word that no document contains."""
    return _one_letter_away(connection, word, terms) or _two_letters_away(connection, word, terms)


def _one_letter_away(connection: apsw.Connection, word: str, terms: dict[str, int]) -> str | None:
    edits = sorted(_slips(word) | (_edits(word) if len(word) > _FEWEST_LETTERS else set()))
    stems = parts_of(connection, " ".join(edits))
    held = [(terms[stem], edit) for edit, stem in zip(edits, stems, strict=True) if stem in terms]
    meant = [(edit not in _slips(word), -documents, edit) for documents, edit in held if is_known_word(edit)]
    return min(meant)[2] if meant else None


def _two_letters_away(connection: apsw.Connection, word: str, terms: dict[str, int]) -> str | None:
    if len(word) < _LONG_WORD:
        return None
    stem = "".join(parts_of(connection, word))
    # A mistake near the end of a word may change its stem, so the words as written are compared.
    near = process.extract(stem, terms.keys(), scorer=OSA.distance, score_cutoff=_MOST_WRONG + 1, limit=_MOST_STEMS)
    written = [
        (OSA.distance(word, each), -terms[each_stem], each)
        for each_stem, _, _ in near
        for each in _as_written(connection, each_stem)
        if _may_be_meant(word, each)
    ]
    return min(written)[2] if written else None


def _other_ending(connection: apsw.Connection, word: str) -> str | None:
    """Return the correction of a word whose stem is in the index (``developement`` has that of ``development``).

    A word that merely has another ending is right: ``subagents`` where documents contain ``subagent``.
    """
    stem = "".join(parts_of(connection, word))
    written = _as_written(connection, stem) if stem != word else set()
    if word in written:
        return None
    others = [
        each for each in written if _may_be_meant(word, each) and not (each.startswith(word) or word.startswith(each))
    ]
    return min(others, key=lambda each: (OSA.distance(word, each), each), default=None)


def _may_be_meant(word: str, meant: str) -> bool:
    most = 1 if len(word) < _LONG_WORD else _MOST_WRONG
    return OSA.distance(word, meant) <= most and is_known_word(meant)


def _slips(word: str) -> set[str]:
    """Return the words behind the most likely mistakes: two letters swapped, or one typed twice."""
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 1)}
    doubled = {word[:i] + word[i + 1 :] for i in range(1, len(word)) if word[i] == word[i - 1]}
    return (swapped | (doubled if len(word) > _FEWEST_LETTERS else set())) - {word}


def _edits(word: str) -> set[str]:
    """Return the words that differ by one letter other than the first."""
    letters = sorted(_LETTERS | set(word))
    cuts = [(word[:i], word[i:]) for i in range(1, len(word) + 1)]
    added = {head + tail[1:] for head, tail in cuts if tail}
    left_out = {head + letter + tail for head, tail in cuts for letter in letters}
    changed = {head + letter + tail[1:] for head, tail in cuts if tail for letter in letters}
    return (added | left_out | changed) - {word}


def _as_written(connection: apsw.Connection, stem: str) -> set[str]:
    """Return words with the stem `stem`, as documents write them."""
    found = set()
    for document, column, offset in rows(connection, _PLACES, (stem,)):
        ((text,),) = rows(connection, _COLUMNS[column], (document,))
        found.add(word_at(connection, text, offset).lower())
    return found - {""}
