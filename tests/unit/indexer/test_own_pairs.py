"""What documents give to train on when nobody has asked anything yet."""

from __future__ import annotations

from indexer.discovery import Found
from indexer.document import SkillDocument, parse_document
from indexer.own_pairs import own_pairs

BODY = "Intro without heading, five words.\n\n# Steps\n\nCrease it a few times."


def document(description: str, body: str) -> SkillDocument:
    text = f"---\nname: fold-crane\ndescription: {description}\n---\n{body}"
    return parse_document(text.encode(), Found(path="/r/x/SKILL.md", root="/r"))


def test_sentences_of_the_description_ask_for_the_body() -> None:
    says = "Folds a paper crane in twelve steps. Use when a gift needs wrapping."
    pairs, *_ = own_pairs(document(says, "# Steps\n"))
    assert pairs.queries == ("Folds a paper crane in twelve steps.", "a gift needs wrapping.")
    assert pairs.text == "fold-crane.\n# Steps"


def test_sections_of_the_body_ask_for_the_description() -> None:
    code = "```sh\nrm -rf /\n```"
    body = f"# Valley folds\n\nCrease the paper away from you twice.\n\n{code}\n\n## Empty\n\n# Wings\nshort\n"
    *_, pairs = own_pairs(document("Folds a paper crane in twelve steps.", body))
    assert pairs.queries == ("Valley folds Crease the paper away from you twice.",)
    assert pairs.text == "fold-crane. Folds a paper crane in twelve steps."


def test_nothing_that_is_asked_stands_in_the_text_that_is_to_be_found() -> None:
    says = "Folds a paper crane in twelve steps."
    for pairs in own_pairs(document(says, BODY)):
        assert not [query for query in pairs.queries if query in pairs.text]


def test_a_document_that_says_nearly_nothing_gives_nothing() -> None:
    assert own_pairs(document("Cranes.", "# Steps\n\n1. fold")) == []
