"""What many sessions say: planted truths are found, decoys are not, and too little is said to be too little."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.insights.effects import LEAST_SESSIONS, StepCount, StepEffect, step_effects
from service.insights.figures import LEAST_TRIALS
from service.insights.phases import PhaseCount, TransitionCount, bottlenecks, heat_map, transitions


def counts(
    with_skill: dict[str, tuple[int, int]], everything: dict[str, tuple[int, int]], skill: str = "mender"
) -> list[StepCount]:
    """Make counts of one step from (passed, sessions) by project."""

    def made(name: str | None, told: dict[str, tuple[int, int]]) -> list[StepCount]:
        return [
            StepCount(workflow="ci", step="unit", skill_name=name, project_id=p, sessions=sessions, passed=passed)
            for p, (passed, sessions) in told.items()
        ]

    return made(None, everything) + made(skill, with_skill)


def only(found: list[StepEffect]) -> StepEffect:
    (effect,) = found
    return effect


def test_a_skill_that_helps_in_every_project_is_found() -> None:
    effect = only(step_effects(counts({"x": (38, 40), "y": (36, 40)}, {"x": (68, 80), "y": (52, 80)})))
    assert effect.finding == "helps"
    assert (effect.sessions_with, effect.passed_with, effect.sessions_without, effect.passed_without) == (
        80,
        74,
        80,
        46,
    )
    assert (effect.support, effect.projects_compared) == (74, 2)
    assert effect.difference is not None
    assert effect.difference.value == pytest.approx(74 / 80 - 46 / 80)
    assert effect.adjusted is not None
    assert effect.adjusted.low > 0
    assert effect.lift == pytest.approx((74 / 160) / ((80 / 160) * (120 / 160)))
    assert effect.q_value == effect.p_value
    assert "74 of 80 sessions with the skill" in effect.reason


def test_a_skill_that_harms_is_found() -> None:
    effect = only(step_effects(counts({"x": (10, 40)}, {"x": (45, 80)})))
    assert effect.finding == "hurts"


def test_a_skill_that_is_used_where_everything_passes_anyway_does_not_look_helpful() -> None:
    # In x nearly everything passes, in y little does; the skill is used in x mostly and changes nothing.
    effect = only(step_effects(counts({"x": (95, 100), "y": (4, 20)}, {"x": (114, 120), "y": (24, 120)})))
    assert effect.difference is not None
    assert effect.difference.low > 0.3
    assert effect.finding == "no clear difference"
    assert effect.adjusted is not None
    assert effect.adjusted.low < 0 < effect.adjusted.high


def test_a_skill_that_is_used_in_one_project_alone_cannot_be_compared() -> None:
    effect = only(step_effects(counts({"x": (90, 100)}, {"x": (90, 100), "y": (20, 100)})))
    assert effect.finding == "not enough data"
    assert effect.reason.startswith("not enough data: projects that have both kinds of sessions")
    assert (effect.adjusted, effect.difference, effect.lift, effect.p_value, effect.q_value) == (None,) * 5


@pytest.mark.parametrize(
    ("with_skill", "everything", "said"),
    [
        ((9, 9), (40, 60), f"9 sessions with the skill; at least {LEAST_SESSIONS} are needed"),
        ((30, 51), (36, 60), f"9 sessions without it; at least {LEAST_SESSIONS} are needed"),
        ((30, 30), (60, 60), "the step always passed"),
        ((0, 30), (0, 60), "the step always failed"),
    ],
)
def test_too_little_is_said_in_words(with_skill: tuple[int, int], everything: tuple[int, int], said: str) -> None:
    effect = only(step_effects(counts({"x": with_skill}, {"x": everything})))
    assert effect.finding == "not enough data"
    assert said in effect.reason
    assert effect.q_value is None


def test_nothing_recorded_is_nothing_told() -> None:
    assert step_effects([]) == []
    assert step_effects(counts({}, {"x": (3, 5)})) == []


def test_among_many_skills_that_do_nothing_the_one_that_helps_stands_out() -> None:
    chance = random.Random(11)
    told: Counter[tuple[str | None, str, str]] = Counter()
    for number in range(4000):
        project = f"p{number % 8}"
        used = {f"skill {n}" for n in chance.sample(range(40), 5)}
        rate = 0.35 + 0.08 * (number % 8) - (0.2 if "skill 0" not in used else 0.0)
        for step in ("unit", "lint"):
            passed = chance.random() < (rate if step == "unit" else 0.7)
            for skill in (None, *used):
                told[skill, project, step] += 1
                told[skill, project, f"{step} passed"] += passed
    found = step_effects(
        StepCount(
            workflow="ci",
            step=step,
            skill_name=skill,
            project_id=project,
            sessions=n,
            passed=told[skill, project, f"{step} passed"],
        )
        for (skill, project, step), n in told.items()
        if not step.endswith(" passed")
    )
    assert len(found) == 80
    clear = [(effect.skill_name, effect.step) for effect in found if effect.finding != "no clear difference"]
    assert clear == [("skill 0", "unit")]
    assert (found[0].skill_name, found[0].finding) == ("skill 0", "helps")


SIDE = st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.dictionaries(st.sampled_from("xyz"), st.tuples(SIDE, SIDE), min_size=1))
def test_any_counts_have_an_answer_in_bounds(tables: dict[str, tuple[tuple[int, int], tuple[int, int]]]) -> None:
    used = {p: one for p, (one, _) in tables.items() if one[1]}
    everything = {p: (one[0] + other[0], one[1] + other[1]) for p, (one, other) in tables.items()}
    for effect in step_effects(counts(used, everything)):
        for told in (effect.difference, effect.adjusted):
            assert told is None or -1 <= told.low <= told.value <= told.high <= 1
        assert effect.q_value is None or 0 <= effect.q_value <= 1
        assert effect.lift is None or effect.lift >= 0


def phase(name: str, kind: str, **ended: int) -> list[PhaseCount]:
    return [PhaseCount(phase=name, kind=kind, outcome=outcome, n=n) for outcome, n in ended.items()]


def test_the_surest_bottleneck_comes_first() -> None:
    told = [
        *phase("rare", "use", completed=5, abandoned=16),
        *phase("frequent", "use", completed=200, abandoned=380, failed=20, running=99),
        *phase("good", "use", completed=99, cancelled=1),
        *phase("few", "use", abandoned=LEAST_TRIALS - 1),
        *phase("steps", "step", passed=30, failed=10, skipped=500),
    ]
    found = bottlenecks(told)
    assert [each.phase for each in found][:3] == ["frequent", "rare", "steps"]
    frequent = found[0].abandoned
    assert (frequent.n, frequent.of) == (380, 600)
    assert frequent.share is not None
    assert frequent.share.low < 380 / 600 < frequent.share.high
    few = next(each for each in found if each.phase == "few")
    assert few.abandoned.share is None
    assert few.abandoned.reason == "not enough data: 19 finished uses; at least 20 are needed"
    steps = next(each for each in found if each.phase == "steps").failed_steps
    assert (steps.n, steps.of) == (10, 40)


def test_transitions_tell_their_share_where_there_is_enough() -> None:
    often = TransitionCount(before="a", after="b", n=30, sessions=20, leaving=40)
    seldom = TransitionCount(before="b", after="c", n=2, sessions=2, leaving=2)
    first, second = transitions([seldom, often])
    assert first.share is not None
    assert first.share.value == 0.75
    assert (second.share, second.n) == (None, 2)
    assert second.reason == "not enough data: 2 transitions from here; at least 20 are needed"
    [once] = transitions([TransitionCount(before="b", after="c", n=1, sessions=1, leaving=1)])
    assert once.reason == "not enough data: 1 transition from here; at least 20 are needed"


def test_the_heat_map_has_a_cell_for_every_phase_and_way_of_ending() -> None:
    found = heat_map([*phase("b", "use", completed=2), *phase("a", "step", failed=3)])
    assert found.phases == ["a", "b"]
    assert found.counts[0][found.columns.index("step failed")] == 3
    assert found.counts[1][found.columns.index("use completed")] == 2
    assert sum(map(sum, found.counts)) == 5
