"""What a store remembers between searches stays within bounds, however long it runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from store.contract.catalogue import Chunk, DocumentWrite
from store.sqlite import SqliteStore, duplicates, open_store, vocabulary


@pytest.fixture
def store(tmp_path: Path, migrated_file: Path) -> Iterator[SqliteStore]:
    shutil.copyfile(migrated_file, tmp_path / "store.db")
    with closing(open_store(tmp_path / "store.db")) as opened:
        yield opened


def write(store: SqliteStore, name: str) -> int:
    generation = store.open_generation("m", 2, 1).generation
    body = "the very same words in every one of these documents " + name
    return store.write_document(
        DocumentWrite(
            skill_name=name,
            declared_name=name,
            category=None,
            description=name,
            body=body,
            document_path=f"/{name}/SKILL.md",
            root="/",
            content_hash=name,
            size_bytes=1,
            chunks=[Chunk(ordinal=0, kind="body", heading="", text=body, span_start=0, span_end=len(body))],
            vector=np.array([1.0, 0.0], dtype=np.float32),
        ),
        generation,
    )


def test_words_of_queries_are_remembered_up_to_a_bound(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 100)
    write(store, "lint")
    for number in range(100):
        words = " ".join(f"word{number}x{place}" for place in range(10))
        assert [term.documents for term in store.vocabulary(f"{words} lint")] == [0] * 10 + [1]
    assert len(store._vocabulary._documents) <= 100 + 11


def test_first_letters_of_mistyped_words_are_remembered_only_when_words_begin_with_them(store: SqliteStore) -> None:
    for name in ("linting", "linter"):
        write(store, name)
    for number in range(200):
        store.corrections(chr(0x4E00 + number) * 6 + " " + chr(0x0430 + number % 30) + "аааааа")
    assert store.corrections("documnts") == {"documnts": "documents"}
    assert len(store._spelling._known) == 1


@pytest.mark.parametrize(("bound", "most"), [("MOST_SKETCHES", 10), ("MOST_VERDICTS", 10)])
def test_comparisons_of_documents_are_remembered_up_to_a_bound(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(duplicates, bound, most)
    ids = [write(store, f"skill {number}") for number in range(60)]
    for pair in pairwise(ids):
        assert store.near_duplicates(pair) == [list(pair)]
    kept = store._duplicates._sketches if bound == "MOST_SKETCHES" else store._duplicates._verdicts
    assert len(kept) <= most + 2
