"""Reports with few or no data are printed in words: no nan, no infinity, no Python repr."""

from __future__ import annotations

import re

import pytest

from embeddings.scale import BEYOND, Scale
from service.cli import adapting, tuning
from service.learning.tuning import FEWEST_CHOICES, Report, tune
from service.ranking.blend import DEFAULT_WEIGHTS
from service.ranking.offpolicy import Interval

NOT_WORDS = re.compile(r"\bnan\b|\binf\b|Weights\(|Interval\(|Part\(|None|1 \w+s\b")


def report(choices: int, low: float) -> Report:
    gain = Interval(0.01, low, 0.02)
    return Report(
        current="outcomes-1",
        proposed=DEFAULT_WEIGHTS,
        choices=choices,
        reporters=1,
        effective=float("nan") if not choices else 1.0,
        snips_current=float("nan") if not choices else 0.5,
        snips_proposed=0.6,
        ips_gain=gain,
        dr_gain=gain,
        judged=1,
        ndcg_current=0.7,
        ndcg_proposed=0.7,
        refused=None,
    )


@pytest.mark.parametrize("choices", [0, 1, FEWEST_CHOICES])
@pytest.mark.parametrize("low", [float("-inf"), 0.001])
def test_a_report_of_tuning_is_printed_in_words(choices: int, low: float, capsys: pytest.CaptureFixture[str]) -> None:
    tuning._print(report(choices, low), adopted=False)
    printed = capsys.readouterr().out
    assert not NOT_WORDS.findall(printed), printed
    assert ("not enough data" in printed) == (choices > 0 and low < 0)
    assert ("0.50" in printed) == (choices > 0)


def test_tuning_without_a_record_says_how_many_choices_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    tuning._print(tune([], DEFAULT_WEIGHTS, None, 0), adopted=False)
    printed = capsys.readouterr().out
    assert f"at least {FEWEST_CHOICES} are needed" in printed
    assert not NOT_WORDS.findall(printed), printed


def test_training_is_reported_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    scale = Scale(low=0.3, medium=0.4, high=BEYOND, spread=0.05, lexical_weight=0.2, queries=120)
    adapting._print_scale(scale, 120, "queries")
    adapting._print_scale(None, 3, "queries")
    adapting._print_use("base+/a/folder")
    printed = capsys.readouterr().out
    assert "never high" in printed
    assert "medium from 0.40" in printed
    assert "skillrank index --model base+/a/folder" in printed
