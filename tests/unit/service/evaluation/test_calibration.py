"""A scale from held-out queries: exact on cases made by hand, in order, and the same in any order of queries."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.scale import BEYOND, Scale
from service.evaluation.calibration import (
    FEWEST_QUERIES,
    LEXICAL_WEIGHTS,
    RIGHT_AT_HIGH,
    RIGHT_AT_MEDIUM,
    TOLD_NOTHING_FITS,
    Asked,
    levels,
    measure_scale,
)
from service.ranking.fusion import LEXICAL_WEIGHT

MODEL = "base+mine@0123456789ab"
outcomes = st.lists(st.tuples(st.integers(-20, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=120)


def asked(similarity: list[float], bm25: list[float], right: int, answers: int = 1) -> Asked:
    places = np.arange(len(similarity)) == right
    return Asked(similarity=np.array(similarity), bm25=np.array(bm25), right=places, answers=answers)


def measured(queries: list[Asked], *, words: bool = True) -> Scale:
    scale = measure_scale(queries, MODEL, words=words)
    assert scale is not None
    return scale


@given(outcomes)
def test_levels_hold_what_they_say(told: list[tuple[float, bool]]) -> None:
    nearest, found = np.array([cosine for cosine, _ in told]), np.array([right for _, right in told])
    low, medium, high = levels(nearest, found)
    assert low <= medium <= high
    assert (nearest < low).mean() <= TOLD_NOTHING_FITS
    for level, share in ((medium, RIGHT_AT_MEDIUM), (high, RIGHT_AT_HIGH)):
        above = nearest >= level
        assert not above.any() or found[above].mean() >= share - 1e-9
        assert above.sum() >= 10 or level == BEYOND


@given(outcomes, st.randoms(use_true_random=False))
def test_levels_do_not_depend_on_the_order_of_queries(told: list[tuple[float, bool]], chance: random.Random) -> None:
    def of(pairs: list[tuple[float, bool]]) -> tuple[float, float, float]:
        return levels(np.array([cosine for cosine, _ in pairs]), np.array([right for _, right in pairs]))

    shuffled = list(told)
    chance.shuffle(shuffled)
    assert of(shuffled) == pytest.approx(of(told))


def test_levels_are_exact_where_the_right_answer_is_known() -> None:
    # Of a hundred queries from 0.00 to 0.99: half right from 0.20 to 0.39, four fifths to 0.59, all from there on.
    nearest = np.arange(100) / 100
    found = np.array([place >= 20 for place in range(100)])
    found[20:40:2] = False
    found[40:60:5] = False
    low, medium, high = levels(nearest, found)
    assert (low, high) == (0.03, 0.56)
    # The first miss from 0.40 on is 0.40 itself; from 0.41 on four of five are right.
    assert medium == 0.41


def test_sure_queries_do_not_vouch_for_doubtful_ones() -> None:
    nearest = np.concatenate([np.linspace(0.2, 0.3, 10), np.linspace(0.5, 0.9, 190)])
    found = np.concatenate([np.zeros(10, bool), np.ones(190, bool)])
    assert found.mean() > RIGHT_AT_HIGH
    assert levels(nearest, found)[1:] == (0.5, 0.5)


def test_what_is_always_found_is_sure_from_the_lowest_level_on() -> None:
    assert levels(np.arange(50) / 50, np.ones(50, bool)) == (0.02, 0.02, 0.02)


def test_what_is_never_found_is_never_sure() -> None:
    assert levels(np.arange(50) / 50, np.zeros(50, bool))[1:] == (BEYOND, BEYOND)


def test_a_handful_of_lucky_queries_makes_no_level() -> None:
    found = np.arange(50) >= 41
    assert levels(np.arange(50) / 50, found)[1:] == (BEYOND, BEYOND)
    found[40] = True
    assert levels(np.arange(50) / 50, found)[1:] == (0.8, 0.8)


def test_too_few_queries_show_no_scale() -> None:
    one = asked([0.5, 0.1], [1.0, np.nan], 0)
    assert measure_scale([one] * (FEWEST_QUERIES - 1), MODEL) is None
    assert measured([one] * FEWEST_QUERIES).queries == FEWEST_QUERIES


def test_the_spread_is_the_mean_of_what_the_nearest_two_hundred_show() -> None:
    wide, narrow = [0.9] * 100 + [0.5] * 100 + [-1.0] * 50, [0.5] * 100 + [0.4] * 100 + [np.nan]
    queries = [asked(cosines, [np.nan] * len(cosines), 0) for cosines in [wide] * 20 + [narrow] * 20]
    assert measured(queries).spread == pytest.approx((0.2 + 0.05) / 2)


def test_equal_cosines_have_a_spread_that_can_be_divided_by() -> None:
    assert measured([asked([0.5, 0.5], [1.0, 2.0], 0)] * 40).spread > 0


def test_words_weigh_what_makes_queries_find_their_skills() -> None:
    # Spread 0.1: the right skill is 0.35 of it behind in meaning and one of BM25 ahead, so it needs more than 0.35.
    needs_words = [asked([0.5, 0.535, 0.3], [2.0, 1.0, np.nan], 0)] * 60
    cosines = np.array([0.5, 0.535, 0.3])
    enough = min(w for w in LEXICAL_WEIGHTS if w > 0.035 / cosines.std())
    assert measured(needs_words).lexical_weight == max(enough, LEXICAL_WEIGHT)
    misled = [asked([0.5, 0.49, 0.3], [1.0, 2.0, np.nan], 0)] * 60
    assert measured(misled).lexical_weight < 0.01 / np.std([0.5, 0.49, 0.3])


def test_words_keep_their_weight_where_another_gains_no_more_than_chance() -> None:
    indifferent = [asked([0.9, 0.1], [1.0, np.nan], 0)] * 60
    one_in_sixty = [asked([0.5, 0.48, 0.3], [1.0, 4.0, np.nan], 0)]
    assert measured(indifferent).lexical_weight == LEXICAL_WEIGHT
    assert measured([*indifferent, *one_in_sixty]).lexical_weight == LEXICAL_WEIGHT


def test_a_documents_own_words_have_no_say() -> None:
    # By words the first is found, by meaning alone it is the fourth.
    queries = [asked([0.5, 0.8, 0.7, 0.6], [9.0, np.nan, np.nan, np.nan], 0)] * 60
    own = measured(queries, words=False)
    assert (own.lexical_weight, own.medium) == (LEXICAL_WEIGHT, BEYOND)
    assert measured(queries).medium == 0.8


@given(st.integers(0, 2**32 - 1))
def test_the_scale_does_not_depend_on_the_order_of_queries(seed: int) -> None:
    random_ = np.random.default_rng(seed)
    queries = [
        asked(random_.uniform(0, 1, 8).tolist(), random_.uniform(0, 9, 8).tolist(), int(random_.integers(8)), 2)
        for _ in range(45)
    ]
    first = measured(queries)
    random_.shuffle(queries)  # type: ignore[arg-type]
    second = measured(queries)
    assert first.spread == pytest.approx(second.spread)
    assert (first.low, first.medium, first.high) == pytest.approx((second.low, second.medium, second.high))
    assert first.lexical_weight == second.lexical_weight
