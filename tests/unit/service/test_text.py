"""Shares and lists in sentences."""

from __future__ import annotations

from service.text import joined, percent


def test_shares_and_lists_are_written_as_in_a_sentence() -> None:
    assert (percent(0.666), percent(1.0)) == ("67%", "100%")
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
