"""The encoder without a model: reproducible everywhere, and similar for similar texts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from embeddings import HashingEncoder

LIBRARY = [
    "fix-type-errors: Repairs what a type checker such as mypy reports, file by file.",
    "pdf-forms: Fills in forms in PDF files and reads what people wrote into them.",
    "release-notes: Writes the notes of a release from commits and merged pull requests.",
    "flaky-tests: Finds out why a test fails only sometimes, and puts it in quarantine.",
    "sql-tuning: Makes slow database queries fast with indexes and better plans.",
    "修复类型错误: 运行类型检查并修复报告的错误。",
]


def encode(*texts: str, dimension: int = 256) -> NDArray[np.float32]:
    return HashingEncoder(dimension).encode_documents(texts)


def cosine(left: str, right: str) -> float:
    # Long vectors, in which unrelated words hardly ever collide.
    first, second = encode(left, right, dimension=1 << 14)
    return float(first @ second)


def test_vectors_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    program = (
        "import sys; from embeddings import HashingEncoder;"
        "sys.stdout.buffer.write(HashingEncoder().encode_documents(['fix the failing tests', '修复']).tobytes())"
    )
    here = encode("fix the failing tests", "修复").tobytes()
    for seed in ("0", "1"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert there.stdout == here


def test_a_change_of_vectors_needs_a_new_scheme_number() -> None:
    # When this fails, raise the scheme's number and pin what it gives now.
    vectors = encode(*LIBRARY, "camelCase snake_case", "don't", "ＮＦＫＣ ﬁx", "")
    digest = hashlib.sha256(np.round(vectors * 1000).astype("<i2").tobytes()).hexdigest()
    assert (HashingEncoder().model_id, digest[:16]) == ("hashing-256@1", "4adea77973ffe92d")


@pytest.mark.parametrize("dimension", [1, 64, 1000])
def test_the_dimension_is_part_of_the_identity(dimension: int) -> None:
    encoder = HashingEncoder(dimension)
    assert encoder.encode_queries(["a query"]).shape == (1, dimension)
    assert encoder.model_id == f"hashing-{dimension}@1"


def test_a_dimension_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension"):
        HashingEncoder(0)


@pytest.mark.parametrize(
    ("query", "skill"),
    [
        ("how do I fix the errors that mypy reports?", 0),
        ("fill in a PDF form", 1),
        ("what should go into the release notes", 2),
        ("a test that sometimes fails", 3),
        ("my database query is slow", 4),
        ("类型错误", 5),
    ],
)
def test_a_query_finds_the_document_that_shares_its_words(query: str, skill: int) -> None:
    encoder = HashingEncoder()
    scores = encoder.encode_documents(LIBRARY) @ encoder.encode_queries([query])[0]
    assert int(np.argmax(scores)) == skill


def test_related_words_are_similar() -> None:
    assert cosine("debugging", "debugger") > cosine("debugging", "releasing") + 0.1


def test_function_words_alone_make_no_texts_similar() -> None:
    assert cosine("what is the best of the wines", "how is the state of the build") < 0.2


@pytest.mark.parametrize(
    ("left", "right"),
    [("Fix TYPES", "fix types"), ("fixTypes", "fix types"), ("fix_types", "fix types"), ("ﬁx", "fix")],
)
def test_spellings_of_the_same_words_are_the_same(left: str, right: str) -> None:
    assert cosine(left, right) == pytest.approx(1.0)


def test_texts_without_words_are_the_same_and_unlike_texts_with_words() -> None:
    assert cosine("", "!?") == pytest.approx(1.0)
    assert abs(cosine("", "fix types")) < 0.3


def test_unrelated_texts_are_near_a_right_angle() -> None:
    vectors = encode("alpha", "bridge", "cactus", "dolphin", "engine", "fjord", "guitar", "harbor")
    off_diagonal = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert abs(float(off_diagonal.mean())) < 0.05
    assert float(np.abs(off_diagonal).max()) < 0.35
