"""How insights read."""

from __future__ import annotations

import re

import pytest

from service.insights import sentences

ONE = [
    sentences.mixed_results("s", ("a", 1.0, 1), ("b", 0.0, 1)),
    sentences.worth_trying("p", "s", ("a", 1), (1.0, 1), 0.5),
    sentences.use_trend("s", 0.1, 0.2, 1),
    sentences.success_trend("s", 0.2, 0.1, 1),
    sentences.unlike_in_success("s", "2026-01-01", (1.0, 1), 0.2),
    sentences.unlike_in_use("s", "2026-01-01", 1.0, 9.0),
    sentences.no_longer_used("s", "2026-01-01", "2026-01-01", 1, 1),
    sentences.missing_skill("knit a scarf", 1, 1),
    sentences.passed_over("s", 1.0, 1.0, 0.2),
    sentences.step_effect((1, 1), (0, 1)),
    sentences.within_projects(1, 0.1, 0.0, 0.2),
]


@pytest.mark.parametrize("said", ONE)
def test_one_thing_is_never_counted_in_the_plural(said: str) -> None:
    assert not re.search(r"(?<![\d.,+-])1 (?:\w+ )?(?:uses|projects|weeks|people|days|searches|times|sessions)\b", said)


def test_a_direction_is_said_as_in_plain_english() -> None:
    assert sentences.use_trend("s", 0.1, 0.2, 8) == (
        "s is used more and more: its share of all uses went from 10.0% to 20.0% in 8 weeks"
    )
    assert sentences.success_trend("s", 0.9, 0.5, 8).startswith("s succeeds less and less often")
    assert "unusually rarely" in sentences.unlike_in_success("s", "2026-01-01", (0.1, 20), 0.8)
    assert "unusually much" in sentences.unlike_in_use("s", "2026-01-01", 40.0, 9.0)


def test_a_single_search_has_no_similar_ones() -> None:
    assert sentences.missing_skill("knit", 0, 1) == "no skill fits “knit”, by 1 person or session"
    assert "a query whose text is not kept" in sentences.missing_skill(None, 3, 2)
    assert sentences.missing_skill("word " * 60, 3, 2).count("…") == 1
