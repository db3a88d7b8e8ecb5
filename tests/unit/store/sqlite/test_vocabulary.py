"""Which words of a query are used to search a large library."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from store.sqlite import vocabulary
from store.sqlite.connection import open_connection
from store.sqlite.vocabulary import Vocabulary


@pytest.fixture
def index(migrated_file: Path, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Add a document's text to an index; the connection is at `index.connection`."""
    path = tmp_path / "words.db"
    shutil.copyfile(migrated_file, path)
    connection = open_connection(path, readonly=False)

    def add(text: str) -> None:
        connection.execute("INSERT INTO skill_fts(name, description, body) VALUES ('', '', ?)", (text,))
        connection.execute(
            "INSERT INTO skills(skill_name, index_seq) SELECT max(index_seq) + 1, max(index_seq) + 1 FROM "
            "(SELECT index_seq FROM skills UNION ALL SELECT 0)"
        )

    add.connection = connection  # type: ignore[attr-defined]
    yield add
    connection.close()


def connection_of(index: Callable[[str], None]) -> apsw.Connection:
    connection: apsw.Connection = index.connection  # type: ignore[attr-defined]
    return connection


def test_words_are_counted_as_the_index_spells_them(index: Callable[[str], None]) -> None:
    index("failing tests")
    index("the test fails in snake_case")
    counted = Vocabulary().documents(connection_of(index), ["tested", "fail", "snake_case", "snake_tests", "absent"])
    assert counted == [2, 2, 1, 1, 0]


def test_counts_follow_the_index(index: Callable[[str], None]) -> None:
    words = Vocabulary()
    index("one")
    assert words.documents(connection_of(index), ["one"]) == [1]
    index("one")
    assert words.documents(connection_of(index), ["one"]) == [2]


def test_the_commonest_words_go_first_when_all_match_too_much(
    index: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        index("common" + " seldom" * (number < 2) + " rare" * (number < 1))
    words, asked = Vocabulary(), ["common", "rare", "absent", "seldom", "rare"]
    assert words.telling(connection_of(index), asked) == asked
    monkeypatch.setattr(vocabulary, "POSTINGS_A_WORD", 1)
    monkeypatch.setattr(vocabulary, "POSTINGS", 4)
    assert words.telling(connection_of(index), asked) == ["rare", "absent", "seldom", "rare"]


def test_a_query_of_common_words_alone_keeps_the_rarest(
    index: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        index("common" + " usual" * (number < 5))
    monkeypatch.setattr(vocabulary, "POSTINGS_A_WORD", 1)
    monkeypatch.setattr(vocabulary, "POSTINGS", 3)
    assert Vocabulary().telling(connection_of(index), ["common", "usual", "absent"]) == ["usual", "absent"]
