"""What recorded uses do to what is believed, as properties: posterior, evidence book, speed, choices, exploration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ranking.affinity import lift, preference
from service.ranking.blend import DEFAULT_WEIGHTS, Part, blend
from service.ranking.book import EvidenceBook
from service.ranking.cells import MAX_CELLS, alikeness, cells_of
from service.ranking.decay import HALF_LIFE_DAYS, decay_weight
from service.ranking.evidence import ANY_VERSION, NO_CELL, Use, evidence_of
from service.ranking.examination import fit_position_model, passed_over
from service.ranking.exploration import Exploration, explore
from service.ranking.judgement import Judgement, judge
from service.ranking.prior import MEAN_RANGE, NO_HISTORY, STRENGTH_RANGE, Prior, fit_prior, scatter
from service.ranking.reporters import concave, counted, trust
from service.ranking.speed import Durations, pace
from service.ranking.success import Belief, Record, believe, success_gain

TODAY = 700.0
AXES = np.eye(8, dtype=np.float32)

counts = st.floats(0, 1e5).map(lambda n: 0.0 if n < 1e-6 else n)
# Successes and failures at queries like this one, then at others.
records = st.tuples(counts, counts, counts, counts)
rates = st.floats(*MEAN_RANGE)
priors = st.builds(
    Prior,
    mean=rates,
    categories=st.just({}),
    skill_strength=st.floats(*STRENGTH_RANGE),
    query_strength=st.floats(*STRENGTH_RANGE),
)
uses = st.builds(
    Use,
    skill_name=st.sampled_from(["a", "b", "c"]),
    version=st.sampled_from([ANY_VERSION, 1, 2]),
    cell=st.sampled_from([NO_CELL, 0, 1, 2]),
    reporter=st.sampled_from(["ann", "bob", "cat"]),
    outcome=st.sampled_from(["completed", "failed", "abandoned", "cancelled"]),
    seconds=st.none() | st.floats(0, 1e9),
    day=st.floats(-1e5, 1e6),
    passed_over=st.sampled_from([(), ("a",), ("b", "c")]),
)
# As uses are learnt: none of them ends later than today. Sums of what counts 2^200 times today's use keep nothing else.
learnt_uses = uses.map(lambda use: replace(use, day=min(use.day, TODAY)))


def one(value: float) -> np.ndarray:
    return np.array([value])


def book_of(history: list[Use], *, queries: int = 3) -> EvidenceBook:
    book = EvidenceBook(8, half_life_days=HALF_LIFE_DAYS)
    book.put_cells(np.arange(queries), AXES[:queries])
    book.add(evidence_of(history))
    return book


def judged(history: list[Use], relevance: list[float], query: np.ndarray | None = AXES[0]) -> Judgement:
    skills = [(name, None) for name in ["a", "b", "c"]]
    return judge(np.array(relevance), skills, book_of(history), query, TODAY, weights=DEFAULT_WEIGHTS)


def use(skill: str, outcome: str, *, times: int = 1, **fields: object) -> list[Use]:
    about = {"version": ANY_VERSION, "cell": 0, "seconds": None, "day": TODAY, **fields}
    return [Use(skill_name=skill, outcome=outcome, reporter=f"user {n}", **about) for n in range(times)]  # type: ignore[arg-type]


def gain(prior: Prior, expected: float, *record: float) -> float:
    belief = believe(Record(*(one(count) for count in record)), one(expected), prior)
    return float(success_gain(belief, one(expected), prior)[0])


@given(priors, rates, records, st.floats(0.01, 1e4), st.sampled_from([0, 2]))
def test_a_success_more_never_lowers_a_skill(
    prior: Prior, expected: float, record: tuple[float, ...], more: float, where: int
) -> None:
    richer = [count + more * (place == where) for place, count in enumerate(record)]
    assert gain(prior, expected, *richer) >= gain(prior, expected, *record) - 1e-9


@given(priors, rates, records, st.floats(0.01, 1e4), st.sampled_from([1, 3]))
def test_a_failure_more_never_raises_a_skill(
    prior: Prior, expected: float, record: tuple[float, ...], more: float, where: int
) -> None:
    poorer = [count + more * (place == where) for place, count in enumerate(record)]
    assert gain(prior, expected, *poorer) <= gain(prior, expected, *record) + 1e-9


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=5), st.integers(0, 4), st.floats(0.01, 1e4))
def test_no_reporter_turns_success_into_failure(history: list[tuple[float, float]], who: int, more: float) -> None:
    s, f = np.array([history]).transpose(2, 0, 1)
    richer = s.copy()
    richer[0, who % len(history)] += more
    (before_s,), (before_f,) = counted(s, f)
    (after_s,), (after_f,) = counted(richer, f)
    assert after_s >= before_s - 1e-9 * (1 + before_s)
    assert after_f <= before_f + 1e-9 * (1 + before_f)


@given(priors)
def test_one_of_one_never_beats_99_of_100(prior: Prior) -> None:
    few, many = (
        gain(prior, prior.mean, float(s), float(f), 0.0, 0.0)
        for (s,), (f,) in (
            counted(np.ones((1, 1)), np.zeros((1, 1))),
            counted(np.full((1, 100), 0.99), np.full((1, 100), 0.01)),
        )
    )
    assert many > few


@given(st.lists(uses, max_size=25), st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), st.floats(-1e5, 1e6))
def test_scores_are_finite_for_any_history(history: list[Use], relevance: list[float], day: float) -> None:
    skills = [(name, "some") for name in ["a", "b", "c"]]
    book = book_of(history)
    book.describe("a", version=2, category="some")
    judgement = judge(np.array(relevance), skills, book, AXES[1], day, weights=DEFAULT_WEIGHTS)
    assert np.isfinite(judgement.blend.score).all()
    assert np.isfinite(np.array(list(judgement.gains.values()))).all()
    low, high = judgement.belief.interval()
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()


@given(st.lists(learnt_uses, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_arrival_means_nothing(history: list[Use], random: object) -> None:
    shuffled = history.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    at_once, one_by_one = book_of(history), book_of([])
    for event in shuffled:
        one_by_one.add(evidence_of([event]))
    relevance = np.array([0.3, 0.0, -0.2])
    skills = [(name, None) for name in ["a", "b", "c"]]
    first, second = (
        judge(relevance, skills, book, AXES[0], TODAY, weights=DEFAULT_WEIGHTS) for book in (at_once, one_by_one)
    )
    np.testing.assert_allclose(first.blend.score, second.blend.score, rtol=1e-6, atol=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_without_history_the_order_is_that_of_relevance_exactly(relevance: list[float]) -> None:
    judgement = judged([], relevance)
    assert judgement.blend.order.tolist() == np.argsort(-np.array(relevance), kind="stable").tolist()
    assert not judgement.blend.success.any()


@given(st.lists(uses, max_size=25), st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.integers(0, 3))
def test_an_irrelevant_skill_never_passes_a_fitting_one(history: list[Use], relevance: list[float], seed: int) -> None:
    judgement = judged(history, relevance)
    random = np.random.default_rng(seed)
    explored = explore(judgement.blend, judgement.belief, DEFAULT_WEIGHTS, Exploration(1.0, 9.0), random)
    for order in (judgement.blend.order, explored.order):
        assert not np.any(np.diff(judgement.blend.fits[order].astype(int)) > 0)
    assert (np.array(relevance)[judgement.blend.fits] >= max(relevance) - DEFAULT_WEIGHTS.gate).all()


def test_two_skills_fit_and_the_one_that_works_comes_first() -> None:
    history = use("a", "failed", times=9) + use("a", "completed", times=3) + use("b", "completed", times=11)
    assert judged(history, [0.4, 0.0, -0.3]).blend.order[0] == 1


def test_what_failed_at_this_query_may_be_best_at_another() -> None:
    history = use("a", "failed", times=20) + use("a", "completed", times=20, cell=1)
    history += use("b", "completed", times=20) + use("b", "failed", times=20, cell=1)
    here, there = judged(history, [0.0, 0.0, -9.0]), judged(history, [0.0, 0.0, -9.0], AXES[1])
    assert here.blend.order[0] == 1
    assert there.blend.order[0] == 0


def test_an_old_outcome_counts_less_than_a_new_one() -> None:
    old = judged(use("a", "completed", times=6, day=TODAY - 2 * HALF_LIFE_DAYS), [0.0, 0.0, 0.0])
    new = judged(use("a", "completed", times=6), [0.0, 0.0, 0.0])
    assert 0 < old.gains["success"][0] < new.gains["success"][0]
    assert float(decay_weight(0.0) / decay_weight(HALF_LIFE_DAYS)) == pytest.approx(0.5)


def test_a_changed_document_keeps_part_of_its_past_and_gets_all_of_it_back_when_it_returns() -> None:
    book = book_of(use("a", "failed", times=12, version=1))
    rates = []
    for version in (1, 2, 1):
        book.describe("a", version=version, category=None)
        rates.append(float(book.look(["a"], AXES[0], TODAY).record.trials[0]))
    assert rates[0] > rates[1] > 0
    assert rates[2] == pytest.approx(rates[0])


def test_an_index_run_that_changes_nothing_loses_no_evidence() -> None:
    book = book_of(use("a", "completed", times=12, version=1))
    book.describe("a", version=1, category="x")
    before = book.look(["a"], AXES[0], TODAY).record.trials
    book.describe("a", version=1, category="y")
    assert book.look(["a"], AXES[0], TODAY).record.trials == before


def test_failed_weighs_more_than_abandoned_and_cancelled_nothing() -> None:
    failed, abandoned, cancelled = (
        judged(use("a", outcome, times=8), [0.0, 0.0, 0.0]).belief.mean[0]
        for outcome in ("failed", "abandoned", "cancelled")
    )
    assert failed < abandoned < cancelled == pytest.approx(NO_HISTORY.mean)


def test_one_users_many_reports_count_far_less_than_those_of_many_users() -> None:
    many = use("a", "completed", times=25)
    single = [replace(event, reporter="one") for event in many]
    assert judged(single, [0.0] * 3).belief.mean[0] < judged(many, [0.0] * 3).belief.mean[0]
    assert concave(np.array([1000.0]))[0] < 100


def test_a_reporter_who_contradicts_everybody_is_trusted_less_and_nobody_else_is() -> None:
    skills, slots = 12, 10
    successes, failures = np.full((skills, slots), 3.0), np.full((skills, slots), 1.0)
    successes[:, 4], failures[:, 4] = 0.0, 40.0
    trusted = trust(successes, failures, NO_HISTORY)
    assert trusted[4] < 0.5
    assert (np.delete(trusted, 4) == 1.0).all()


def test_nothing_is_held_against_a_lone_reporter() -> None:
    random = np.random.default_rng(3)
    successes = np.zeros((40, 4))
    successes[:, 2] = random.binomial(30, random.beta(4, 4, 40))
    failures = np.where(np.arange(4) == 2, 30 - successes, 0.0)
    assert (
        trust(
            successes,
            failures,
            fit_prior(*_sums(successes, failures), [None] * 40, scatter(*_sums(successes, failures))),
        )[2]
        > 0.8
    )


def _sums(successes: np.ndarray, failures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return successes.sum(axis=1), (successes + failures).sum(axis=1)


@pytest.mark.parametrize("strength", [4.0, 12.0, 40.0])
def test_the_prior_finds_how_widely_skills_scatter(strength: float) -> None:
    random = np.random.default_rng(5)
    rate = random.beta(0.6 * strength, 0.4 * strength, 400)
    trials = random.integers(5, 80, 400).astype(float)
    fitted = fit_prior(
        random.binomial(trials.astype(int), rate).astype(float), trials, [None] * 400, scatter(one(0.0), one(0.0))
    )
    assert fitted.mean == pytest.approx(0.6, abs=0.03)
    assert fitted.skill_strength == pytest.approx(strength, rel=0.35)


def test_a_category_with_a_record_lends_it_to_its_new_skills() -> None:
    successes, trials = np.array([18.0, 19.0, 4.0, 3.0]), np.full(4, 20.0)
    prior = fit_prior(successes, trials, ["good", "good", "bad", "bad"], scatter(one(0.0), one(0.0)))
    assert prior.expected("bad") < prior.mean < prior.expected("good")
    assert prior.expected("unheard of") == prior.expected(None) == prior.mean


def test_three_uses_do_not_decide_what_is_expected_of_all() -> None:
    prior = fit_prior(np.array([1.0, 0.0]), np.array([1.0, 2.0]), [None, None], scatter(one(0.0), one(0.0)))
    assert prior.skill_strength == pytest.approx(NO_HISTORY.skill_strength, rel=0.3)
    assert prior.mean == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 5.0), (2.0, 2.0), (30.0, 3.0), (400.0, 600.0)])
def test_the_interval_holds_as_much_as_it_says(alpha: float, beta: float) -> None:
    drawn = np.random.default_rng(1).beta(alpha, beta, 40_000)
    low, high = Belief(one(alpha), one(beta), np.array([True])).interval(0.8)
    assert np.mean((drawn >= low[0]) & (drawn <= high[0])) == pytest.approx(0.8, abs=0.015)
    assert np.mean(drawn < low[0]) == pytest.approx(0.1, abs=0.015)


@given(st.integers(0, 10_000))
def test_a_cell_depends_on_direction_alone(seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((5, 16)).astype(np.float32)
    cells = cells_of(vectors)
    assert cells.tolist() == cells_of(vectors * np.float32(4.0)).tolist()
    assert ((cells >= 0) & (cells < MAX_CELLS)).all()


def test_what_is_unlike_counts_nothing_and_what_is_asked_again_fully() -> None:
    weights = alikeness(np.array([-1.0, 0.0, 0.2, 0.35, 0.5, 1.0]))
    assert weights[:3].tolist() == [0.0, 0.0, 0.0]
    assert weights[4:].tolist() == [1.0, 1.0]
    assert 0 < weights[3] < 1


def durations(*rows: tuple[float, float, float, float]) -> Durations:
    """Rows of (timed, seconds, censored, seconds until it ended)."""
    timed, seconds, censored, ended = np.array(rows).T
    logs = np.log(np.maximum(seconds, 0.1))
    return Durations(timed, timed * logs, timed * (logs**2 + 0.25), censored, censored * np.log(np.maximum(ended, 0.1)))


def test_the_faster_of_two_gains_and_one_alone_does_not() -> None:
    both = durations((20, 10, 0, 0), (20, 1000, 0, 0))
    fast, slow = pace(both, np.array([True, True])).gain
    assert fast > 0 > slow
    assert pace(both, np.array([True, False])).gain.tolist() == [0.0, 0.0]


def test_uses_that_were_given_up_after_long_make_a_skill_slower_and_early_ones_not_faster() -> None:
    (plain, _), (late, _), (early, _) = (
        pace(durations((20, 60, n, seconds), (20, 60, 0, 0)), np.array([True, True])).seconds
        for n, seconds in ((0, 0), (20, 600), (20, 1))
    )
    assert late > 2 * plain
    assert early >= plain


def test_censored_durations_recover_the_true_pace() -> None:
    random = np.random.default_rng(2)
    true, given_up = np.exp(random.normal(4.0, 0.5, 4000)), np.exp(random.normal(4.0, 0.5, 4000))
    done = true <= given_up
    logs, ended = np.log(true[done]), np.log(given_up[~done])
    sums = [one(float(x)) for x in (len(logs), logs.sum(), (logs**2).sum(), len(ended), ended.sum())]
    seconds = pace(Durations(*sums), np.array([True])).seconds[0]
    assert np.log(seconds) == pytest.approx(4.0, abs=0.12)
    assert np.log(seconds) > logs.mean()


def test_a_fast_failure_earns_nothing() -> None:
    history = use("a", "failed", times=20, seconds=0.5) + use("b", "completed", times=20, seconds=60.0)
    assert judged(history, [0.0, 0.0, -9.0]).blend.speed[0] <= 0


def test_only_what_stood_above_the_choice_was_passed_over() -> None:
    assert passed_over(["a", "b", "c", "d"], ["c"], "c") == ("a", "b")
    assert passed_over(["a", "b", "c", "d"], ["a", "c"], "c") == ("b",)
    assert passed_over(["a", "b"], [], "elsewhere") == ()


def test_what_was_shown_low_and_not_taken_is_not_punished() -> None:
    chosen = replace(use("b", "completed")[0], passed_over=passed_over(["a", "b", "c"], ["b"], "b"))
    gains = judged([chosen] * 6, [0.2, 0.1, 0.0]).gains["choice"]
    assert gains[0] < 0 < gains[1]
    assert gains[2] == 0.0


def test_examination_is_told_apart_from_attraction() -> None:
    random = np.random.default_rng(4)
    looked, attraction = np.array([1.0, 0.6, 0.35, 0.2]), random.uniform(0.1, 0.8, 60)
    shown = random.integers(20, 200, (60, 4)).astype(float)
    taken = random.binomial(shown.astype(int), attraction[:, None] * looked).astype(float)
    model = fit_position_model(shown, taken)
    assert model.looked == pytest.approx(looked, abs=0.08)
    assert model.attraction == pytest.approx(attraction, abs=0.25)
    assert fit_position_model(shown, np.zeros_like(taken)).looked.tolist() == [1.0] * 4


def test_exploration_is_off_by_default() -> None:
    judgement = judged(use("a", "failed", times=5), [0.0, 0.0, 0.0])
    explored = explore(judgement.blend, judgement.belief, DEFAULT_WEIGHTS, Exploration(), np.random.default_rng(0))
    assert not explored.explored
    assert explored.order.tolist() == judgement.blend.order.tolist()
    assert explored.propensity.sum() == explored.propensity[explored.order[0]] == 1.0


def test_exploration_serves_each_first_as_often_as_it_logs() -> None:
    judgement = judged(use("a", "completed", times=5) + use("b", "failed", times=3), [0.0, 0.2, -0.1])
    random = np.random.default_rng(0)
    lists = [explore(judgement.blend, judgement.belief, DEFAULT_WEIGHTS, Exploration(0.5), random) for _ in range(3000)]
    served = np.bincount([explored.order[0] for explored in lists], minlength=3) / len(lists)
    logged = np.mean([explored.propensity for explored in lists], axis=0)
    assert served == pytest.approx(logged, abs=0.03)
    assert all(explored.propensity.sum() == pytest.approx(1.0) for explored in lists)


def test_exploration_never_costs_more_relevance_than_allowed() -> None:
    judgement = judged([], [0.0, -0.5, -1.5])
    random = np.random.default_rng(0)
    firsts = {
        int(explore(judgement.blend, judgement.belief, DEFAULT_WEIGHTS, Exploration(1.0, 0.6), random).order[0])
        for _ in range(200)
    }
    assert firsts == {0, 1}


@given(counts, counts, counts, counts)
def test_lifts_are_finite_and_nothing_without_counts(together: float, left: float, right: float, more: float) -> None:
    total = left + right + more + 1.0
    lifted = lift(one(together), left, one(right), total)
    assert np.isfinite(lifted).all()
    assert lift(one(together + 1.0), left, one(right), total) >= lifted
    assert lift(one(0.0), left, one(0.0), total)[0] == 0.0
    assert preference(one(0.0), one(0.0))[0] == 0.0


@settings(max_examples=30)
@given(st.floats(-1e9, 1e9), st.floats(0, 3), st.floats(0, 2))
def test_every_further_component_is_bounded_shown_and_can_be_switched_off(
    gained: float, weight: float, bound: float
) -> None:
    others = {"co_use": np.array([gained, 0.0])}
    on = replace(DEFAULT_WEIGHTS, others={"co_use": Part(weight, bound)})
    off = replace(DEFAULT_WEIGHTS, others={"co_use": Part(0.0, bound)})
    relevance, nothing = np.array([0.0, 0.1]), np.zeros(2)
    blended = blend(relevance, nothing, nothing, on, others)
    assert abs(blended.others["co_use"]).max() <= bound
    np.testing.assert_allclose(blended.score, blended.log_relevance + blended.others["co_use"])
    assert blend(relevance, nothing, nothing, off, others).order.tolist() == [1, 0]
