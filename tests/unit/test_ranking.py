"""The ranking's promises, as properties."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.ranking.blend import DEFAULT_WEIGHTS, blend
from service.ranking.fusion import fused_relevance, lexical_weight, z_scores
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


@given(sizes.flatmap(lambda n: vector(n, st.floats(-1, 1) | st.just(np.nan))))
def test_a_missing_score_is_never_better_than_a_present_one(scores: np.ndarray) -> None:
    assume(np.isnan(scores).any() and not np.isnan(scores).all())
    standardised = z_scores(scores)
    assert standardised[np.isnan(scores)].max() <= standardised[~np.isnan(scores)].min() + 1e-9


def test_the_lexical_side_counts_for_nothing_at_weight_zero() -> None:
    similarity = np.array([0.1, 0.9, 0.5])
    fused = fused_relevance(similarity, np.array([9.0, 1.0, 5.0]), lexical_weight=0.0)
    assert np.argsort(-fused).tolist() == [1, 2, 0]


def test_the_lexical_weight_rises_with_the_questions_length() -> None:
    weights = [lexical_weight(terms) for terms in (0, 3, 8, 20, 80, 500)]
    assert weights == sorted(weights)
    assert weights[0] < weights[-1]


def test_reasons_say_how_thin_the_evidence_is() -> None:
    said = reasons(similarity=0.5, matched_words=[], fits=True, history=History(2, 3, 42.0, 0.0))
    assert any("2 of 3" in reason and "3 uses so far" in reason for reason in said)


def test_reasons_without_history_say_so() -> None:
    said = reasons(similarity=None, matched_words=["types"], fits=True, history=History(0, 0, None, 0.0))
    assert said[0] == "shares “types”"
    assert "no recorded use" in said[-1]


def test_durations_read_as_a_person_writes_them() -> None:
    assert [seconds_in_words(s) for s in (0.44, 42, 90, 7200)] == ["0.4 s", "42 s", "1.5 min", "2 h"]
