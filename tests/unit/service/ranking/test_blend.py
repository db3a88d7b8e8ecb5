"""The ranking's promises, as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.ranking.blend import DEFAULT_WEIGHTS, blend
from service.ranking.fusion import CHUNK_WEIGHT, DEPTH, LEXICAL_WEIGHT, fused_relevance
from service.ranking.reasons import History, reasons, seconds_in_words

finite = st.floats(-1e6, 1e6, allow_nan=False)
sizes = st.integers(1, 30)


def vector(size: int, elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=elements)


@given(sizes.flatmap(lambda n: vector(n, finite)))
def test_without_history_the_order_is_that_of_relevance_exactly(relevance: np.ndarray) -> None:
    nothing = np.zeros_like(relevance)
    order = blend(relevance, nothing, nothing).order
    assert order.tolist() == np.argsort(-relevance, kind="stable").tolist()


@given(sizes.flatmap(lambda n: st.tuples(vector(n, finite), vector(n, finite), vector(n, finite))))
def test_no_outcome_lifts_what_does_not_fit_above_what_fits(parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    relevance, success, speed = parts
    blended = blend(relevance, success, speed)
    ordered_fits = blended.fits[blended.order]
    assert not np.any(np.diff(ordered_fits.astype(int)) > 0)
    assert np.all(relevance[blended.fits] >= relevance.max() - DEFAULT_WEIGHTS.gate)


def test_a_failing_skill_earns_nothing_by_being_fast() -> None:
    blended = blend(np.zeros(2), np.array([-1.0, 0.0]), np.array([2.0, 0.0]))
    assert blended.speed.tolist() == [0.0, 0.0]


@given(
    sizes.flatmap(lambda n: vector(n, st.floats(-1, 1) | st.just(np.nan))),
    st.none() | st.floats(0.01, 1),
    st.booleans(),
)
def test_a_missing_score_is_never_better_than_a_present_one(
    scores: np.ndarray, spread: float | None, is_lexical: bool
) -> None:
    assume(np.isnan(scores).any() and not np.isnan(scores).all())
    nothing = np.full_like(scores, np.nan)
    scores, other = (np.abs(scores), nothing) if is_lexical else (scores, nothing)
    fused = (
        fused_relevance(other, scores, spread=spread) if is_lexical else fused_relevance(scores, other, spread=spread)
    )
    assert fused[np.isnan(scores)].max() <= fused[~np.isnan(scores)].min() + 1e-9


def test_both_sides_add_up_in_units_of_the_spread() -> None:
    fused = fused_relevance(np.array([0.5, 0.4, 0.3]), np.array([0.0, 10.0, 5.0]), spread=0.05)
    assert np.diff(fused) == pytest.approx([10 * LEXICAL_WEIGHT - 2, -5 * LEXICAL_WEIGHT - 2])


def test_more_shared_words_weigh_more_against_the_same_distance_in_meaning() -> None:
    similarity = np.array([0.6, 0.5])
    few, many = (fused_relevance(similarity, np.array([0.0, each]), spread=0.05) for each in (3.0, 30.0))
    assert few[0] > few[1]
    assert many[0] < many[1]


def test_a_model_of_unknown_spread_is_read_by_the_spread_of_its_candidates() -> None:
    similarity = np.array([0.9, 0.8, 0.85, 0.7])
    nothing = np.full(4, np.nan)
    fused = fused_relevance(similarity, nothing, spread=None)
    assert fused == pytest.approx(fused_relevance(similarity / 10, nothing, spread=None))
    assert fused.std() == pytest.approx(1.0)


def test_the_nearest_chunk_moves_its_skill_by_its_weight_and_no_other() -> None:
    similarity, bm25 = np.array([0.5, 0.4, 0.3]), np.array([3.0, np.nan, 1.0])
    alone = fused_relevance(similarity, bm25, spread=0.05)
    fused = fused_relevance(similarity, bm25, np.array([np.nan, 0.6, 0.3]), spread=0.05)
    assert fused - alone == pytest.approx([0.0, CHUNK_WEIGHT * (0.6 - 0.4) / 0.05, 0.0])


def test_chunks_leave_the_scale_of_a_model_of_unknown_spread_as_it_is() -> None:
    similarity, nothing = np.array([0.9, 0.8, 0.85, 0.7]), np.full(4, np.nan)
    alone = fused_relevance(similarity, nothing)
    fused = fused_relevance(similarity, nothing, np.array([0.1, np.nan, np.nan, np.nan]))
    assert fused[1:] == pytest.approx(alone[1:])
    assert fused[0] < alone[0]


def test_a_word_match_past_the_depth_counts_as_the_worst_that_was_looked_at() -> None:
    bm25 = np.append(np.linspace(20.0, 10.0, DEPTH), np.nan)
    fused = fused_relevance(np.zeros(DEPTH + 1), bm25, spread=0.05)
    assert fused[-1] == fused[-2]
    assert fused_relevance(np.zeros(3), np.array([5.0, 4.0, np.nan]), spread=0.05)[-1] == 0.0


def test_without_any_score_all_are_equal() -> None:
    nothing = np.full(3, np.nan)
    assert fused_relevance(nothing, nothing, spread=None).tolist() == [0.0, 0.0, 0.0]


def test_reasons_say_how_thin_the_evidence_is() -> None:
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(2, 3, 42.0, 0.0))
    assert any("2 of 3" in reason and "3 uses so far" in reason for reason in said)


def test_only_a_median_is_called_usual() -> None:
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(9, 9, 42.0, 0.5, mean_seconds=90.0))
    assert "usually 42 s, faster than others here" in said
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(9, 9, None, 0.0, mean_seconds=90.0))
    assert said[-1] == "on average 1.5 min"
    assert "usually" not in " ".join(said)


def test_an_interval_says_what_it_is() -> None:
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(9, 9, None, 0.0, (0.62, 0.84)))
    assert "at queries like this it likely works 62% to 84% of the time (80% interval)" in said


def test_one_use_is_not_counted_in_the_plural() -> None:
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(1, 1, None, 0.0))
    assert "completed 1 of 1 use (thin evidence: 1 use so far)" in said


def test_reasons_without_history_say_so() -> None:
    said = reasons(similarity=None, matched_words=["types"], fits=True, history=History(0, 0, None, 0.0))
    assert said[0] == "shares “types”"
    assert "no recorded use" in said[-1]


def test_durations_read_as_a_person_writes_them() -> None:
    assert [seconds_in_words(s) for s in (0.44, 42, 90, 7200)] == ["0.4 s", "42 s", "1.5 min", "2 h"]
