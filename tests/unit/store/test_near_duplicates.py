"""Which documents are the same skill, and how a list shows them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ranking.blend import blend
from service.ranking.grouping import representatives, shared_relevance
from store.near_duplicates import SKETCH_HASHES, near_identical, resemblance, sketch


def words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}" for _ in range(count)]


def shingles(text: str) -> set[tuple[str, ...]]:
    split = text.split()
    return {tuple(split[i : i + 5]) for i in range(len(split) - 4)}


@pytest.mark.parametrize("length", [40, 300, 3000])
@pytest.mark.parametrize("changed", [0.0, 0.1, 0.4, 1.0])
def test_a_resemblance_estimates_the_share_of_common_shingles(length: int, changed: float) -> None:
    whole = words(length, 1)
    cut = int(length * changed)
    one, other = " ".join(whole), " ".join(whole[: length - cut] + words(cut, 2))
    exact = len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))
    assert resemblance(sketch(one), sketch(other)) == pytest.approx(exact, abs=0.1)


def test_small_documents_are_compared_exactly() -> None:
    one, other = "a b c d e f g", "a b c d e f h"
    assert resemblance(sketch(one), sketch(other)) == pytest.approx(2 / 4)


def test_case_and_punctuation_make_no_difference() -> None:
    assert resemblance(sketch("Run the tests, then look."), sketch("run  THE tests - then look")) == 1.0


@pytest.mark.parametrize("text", ["", "too few words", "!!! ???", "\ud800"])
def test_what_has_no_shingle_resembles_nothing(text: str) -> None:
    assert resemblance(sketch(text), sketch(text)) == 0.0


def test_a_sketch_is_small_ascending_and_the_same_in_every_process() -> None:
    found = sketch(" ".join(words(5000, 3)))
    assert found.size == SKETCH_HASHES
    assert (np.diff(found.astype(np.int64)) > 0).all()
    assert sketch("one two three four five").tolist() == [1642521514]


def test_near_identical_needs_both_the_words_and_the_meaning() -> None:
    assert near_identical(0.95, 0.9)
    assert near_identical(0.55, 0.95)
    assert not near_identical(0.49, 1.0)
    assert not near_identical(0.95, 0.4)  # one template, two subjects
    assert not near_identical(0.55, 0.8)


# --- how a list shows them -----------------------------------------------------------------------------------


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, list[list[int]]]:
    relevance = np.array(draw(st.lists(st.integers(-40, 40), min_size=1, max_size=15, unique=True))) / 8
    labels = draw(st.lists(st.integers(0, 4), min_size=len(relevance), max_size=len(relevance)))
    groups = [[at for at, label in enumerate(labels) if label == number] for number in range(4)]
    return relevance, [group for group in groups if len(group) > 1]


def best_first(relevance: np.ndarray) -> np.ndarray:
    return blend(relevance, np.zeros_like(relevance), np.zeros_like(relevance)).order


@given(grouped())
def test_without_outcomes_groups_are_in_the_order_of_their_best_members(
    case: tuple[np.ndarray, list[list[int]]],
) -> None:
    relevance, groups = case
    hidden = {place for group in groups for place in group if relevance[place] < relevance[group].max()}
    alone = [place for place in best_first(relevance).tolist() if place not in hidden]
    shown = representatives(best_first(shared_relevance(relevance, groups)), groups)
    assert list(shown) == alone


@given(grouped())
def test_nobody_is_lost_and_members_keep_their_order(case: tuple[np.ndarray, list[list[int]]]) -> None:
    relevance, groups = case
    shown = representatives(best_first(shared_relevance(relevance, groups)), groups)
    assert sorted([*shown, *(place for others in shown.values() for place in others)]) == list(range(len(relevance)))
    for first, others in shown.items():
        assert [first, *others] == sorted([first, *others], key=lambda place: -relevance[place])


def test_within_a_group_outcomes_decide_however_relevance_differs() -> None:
    relevance = np.array([0.0, -1.5, -0.2])
    shared = shared_relevance(relevance, [[0, 1]])
    order = blend(shared, np.array([0.0, 0.1, 0.0]), np.zeros(3)).order
    assert representatives(order, [[0, 1]]) == {1: [0], 2: []}


def test_a_sketch_of_a_long_document_takes_no_more_memory_than_its_hashes() -> None:
    long = sketch(" ".join(f"word{number}" for number in range(5000)))
    assert long.base is None
    assert long.nbytes == 4 * SKETCH_HASHES
