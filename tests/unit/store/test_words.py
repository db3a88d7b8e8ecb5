"""Which words are right as they are."""

from __future__ import annotations

import json

import pytest

from store.words import LANGUAGES, is_known_word, product_names, word_list


@pytest.mark.parametrize(
    "word", ["postgres", "latex", "stata", "stripe", "spring", "unity", "plaid", "prefect", "patent", "bread", "canva"]
)
def test_names_of_products_and_common_words_are_known(word: str) -> None:
    assert is_known_word(word)


@pytest.mark.parametrize("word", ["lange", "abfrage", "größe", "requête", "consulta", "база"])
def test_words_of_other_languages_are_known(word: str) -> None:
    assert is_known_word(word)


@pytest.mark.parametrize("word", ["specialised", "unlabelled", "analysing", "behaviour", "cofounder", "codebase"])
def test_british_prefixed_and_compound_words_are_known(word: str) -> None:
    assert is_known_word(word)


@pytest.mark.parametrize("word", ["developement", "databse", "lnding", "tset", "recieve", ""])
def test_mistyped_words_are_not_known(word: str) -> None:
    assert not is_known_word(word)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_list_is_in_the_order_that_looking_up_relies_on(language: str) -> None:
    words = [word.encode() for word in json.loads(word_list(language))]
    assert words == sorted(words)
    assert all(is_known_word(word.decode()) for word in (words[0], words[len(words) // 2], words[-1]))


def test_names_are_lower_case_words_in_order() -> None:
    assert len(product_names()) > 2_000
    assert all(name.isalpha() and name == name.lower() for name in product_names())
