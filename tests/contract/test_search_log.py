"""Recorded searches and their lists; opening and closing a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import Conflict, InvalidRecord, NotFound, StoreUnavailable
from store.protocol import Store


def asked(**fields: Any) -> SearchRecord:
    told: dict[str, Any] = {
        "id": "search-1",
        "searched_at": "2026-03-04T12:00:00.000000Z",
        "query": "which skill? 😀",
        "query_hash": "hash",
        "query_vector": np.array([0.5, 0.5], dtype=np.float32).tobytes(),
        "model_id": "model-a",
        "session_id": None,
        "user_id": "u",
        "project_id": "p",
        "filters": {"category": "testing"},
        "weights_version": "w1",
        "explored": True,
        "confidence": "high",
        "degraded": ["outcomes"],
        "elapsed_ms": 12.5,
        "results": [
            ServedSkill(position=1, skill_name="lint", score=0.9, components={"similarity": 0.8}),
            ServedSkill(position=2, skill_name="test", score=0.1, components={}),
        ],
    }
    return SearchRecord(**told | fields)


def test_a_search_is_kept_with_the_list_that_was_served(store: Store) -> None:
    store.record_search(asked())
    assert store.search("search-1") == asked()


def test_a_search_without_text_vector_or_result_is_kept(store: Store) -> None:
    bare = asked(
        query=None, query_vector=None, model_id=None, user_id=None, project_id=None, results=[], explored=False
    )
    store.record_search(bare)
    assert store.search("search-1") == bare


def test_results_come_in_the_order_of_their_positions(store: Store) -> None:
    store.record_search(asked(results=list(reversed(asked().results))))
    assert [served.position for served in store.search("search-1").results] == [1, 2]


def test_an_unknown_search_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        store.search("nobody")
    assert refused.value.kind == "search"


def test_a_search_begins_its_session(store: Store) -> None:
    store.record_search(asked(session_id="s"))
    session = store.session("s")
    assert (session.user_id, session.project_id, session.started_at) == ("u", "p", asked().searched_at)


def test_recording_a_search_again_changes_nothing(store: Store) -> None:
    store.record_search(asked())
    store.record_search(asked())
    assert store.search("search-1") == asked()


def test_another_search_under_the_same_id_is_a_conflict(store: Store) -> None:
    store.record_search(asked())
    with pytest.raises(Conflict):
        store.record_search(asked(query="another"))
    assert store.search("search-1") == asked()


@pytest.mark.parametrize(
    "broken",
    [
        {"confidence": "absolute"},
        {"elapsed_ms": -1.0},
        {"query": "\ud800"},
        {"results": [ServedSkill(position=0, skill_name="lint", score=1.0, components={})]},
        {"results": [ServedSkill(position=1, skill_name="lint", score=1.0, components={})] * 2},
        {"results": [ServedSkill(position=1, skill_name="lint", score=float("nan"), components={})]},
    ],
    ids=["confidence", "elapsed", "surrogate", "position 0", "position twice", "score"],
)
def test_a_search_that_breaks_a_rule_is_refused_whole(store: Store, broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        store.record_search(asked(session_id="s", **broken))
    for missing in (store.search, store.session):
        with pytest.raises(NotFound):
            missing({"search": "search-1", "session": "s"}[missing.__name__])


# --- operations and the end ----------------------------------------------------------------------------------


def test_health_of_an_empty_store_says_what_to_do(store: Store) -> None:
    health = store.health()
    assert (health.served_skills, health.total_invocations, health.generation) == (0, 0, None)
    assert health.size_bytes > 0
    assert any("skillrank index" in problem for problem in health.problems)


def test_health_counts_what_is_served_recorded_and_open(store: Store, document: Callable[..., Any]) -> None:
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("lint"), generation)
    first = store.start_invocation(NewInvocation(skill_name="lint"))
    store.start_invocation(NewInvocation(skill_name="lint"))
    store.finish_invocation(first.id, NewOutcome(outcome="completed"))
    health = store.health()
    assert (health.served_skills, health.total_invocations, health.open_invocations) == (1, 2, 1)
    assert (health.generation, health.model_id, health.problems) == (generation, "m", [])


def test_health_names_documents_without_a_vector(store: Store, document: Callable[..., Any]) -> None:
    store.open_generation("m", 4, 1)
    building = store.open_generation("other", 4, 1).generation
    store.write_document(document("lint"), building)
    assert any("1 document has no vector" in problem for problem in store.health().problems)


def test_a_closed_store_is_unavailable_for_reading_and_writing(store: Store) -> None:
    store.close()
    for call in (store.all_metrics, lambda: store.start_invocation(NewInvocation(skill_name="lint"))):
        with pytest.raises(StoreUnavailable) as refused:
            call()
        assert refused.value.cause == "closed"


def test_closing_again_does_nothing(store: Store) -> None:
    store.close()
    store.close()


def test_everything_is_there_after_closing_and_opening_again(
    open_another: Callable[[], Store], document: Callable[..., Any]
) -> None:
    first = open_another()
    generation = first.open_generation("m", 4, 1).generation
    first.write_document(document("lint"), generation)
    use = first.start_invocation(NewInvocation(skill_name="lint", session_id="s"))
    first.record_search(asked())
    before = (first.skill("lint"), first.all_metrics(), first.live_generation())
    first.close()
    again = open_another()
    assert (again.skill("lint"), again.all_metrics(), again.live_generation()) == before
    assert again.invocation(use.id) == use
    assert again.search("search-1") == asked()
