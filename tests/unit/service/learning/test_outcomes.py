"""From the log to what ranks: learning, following, tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.learning.outcomes import Learning, summarise
from service.learning.tuning import (
    FEWEST_CHOICES,
    propose,
    read_lists,
    replay,
    tune,
    weights_version,
)
from service.ranking.blend import DEFAULT_WEIGHTS, Weights, blend
from service.ranking.decay import days_since_landmark
from service.ranking.offpolicy import Replayed, choice_chances, mean_over_reporters
from service.search.answers import SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from store.contract.evidence import OutcomeToLearn, RecordedChoice
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store
from store.sqlite.store import SqliteStore

QUERY = np.array([0.6, 0.8, 0.0, 0.0], dtype=np.float32)
TODAY = days_since_landmark(datetime(2026, 3, 4, tzinfo=UTC))


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path, clock: Callable[[], datetime]) -> Any:
    path = tmp_path / "learning.db"
    path.write_bytes(migrated_file.read_bytes())
    opened = open_store(path, clock=clock)
    yield opened
    opened.close()


def search(store: SqliteStore, search_id: str = "s", vector: np.ndarray = QUERY) -> None:
    store.record_search(
        SearchRecord(
            id=search_id,
            searched_at="2026-03-04T11:00:00.000000Z",
            query="q",
            query_hash="h",
            query_vector=vector.tobytes(),
            model_id="m",
            session_id=None,
            user_id=None,
            project_id=None,
            filters={},
            weights_version="w",
            explored=False,
            confidence="high",
            degraded=[],
            elapsed_ms=1.0,
            results=[ServedSkill(position=p, skill_name=n, score=0.0, components={}) for p, n in enumerate("ab", 1)],
        )
    )


def use(store: SqliteStore, skill: str, outcome: Any, times: int, **fields: Any) -> None:
    for n in range(times):
        started = store.start_invocation(NewInvocation(skill_name=skill, user_id=f"u{n}", **fields))
        store.finish_invocation(started.id, NewOutcome(outcome=outcome, duration_seconds=9.0))


def trials(learning: Learning, skill: str, model_id: str = "m") -> tuple[float, float]:
    """Return (uses at queries like this one, uses at others)."""
    book, lock = learning.book(model_id, 4)
    with lock:
        record = book.look([skill], QUERY, learning.today).record
    return (
        float(record.near_successes[0] + record.near_failures[0]),
        float(record.other_successes[0] + record.other_failures[0]),
    )


def test_outcomes_are_learnt_once_and_seen_by_every_reader(store: SqliteStore, clock: Any) -> None:
    search(store)
    first, second = Learning(store, clock=clock), Learning(store, clock=clock)
    use(store, "a", "completed", 3, search_id="s")
    assert (first.learn(), second.learn()) == (3, 0)
    assert trials(first, "a") == trials(second, "a")
    assert trials(first, "a")[0] > 2
    use(store, "a", "completed", 2, search_id="s")
    assert second.learn_all() == 2
    assert trials(first, "a")[0] > 2.5


def test_no_more_is_learnt_at_once_than_was_asked_for(store: SqliteStore, clock: Any) -> None:
    use(store, "a", "completed", 7)
    learning = Learning(store, clock=clock)
    assert [learning.learn(limit=5), learning.learn(limit=5), learning.learn(limit=5)] == [5, 2, 0]


def test_another_model_keeps_what_was_learnt_as_evidence_of_other_queries(store: SqliteStore, clock: Any) -> None:
    search(store)
    use(store, "a", "failed", 5, search_id="s")
    learning = Learning(store, clock=clock)
    learning.learn()
    near, _ = trials(learning, "a")
    assert trials(learning, "a", "another model") == (0.0, pytest.approx(near))


def test_what_follows_a_skill_in_a_session_is_lifted_after_it(store: SqliteStore, clock: Any) -> None:
    for n in range(12):
        for skill in ("x", "y") if n % 2 else ("v", "w"):
            use(store, skill, "completed", 1, session_id=f"s{n}", workflow_phase="test" if skill == "y" else None)
            clock.advance(minutes=1)
    learning = Learning(store, clock=clock)
    learning.learn_all()
    lifted, lowered = learning.affinity("after", "x", ["y", "w"])
    assert lifted > 0 > lowered
    assert learning.affinity("phase", "test", ["y", "z"])[1] == 0
    assert learning.affinity("after", None, ["y"]).tolist() == [0.0]


def test_the_time_that_a_sweep_found_says_nothing_of_speed() -> None:
    about = {
        "seq": 1,
        "skill_name": "a",
        "skill_version_id": None,
        "outcome": "abandoned",
        "finished_at": "2026-03-04T00:00:00.000000Z",
        "duration_seconds": 86_400.0,
        "user_id": None,
        "session_id": None,
        "workflow_phase": None,
        "query_vector": None,
        "model_id": None,
    }
    (_, (swept,), _), (_, (told,), _) = (
        summarise([OutcomeToLearn(**about, source=source)], TODAY) for source in ("sweep", "client")
    )
    assert swept.sums[5] == 0.0 < told.sums[5]
    assert swept.sums[1] == told.sums[1] > 0.0


# --- tuning ----------------------------------------------------------------------------------------------------


def choice(
    n: int, *, taken: int, outcome: Any, reporter: str = "", gains: tuple[float, float] = (0.0, 0.0)
) -> RecordedChoice:
    """Two skills of equal fit; the first is a little more relevant."""
    served = [
        ServedSkill(
            position=place + 1,
            skill_name=name,
            score=0.0,
            components={
                "log_relevance": -0.3 * place,
                "gains": {"success": gain},
                "believed": 0.5 + 0.1 * gain,
                "propensity": 1.0 - place,
            },
        )
        for place, (name, gain) in enumerate(zip("ab", gains, strict=True))
    ]
    return RecordedChoice(
        search_id=f"s{n}", reporter=reporter or f"u{n % 20}", skill_name="ab"[taken], outcome=outcome, served=served
    )


def history(count: int, good: float = 0.9, bad: float = 0.2) -> list[RecordedChoice]:
    """The less relevant skill works better, and its gain says so, but weights are too low to let it pass."""
    random = np.random.default_rng(1)
    taken = (random.random(count) < 0.4).astype(int)
    rates = np.where(taken, good, bad)
    done = random.random(count) < rates
    return [
        choice(n, taken=int(taken[n]), outcome="completed" if done[n] else "failed", gains=(-0.1, 0.1))
        for n in range(count)
    ]


WEAK = replace(DEFAULT_WEIGHTS, success=1.0)


def test_a_better_change_is_found_and_allowed() -> None:
    report = tune(history(600), WEAK, lambda _: 0.8, 12)
    assert report.refused is None
    assert report.proposed.success > WEAK.success
    assert report.dr_gain.low > 0
    assert report.snips_proposed > report.snips_current


@pytest.mark.parametrize(
    ("choices", "ndcg", "why"),
    [
        (history(FEWEST_CHOICES // 2), lambda _: 0.8, "are needed"),
        (history(600, good=0.5, bad=0.5), lambda _: 0.8, "90% confidence"),
        ([], lambda _: 0.8, "are needed"),
        (history(600), None, "--judged"),
        (history(600), lambda weights: 0.8 if weights is WEAK else 0.7, "costs relevance"),
    ],
    ids=["too few", "not better", "none", "no guard", "less relevant"],
)
def test_a_change_is_refused_and_the_reason_said(
    choices: list[RecordedChoice], ndcg: Callable[[Weights], float] | None, why: str
) -> None:
    refused = tune(choices, WEAK, ndcg, 12).refused
    assert refused is not None
    assert why in refused


def test_one_persons_choices_change_nothing() -> None:
    alone = [msgspec.structs.replace(each, reporter="me") for each in history(600)]
    report = tune(alone, WEAK, lambda _: 0.8, 12)
    assert report.refused is not None
    assert report.as_json()["dr_gain"]["low"] is None


def test_replaying_the_weights_that_served_agrees_with_what_was_served() -> None:
    random = np.random.default_rng(2)
    relevance, gain = random.normal(size=8), random.normal(size=8)
    order = blend(relevance, gain, np.zeros(8)).order
    served = [
        ServedSkill(
            position=p + 1,
            skill_name=f"k{place}",
            score=0.0,
            components={
                "log_relevance": float(relevance[place] - relevance.max()),
                "gains": {"success": float(gain[place])},
                "believed": 0.5,
                "propensity": 1.0 - min(p, 1),
            },
        )
        for p, place in enumerate(order[:4])
    ]
    first = RecordedChoice(search_id="s", reporter="u", skill_name=f"k{order[0]}", outcome="completed", served=served)
    assert replay([first], read_lists([first]), DEFAULT_WEIGHTS).agrees.all()


def test_the_estimates_find_the_true_value_of_another_order() -> None:
    random = np.random.default_rng(3)
    n, rates = 20_000, np.array([0.3, 0.8])
    propensity = np.array([0.85, 0.15])
    taken = (random.random(n) < propensity[1]).astype(int)
    reward = (random.random(n) < rates[taken]).astype(float)
    # What was believed is wrong, the propensities are right.
    replayed = Replayed(taken == 1, propensity[taken], reward, np.full(n, 0.5), np.full(n, 0.5))
    assert replayed.ips.mean() == pytest.approx(0.8, abs=0.03)
    assert replayed.snips == pytest.approx(0.8, abs=0.02)
    assert replayed.dr.mean() == pytest.approx(0.8, abs=0.02)
    # The propensities are wrong, what was believed is right.
    wrong = Replayed(taken == 1, np.full(n, 0.5), reward, rates[taken], np.full(n, 0.8))
    assert wrong.dr.mean() == pytest.approx(0.8, abs=0.02)


def test_an_interval_treats_one_reporters_choices_as_one_observation() -> None:
    terms = np.random.default_rng(4).normal(0.1, 1.0, 1000)
    many, few = (mean_over_reporters(terms, [str(n % of) for n in range(1000)]) for of in (500, 2))
    repeated = mean_over_reporters(np.repeat(terms[:20], 50), [str(n // 50) for n in range(1000)])
    assert many.low > repeated.low
    assert few.low <= few.mean <= few.high
    assert mean_over_reporters(terms, ["me"] * 1000).low == -np.inf


@given(st.lists(st.tuples(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0)), min_size=1, max_size=50))
def test_every_line_of_a_list_has_a_chance(lines: list[tuple[float, float]]) -> None:
    looked, attraction = np.array(lines).T
    chances = choice_chances(looked, attraction)
    assert (chances > 0).all()
    assert chances.sum() == pytest.approx(1.0)


def test_a_choice_is_as_likely_as_position_and_attraction_make_it() -> None:
    random = np.random.default_rng(8)
    looked, wanted = np.array([1.0, 0.5, 0.2]), {"a": 0.2, "b": 0.5, "c": 0.1, "d": 0.3, "e": 0.4}
    choices = []
    for number in range(6000):
        served = random.permutation(sorted(wanted))[:3].tolist()
        chances = looked * np.array([wanted[name] for name in served])
        lines = [
            ServedSkill(position=p + 1, skill_name=name, score=0.0, components={"propensity": float(p == 0)})
            for p, name in enumerate(served)
        ]
        taken = served[int(random.choice(3, p=chances / chances.sum()))]
        choices.append(
            RecordedChoice(search_id=str(number), reporter="u", skill_name=taken, outcome="completed", served=lines)
        )
    reading = read_lists(choices)
    off = []
    for choice in choices[:500]:
        true = looked * np.array([wanted[line.skill_name] for line in choice.served])
        off += [abs(reading.chance(choice, place, place) - true[place] / true.sum()) for place in range(3)]
    assert np.mean(off) < 0.06  # taking every skill for equally attractive is off by 0.12


def test_every_proposal_has_a_version_of_its_own_and_survives_the_store() -> None:
    proposals = propose(DEFAULT_WEIGHTS)
    for weights in proposals:
        assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(asdict(weights))), Weights) == weights
        assert weights.version == weights_version(weights)
    assert len({weights.version for weights in proposals}) == len(proposals)


def test_adopted_weights_rank_from_then_on(store: SqliteStore, tmp_path: Path) -> None:
    searching = SkillSearch(store, Encoders("hashing", tmp_path))
    assert searching.weights() == DEFAULT_WEIGHTS
    adopted = propose(DEFAULT_WEIGHTS)[0]
    store.adopt_weights(adopted.version, asdict(adopted), {})
    assert searching.weights() == adopted
    assert searching.answer(SearchRequest(query="anything")).weights_version == adopted.version
