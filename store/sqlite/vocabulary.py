"""The words of the full-text index: how many documents contain each, remembered until the catalogue changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import apsw

from store.contract.retrieval import Term
from store.sqlite.rows import value

# A library of this size is searched by every word within a few milliseconds.
SMALL_LIBRARY: Final = 10_000
# Scoring a document for a word takes half a microsecond; with more postings a search would wait for common words.
POSTINGS: Final = 6_000
POSTINGS_A_WORD: Final = 1_500
# Words that are remembered, about 100 bytes each; beyond it all are forgotten and looked up again.
MOST_WORDS: Final = 50_000

_SEQ: Final = "SELECT coalesce(max(index_seq), 0) FROM skills"
_DOCUMENTS: Final = "SELECT doc FROM skill_vocabulary WHERE term = ?"
# As in the declaration of `skill_fts`: words must be looked up in the form that the index stores.
_TOKENIZER: Final = ("porter", ["unicode61", "remove_diacritics", "2"])


class Vocabulary:
    """Looks words up in the index that a connection sees."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seq = -1
        self._documents: dict[str, int] = {}

    def documents(self, connection: apsw.Connection, words: Sequence[str]) -> list[int]:
        """Return an upper bound of the number of documents that contain each word, in any form the index equates."""
        with self._lock:
            seq = self.seq(connection)
            if seq != self._seq or len(self._documents) > MOST_WORDS:
                self._seq, self._documents = seq, {}
            known = self._documents
        found = []
        for word in words:
            if word not in known:
                known[word] = _rarest(connection, word)
            found.append(known[word])
        return found

    @staticmethod
    def seq(connection: apsw.Connection) -> int:
        """Return the version of the catalogue that a connection sees."""
        return int(value(connection, _SEQ))

    def terms(self, connection: apsw.Connection, words: Sequence[str]) -> list[Term]:
        """Return each word with its form in the index and the number of documents that contain it."""
        counted = self.documents(connection, words)
        return [
            Term(word, " ".join(parts_of(connection, word)), held) for word, held in zip(words, counted, strict=True)
        ]

    def telling(self, connection: apsw.Connection, words: Sequence[str]) -> list[str]:
        """Return `words` without the commonest ones when all of them together would match too much.

        Parameters
        ----------
        connection : apsw.Connection
            Inside a read transaction.
        words : sequence of str
            Of a query, repeated as they occur.

        Returns
        -------
        list of str
            In the order of `words`: the rarest whose documents add up to at most `POSTINGS`, or `POSTINGS_A_WORD` for
            each distinct word; never none of those that any document holds.
        """
        times = Counter(words)
        budget = max(POSTINGS, POSTINGS_A_WORD * len(times))
        kept, spent = set(), 0
        for held, word in sorted(zip(self.documents(connection, list(times)), times, strict=True)):
            spent += held * times[word]
            if spent > budget and spent > held * times[word]:
                break
            kept.add(word)
        return [word for word in words if word in kept]


def _rarest(connection: apsw.Connection, word: str) -> int:
    """Return how many documents contain the rarest part of `word`: the index splits `snake_case` in two."""
    return min((int(value(connection, _DOCUMENTS, (part,)) or 0) for part in parts_of(connection, word)), default=0)


def parts_of(connection: apsw.Connection, word: str) -> list[str]:
    """Return the tokens of a word in the index, most often its stem alone."""
    tokenize = connection.fts5_tokenizer(*_TOKENIZER)
    parts = tokenize(word.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False, include_colocated=False)
    return [str(part) for part in parts]


def word_at(connection: apsw.Connection, text: str, offset: int) -> str:
    """Return token number `offset` of a text as written, or '' if there are fewer tokens."""
    written = text.encode()
    tokenize = connection.fts5_tokenizer(*_TOKENIZER)
    tokens: list[Any] = list(tokenize(written, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_colocated=False))
    if offset >= len(tokens):
        return ""
    start, end = tokens[offset][:2]
    return written[start:end].decode()
