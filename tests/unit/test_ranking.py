"""The ranking's promises, as properties."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.ranking.blend import DEFAULT_WEIGHTS, blend
from service.ranking.fusion import fused_relevance, lexical_weight, z_scores
from service.ranking.outcomes import prior_rate, speed_gain, success_gain, success_posterior
from service.ranking.reasons import History, reasons, seconds_in_words

finite = st.floats(-1e6, 1e6, allow_nan=False)
counts = st.integers(0, 100_000).map(float)
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


@given(sizes.flatmap(lambda n: st.tuples(vector(n, finite), vector(n, counts), vector(n, counts))))
def test_scores_are_finite_for_any_history(parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    relevance, successes, failures = parts
    gain = success_gain(successes, failures, 0.5)
    speed = speed_gain(successes + 0.001, failures)
    assert np.isfinite(blend(relevance, gain, speed).score).all()


@given(counts, counts, st.integers(1, 1000), st.floats(0.1, 0.9))
def test_more_completions_never_lower_a_skill(successes: float, failures: float, more: int, prior: float) -> None:
    before, after = success_gain(np.array([successes, successes + more]), np.array([failures, failures]), prior)
    # Without any evidence a skill stands at its prior, from which a completion can only lift it.
    assert after >= before


@given(counts, counts, st.integers(1, 1000), st.floats(0.1, 0.9))
def test_more_failures_never_raise_a_skill(successes: float, failures: float, more: int, prior: float) -> None:
    before, after = success_gain(np.array([successes, successes]), np.array([failures, failures + more]), prior)
    assert after <= before


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_one_of_one_never_beats_99_of_100(completed: int, extra: int) -> None:
    prior = prior_rate(completed, completed + extra)
    few, many = success_posterior(np.array([1.0, 99.0]), np.array([0.0, 1.0]), prior)
    assert many > few


def test_the_skill_that_works_passes_an_equally_relevant_one_that_fails() -> None:
    gain = success_gain(np.array([9.0, 26.0]), np.array([19.0, 4.0]), prior_rate(35, 58))
    assert blend(np.array([3.1, 3.0]), gain, np.zeros(2)).order.tolist() == [1, 0]


def test_a_failing_skill_earns_nothing_by_being_fast() -> None:
    blended = blend(np.zeros(2), np.array([-1.0, 0.0]), np.array([2.0, 0.0]))
    assert blended.speed.tolist() == [0.0, 0.0]


def test_speed_needs_two_skills_to_compare() -> None:
    assert speed_gain(np.array([3.0, np.nan]), np.array([9.0, 0.0])).tolist() == [0.0, 0.0]


def test_the_faster_of_two_gains_and_the_slower_loses() -> None:
    fast, slow = speed_gain(np.array([10.0, 1000.0]), np.array([20.0, 20.0]))
    assert fast > 0 > slow


def test_few_durations_count_less_than_many() -> None:
    thin, thick, _ = speed_gain(np.array([10.0, 10.0, 1000.0]), np.array([1.0, 50.0, 50.0]))
    assert 0 < thin < thick


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
