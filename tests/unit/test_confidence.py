"""How sure an answer is."""

from __future__ import annotations

import pytest

from service.confidence import fusion_settings, judge_confidence
from store.records import Candidate

SKILLS_MODEL = "all-MiniLM-L6-v2+skills@0123456789ab"


def nearest(similarity: float | None) -> list[Candidate]:
    return [Candidate(skill_id=1, skill_name="x", category=None, similarity=similarity, bm25=1.0)]


@pytest.mark.parametrize(("similarity", "said"), [(0.8, "high"), (0.45, "medium"), (0.38, "low"), (0.3, "none")])
def test_the_nearer_the_nearest_skill_the_surer_the_answer(similarity: float, said: str) -> None:
    assert judge_confidence(nearest(similarity), SKILLS_MODEL) == said


def test_the_scale_is_the_models_own() -> None:
    assert judge_confidence(nearest(0.56), "all-MiniLM-L6-v2@0123456789ab") == "high"


def test_a_model_without_a_scale_is_never_called_sure_or_unsure() -> None:
    assert {judge_confidence(nearest(s), "another@1") for s in (0.01, 0.99)} == {"medium"}


def test_without_vectors_nothing_is_sure() -> None:
    assert judge_confidence(nearest(None), None) == "low"


def test_nothing_found_is_nothing_that_fits() -> None:
    assert judge_confidence([], SKILLS_MODEL) == "none"


def test_a_model_without_a_scale_leaves_fusion_its_own_settings() -> None:
    assert fusion_settings(SKILLS_MODEL).keys() == {"spread", "lexical_weight"}
    assert fusion_settings("another@1") == fusion_settings(None) == {}
