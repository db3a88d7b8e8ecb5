"""The statistics against published examples, and what must hold for any counts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from service.insights.inference import (
    Strata,
    benjamini_hochberg,
    cochran_mantel_haenszel,
    newcombe,
    pooled_difference,
    wilson,
)

# Admissions to Berkeley in 1973 by department: admitted men, all men, admitted women, all women. Over all departments
# women seem to be at a disadvantage; within departments they are not.
BERKELEY = [
    (512, 825, 89, 108),
    (353, 560, 17, 25),
    (120, 325, 202, 593),
    (138, 417, 131, 375),
    (53, 191, 94, 393),
    (22, 373, 24, 341),
]
SIDES = st.integers(0, 30).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
TABLES = st.lists(st.tuples(SIDES, SIDES).map(lambda sides: (*sides[0], *sides[1])), min_size=1, max_size=8)


def strata(tables: list[tuple[int, int, int, int]]) -> Strata:
    columns = np.array(tables, dtype=np.int64).T
    return Strata(np.zeros(len(tables), dtype=np.int64), *columns, comparisons=1)


def test_wilson_agrees_with_scipy() -> None:
    for hits, total in ((0, 1), (1, 1), (3, 7), (56, 70), (999, 1000)):
        expected = binomtest(hits, total).proportion_ci(method="wilson")
        found = wilson(hits, total)
        assert (float(found.low), float(found.high)) == pytest.approx(tuple(expected), abs=1e-12)


def test_newcombe_gives_the_example_of_his_paper() -> None:
    found = newcombe(56, 70, 48, 80)
    assert (float(found.value), float(found.low), float(found.high)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_nothing_recorded_is_not_a_number_and_not_an_error() -> None:
    found = newcombe([0, 1], [0, 2], [1, 1], [2, 2])
    assert np.isnan(found.value).tolist() == [True, False]


def test_strata_undo_a_difference_that_only_the_mixture_makes() -> None:
    men, women = (sum(row[place] for row in BERKELEY) for place in (0, 2))
    raw = newcombe(men, sum(row[1] for row in BERKELEY), women, sum(row[3] for row in BERKELEY))
    assert float(raw.low) > 0.1
    adjusted = pooled_difference(strata(BERKELEY))
    assert float(adjusted.low[0]) < 0 < float(adjusted.high[0])
    assert float(cochran_mantel_haenszel(strata(BERKELEY))[0]) == pytest.approx(0.2169, abs=5e-5)


@given(TABLES)
def test_swapping_the_sides_mirrors_the_difference(tables: list[tuple[int, int, int, int]]) -> None:
    one, other = pooled_difference(strata(tables)), pooled_difference(strata([(c, d, a, b) for a, b, c, d in tables]))
    assert -other.value == pytest.approx(one.value, nan_ok=True)
    assert -other.high == pytest.approx(one.low, nan_ok=True)
    p, mirrored = (
        cochran_mantel_haenszel(strata(tables)),
        cochran_mantel_haenszel(strata([(c, d, a, b) for a, b, c, d in tables])),
    )
    assert p == pytest.approx(mirrored)
    assert 0 <= float(p[0]) <= 1


@given(SIDES, SIDES)
def test_one_stratum_is_the_plain_difference(one: tuple[int, int], other: tuple[int, int]) -> None:
    pooled, plain = pooled_difference(strata([(*one, *other)])), newcombe(*one, *other)
    assert pooled.value == pytest.approx(plain.value, nan_ok=True)


def test_comparisons_do_not_mix() -> None:
    tables = np.array([*BERKELEY, (5, 10, 9, 10)], dtype=np.int64).T
    both = Strata(np.array([0] * 6 + [1]), *tables, comparisons=3)
    assert cochran_mantel_haenszel(both)[0] == pytest.approx(float(cochran_mantel_haenszel(strata(BERKELEY))[0]))
    assert pooled_difference(both).value[1] == pytest.approx(-0.4)
    assert np.isnan(pooled_difference(both).value[2])
    assert float(cochran_mantel_haenszel(both)[2]) == 1.0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(7)
    strata_count, trials = 12, 2000
    rates = chance.uniform(0.3, 0.7, strata_count)
    with_size, without_size = chance.integers(3, 20, strata_count), chance.integers(3, 20, strata_count)
    comparison = np.repeat(np.arange(trials), strata_count)
    rows = Strata(
        comparison,
        chance.binomial(np.tile(with_size, trials), np.tile(rates + 0.2, trials)),
        np.tile(with_size, trials),
        chance.binomial(np.tile(without_size, trials), np.tile(rates, trials)),
        np.tile(without_size, trials),
        comparisons=trials,
    )
    found = pooled_difference(rows)
    assert 0.93 <= np.mean((found.low <= 0.2) & (found.high >= 0.2)) <= 0.97


def test_few_false_discoveries_among_many_comparisons_of_nothing() -> None:
    p = np.random.default_rng(3).uniform(size=5000)
    assert (p < 0.05).sum() > 200
    assert (benjamini_hochberg(p) < 0.05).sum() == 0
    assert benjamini_hochberg([]).size == 0


def test_neither_serving_nor_searching_waits_for_scipy() -> None:
    program = "import sys, service.app, service.cli.main; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0
