"""Scope in the ranking: bounded, decaying, silent without evidence, and never past the gate."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.ranking.blend import DEFAULT_WEIGHTS, blend
from service.ranking.scope import HALF_LIFE_DAYS, NO_SCOPE, SkillScope, decayed_strength, scope_gain, scope_reasons

finite = st.floats(-1e6, 1e6, allow_nan=False)
strengths = st.floats(0, 1e9)
scopes = st.builds(SkillScope, declared=st.booleans(), strength=strengths)
candidates = st.integers(1, 20).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=finite),
        arrays(np.float64, n, elements=st.floats(-5, 5)),
        st.lists(scopes, min_size=n, max_size=n),
    )
)
BOUND = DEFAULT_WEIGHTS.others["scope"].bound


@given(candidates)
def test_without_scope_nothing_changes(parts: tuple[np.ndarray, np.ndarray, list[SkillScope]]) -> None:
    relevance, success, told = parts
    nothing = scope_gain([NO_SCOPE] * len(told))
    plain = blend(relevance, success, np.zeros_like(relevance))
    scoped = blend(relevance, success, np.zeros_like(relevance), others={"scope": nothing})
    assert scoped.order.tolist() == plain.order.tolist()
    assert scoped.score.tolist() == plain.score.tolist()


@given(candidates)
def test_scope_moves_a_score_by_no_more_than_its_bound_and_never_down(
    parts: tuple[np.ndarray, np.ndarray, list[SkillScope]],
) -> None:
    relevance, success, told = parts
    moved = blend(relevance, success, np.zeros_like(relevance), others={"scope": scope_gain(told)})
    assert np.all(moved.others["scope"] >= 0)
    assert np.all(moved.others["scope"] <= BOUND)


@given(candidates)
def test_scope_moves_only_what_fits(parts: tuple[np.ndarray, np.ndarray, list[SkillScope]]) -> None:
    relevance, success, told = parts
    moved = blend(relevance, success, np.zeros_like(relevance), others={"scope": scope_gain(told)})
    assert np.all(moved.others["scope"][~moved.fits] == 0)
    assert not np.any(np.diff(moved.fits[moved.order].astype(int)) > 0)


@given(scopes, strengths)
def test_more_evidence_never_lowers_the_gain(scope: SkillScope, more: float) -> None:
    before, after = scope_gain([scope, SkillScope(declared=True, strength=scope.strength + more)])
    assert after >= before


@given(scopes)
def test_evidence_of_any_amount_is_worth_at_most_two_units(scope: SkillScope) -> None:
    [gain] = scope_gain([scope])
    assert 0 <= gain <= 2


def test_a_declared_skill_passes_an_equally_relevant_one() -> None:
    gain = scope_gain([NO_SCOPE, SkillScope(declared=True)])
    nothing = np.zeros(2)
    assert blend(np.array([3.1, 3.0]), nothing, nothing, others={"scope": gain}).order.tolist() == [1, 0]


def test_a_signal_counts_half_after_a_half_life() -> None:
    weights = np.array([1.0])
    assert decayed_strength(weights, np.array([HALF_LIFE_DAYS])) == 0.5
    assert decayed_strength(weights, np.array([0.0])) == decayed_strength(weights, np.array([-5.0])) == 1.0


def test_reasons_name_declaration_and_use() -> None:
    assert scope_reasons(NO_SCOPE) == []
    assert scope_reasons(SkillScope(declared=True)) == ["declared by this project"]
    [said] = scope_reasons(SkillScope(strength=3.0, user_updates=5, project_updates=9))
    assert said.startswith("used in 5 updates this month")
    [said] = scope_reasons(SkillScope(strength=3.0, project_updates=1))
    assert said.startswith("used in 1 update this month")
    [said] = scope_reasons(SkillScope(strength=0.1))
    assert "recent work" in said
