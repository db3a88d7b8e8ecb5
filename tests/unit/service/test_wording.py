"""Numbers in sentences."""

from __future__ import annotations

import pytest

from service.wording import counted, joined, percent


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 searches"), (1, "1 search"), (0.9, "1 search"), (2, "2 searches"), (1200, "1,200 searches")],
)
def test_a_noun_agrees_with_the_number_that_is_shown(number: float, said: str) -> None:
    assert counted(number, "search", "searches") == said


def test_most_plurals_end_in_s() -> None:
    assert (counted(1, "use"), counted(3, "use")) == ("1 use", "3 uses")


def test_shares_and_lists_are_written_as_in_a_sentence() -> None:
    assert (percent(0.666), percent(1.0)) == ("67%", "100%")
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
