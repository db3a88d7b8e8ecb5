"""How sure an answer is."""

from __future__ import annotations

import pytest

from embeddings.scale import BEYOND, Scale
from service.search.confidence import describes, fusion_settings, judge_confidence, scale_of
from store.contract.retrieval import Candidate, Term

SKILLS_MODEL = "all-MiniLM-L6-v2+skills@0123456789ab"
OWN = Scale(low=0.1, medium=0.2, high=0.3, spread=0.06, lexical_weight=0.25)


def nearest(similarity: float | None) -> list[Candidate]:
    return [Candidate(skill_id=1, skill_name="x", category=None, similarity=similarity, bm25=1.0)]


@pytest.mark.parametrize(("similarity", "said"), [(0.8, "high"), (0.45, "medium"), (0.38, "low"), (0.3, "none")])
def test_the_nearer_the_nearest_skill_the_surer_the_answer(similarity: float, said: str) -> None:
    assert judge_confidence(nearest(similarity), scale_of(SKILLS_MODEL, None)) == said


def test_the_scale_is_the_models_own() -> None:
    assert judge_confidence(nearest(0.56), scale_of("all-MiniLM-L6-v2@0123456789ab", None)) == "high"


def test_what_was_measured_on_the_model_goes_before_what_came_with_the_release() -> None:
    assert scale_of(SKILLS_MODEL, OWN) == OWN
    assert scale_of("another@1", OWN) == OWN


def test_a_level_that_no_query_showed_is_never_reached() -> None:
    scale = Scale(low=0.1, medium=0.2, high=BEYOND, spread=0.06, lexical_weight=0.2)
    assert judge_confidence(nearest(1.0000001), scale) == "medium"


def test_a_model_without_a_scale_is_never_called_sure_or_unsure() -> None:
    assert scale_of("another@1", None) is None
    assert {judge_confidence(nearest(s), None) for s in (0.01, 0.99)} == {"medium"}


def test_without_vectors_nothing_is_sure() -> None:
    assert judge_confidence(nearest(None), None) == "low"
    assert judge_confidence(nearest(None), OWN) == "low"


def test_nothing_found_is_nothing_that_fits() -> None:
    assert judge_confidence([], OWN) == "none"


def test_a_model_without_a_scale_leaves_fusion_its_own_settings() -> None:
    assert fusion_settings(OWN) == {"spread": 0.06, "lexical_weight": 0.25}
    assert fusion_settings(None) == {}


def terms(*words: str) -> list[Term]:
    return [Term(word, word, 1) for word in words]


def test_a_text_describes_a_query_when_it_holds_every_word_of_it() -> None:
    assert describes(terms("pandas"), [terms("other"), terms("clean", "data", "pandas")])
    assert describes(terms("clean", "pandas"), [terms("clean", "data", "pandas")])
    assert not describes(terms("clean", "pandas"), [terms("clean", "data"), terms("pandas")])
    assert not describes([], [terms("clean")])
