"""What may be asked, how it is cut, and which passage answers it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.search.passages import EXCERPT_CHARACTERS, SoughtWords, best_passage, excerpt
from service.search.queries import (
    MAX_CHARACTERS,
    MAX_WINDOWS,
    InvalidQuery,
    checked_query,
    respelled,
    windows,
)
from store.contract.catalogue import Chunk
from store.contract.retrieval import Term


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * (MAX_CHARACTERS + 1), "the limit is"),
        ("fix\x00types", "U+0000"),
        ("fix \x1b[31mtypes", "U+001B"),
        ("?!* --", "no word"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused_with_what_to_change(text: str, said: str) -> None:
    with pytest.raises(InvalidQuery, match=said.replace("+", r"\+")):
        checked_query(text)


@given(st.text(max_size=300))
def test_whatever_passes_the_check_is_plain_text_with_a_word(text: str) -> None:
    try:
        query = checked_query(text)
    except InvalidQuery:
        return
    assert query == text.strip()
    assert any(character.isalnum() for character in query)


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=600))
def test_windows_hold_every_word_in_order(words: list[str]) -> None:
    cut = windows(" ".join(words))
    assert " ".join(cut).split() == words
    assert len(cut) <= MAX_WINDOWS


def test_a_short_query_is_its_only_window() -> None:
    assert windows("fix my types") == ["fix my types"]


@pytest.mark.parametrize(
    ("query", "corrections", "asked"),
    [
        ("my databse is slow", {"databse": "database"}, "my database is slow"),
        ("tset driven", {"tset": "test"}, "test driven"),
        ("a lnding page", {"lnding": "landing"}, "a lnding landing page"),
        ("lnding lndings", {"lnding": "landing"}, "lnding landing lndings"),
        ("nothing to mend", {}, "nothing to mend"),
    ],
)
def test_a_correction_replaces_a_word_only_where_it_has_no_other_meaning(
    query: str, corrections: dict[str, str], asked: str
) -> None:
    assert respelled(query, corrections) == asked


def sought(*words: str) -> SoughtWords:
    return SoughtWords([Term(word, word, 1) for word in words])


def chunk(ordinal: int, text: str, heading: str = "") -> Chunk:
    kind = "summary" if ordinal == 0 else "body"
    return Chunk(ordinal=ordinal, kind=kind, heading=heading, text=text, span_start=0, span_end=len(text))


def test_the_passage_with_most_of_the_queries_words_is_chosen() -> None:
    chunks = [chunk(0, "flaky failing tests"), chunk(1, "install it"), chunk(2, "rerun the failed tests", "Flaky")]
    chosen = best_passage(sought("flaky", "failing", "tests"), chunks)
    assert chosen is not None
    assert chosen.ordinal == 2


def test_without_a_shared_word_the_nearest_of_the_embedded_chunks_is_shown() -> None:
    chunks = [chunk(0, "flaky"), chunk(1, "rerun the tests"), chunk(2, "rest"), chunk(3, "end"), chunk(4, "notes")]
    assert best_passage(sought("spreadsheet"), chunks, [0.1, 0.3, 0.2]) is chunks[2]
    assert best_passage(sought("spreadsheet"), chunks, [-0.3, -0.3, -0.2]) is chunks[3]


def test_among_chunks_that_hold_equally_much_the_nearest_is_shown() -> None:
    chunks = [chunk(1, "flaky tests"), chunk(2, "rest"), chunk(3, "tests are flaky"), chunk(4, "flaky, tests")]
    assert best_passage(sought("flaky", "tests"), chunks, [0.1, 0.9, 0.2]) is chunks[2]
    # No vector tells of the last one; of the others none holds as much.
    assert best_passage(sought("flaky", "tests"), chunks[1:2] * 3 + chunks[3:], [0.1, 0.9, 0.2]) is chunks[3]


def test_nearness_never_beats_a_word() -> None:
    chunks = [chunk(1, "rest"), chunk(2, "rerun the tests")]
    assert best_passage(sought("tests"), chunks, [0.9, 0.1]) is chunks[1]


def test_texts_that_hold_the_same_words_hold_equally_much_in_any_order() -> None:
    rare = [Term(word, word, holders) for holders, word in enumerate(("alpha", "beta", "gamma", "delta", "epsilon"))]
    words = [term.word for term in rare]
    both = [SoughtWords(rare).weight_in(" ".join(order)) for order in (words, words[::-1], words[2:] + words[:2])]
    assert len(set(both)) == 1


def test_without_a_shared_word_or_known_nearness_the_beginning_is_shown() -> None:
    chosen = best_passage(sought("spreadsheet"), [chunk(0, "flaky"), chunk(1, "rerun the tests"), chunk(2, "rest")])
    assert chosen is not None
    assert chosen.ordinal == 1
    assert best_passage(sought("flaky"), [chunk(0, "flaky")]) is None


def test_a_rare_word_says_more_than_two_common_ones() -> None:
    words = SoughtWords([Term("run", "run", 3000), Term("code", "code", 2500), Term("kinase", "kinas", 3)])
    chunks = [chunk(1, "run the code"), chunk(2, "dock the kinase")]
    assert best_passage(words, chunks) is chunks[1]
    assert words.words_in("run the code on a kinase") == ["kinase", "code", "run"]


def test_what_is_left_of_contractions_is_not_shown() -> None:
    assert sought("d", "ve", "table").words_in("i'd say we've a table") == ["table"]
    assert sought("c").words_in("write c code") == ["c"]
    assert sought("数", "据").words_in("数据") == ["数", "据"]


def test_an_excerpt_stands_where_most_of_the_query_is() -> None:
    text = "alpha " + "hay " * 200 + "alpha beta gamma " + "hay " * 200 + "beta"
    assert "alpha beta gamma" in excerpt(sought("alpha", "beta", "gamma"), text)


def test_matched_words_come_in_the_queries_order_each_once() -> None:
    assert sought("types", "mypy", "types").words_in("mypy reports types") == ["types", "mypy"]


@given(st.text(max_size=2000))
def test_an_excerpt_is_short(text: str) -> None:
    assert len(excerpt(sought("word"), text)) <= EXCERPT_CHARACTERS + 4


def test_an_excerpt_shows_the_shared_word() -> None:
    assert "needle" in excerpt(sought("needle"), "hay " * 300 + "needle " + "hay " * 300)


@pytest.mark.parametrize("word", ["naïve", "nai\u0308ve", "NAÏVE"])
def test_the_forms_of_one_word_are_the_same_in_a_passage(word: str) -> None:
    assert sought("naïve").words_in(f"a {word} answer") == ["naïve"]
    assert sought("pandas").words_in("ｐａｎｄａｓ") == ["pandas"]
    assert "ｎｅｅｄｌｅ" in excerpt(sought("needle"), "ﬃ " * 300 + "ｎｅｅｄｌｅ " + "hay " * 300)


def dense_by_definition(words: SoughtWords, text: str, characters: int) -> float:
    return max(words.weight_in(text[start : start + characters]) for start in range(len(text)))


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "hay"]), min_size=1, max_size=60), st.integers(20, 80))
def test_the_densest_stretch_holds_as_much_as_any(drawn: list[str], characters: int) -> None:
    words, text = sought("alpha", "beta", "gamma"), " ".join(drawn)
    start = words.densest_in(text, characters)
    found = words.weight_in(text[start : start + characters + len("alpha")])
    assert found >= dense_by_definition(words, text, characters) - 1e-9


def test_a_word_that_a_huge_document_repeats_costs_no_more_than_reading_it() -> None:
    page = "needle " * 1_500_000
    began = time.process_time()
    chosen = best_passage(sought("needle", "haystack"), [chunk(at, page) for at in range(1, 4)])
    assert chosen is not None
    assert len(excerpt(sought("needle"), chosen.text)) <= EXCERPT_CHARACTERS + 4
    assert sought("needle").densest_in(page[:200_000], 280) == 0
    assert time.process_time() - began < 1.0
