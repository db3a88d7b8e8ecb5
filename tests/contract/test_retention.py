"""Queries whose text is not kept or that are forgotten: what is removed, and what must stay as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome, NewSession
from store.errors import Conflict
from store.protocol import Store
from store.query_hash import hash_of

WORDS = "where is the treasure buried"


def search(identifier: str, at: str) -> SearchRecord:
    return SearchRecord(
        id=identifier,
        searched_at=at,
        query=WORDS,
        query_hash=hash_of(WORDS),
        query_vector=b"\x01" * 16,
        model_id="m",
        session_id="s",
        user_id=None,
        project_id=None,
        filters={},
        weights_version="w",
        explored=False,
        confidence="high",
        degraded=[],
        elapsed_ms=1.0,
        results=[ServedSkill(position=1, skill_name="dig", score=1.0, components={})],
    )


def use(identifier: str, at: str, **told: Any) -> NewInvocation:
    return NewInvocation(**{"id": identifier, "skill_name": "dig", "invoked_at": at, "session_id": "s"} | told)


def fill(store: Store, at: Callable[..., str]) -> None:
    """One old and one new search, a use that came from each, and one that only names its query."""
    for identifier, moment in (("old", at(1)), ("new", at(4))):
        store.record_search(search(identifier, moment))
        store.start_invocation(use(f"from {identifier}", moment, search_id=identifier, selection_rank=1))
        store.start_invocation(use(f"asked {identifier}", moment, user_query=WORDS))
        for each in (f"from {identifier}", f"asked {identifier}"):
            store.finish_invocation(each, NewOutcome(outcome="completed", duration_seconds=3, finished_at=moment))


def test_words_are_not_written_where_they_are_not_kept(
    open_another: Callable[..., Store], at: Callable[..., str]
) -> None:
    store = open_another(keep_queries=False)
    fill(store, at)
    batch = [(use("imported", at(2), user_query=WORDS), NewOutcome(outcome="completed"))]
    assert store.import_invocations(batch).imported == 1
    assert store.search("old").query is None
    assert store.search("old").query_hash == hash_of(WORDS)
    for identifier in ("asked old", "imported"):
        assert store.invocation(identifier).user_query is None
        assert store.invocation(identifier).user_query_hash == hash_of(WORDS)
    assert store.invocation("from old").user_query_hash is None
    assert store.session_story("s").searches[0].query is None


def test_writing_again_without_words_is_the_same_writing(
    open_another: Callable[..., Store], at: Callable[..., str]
) -> None:
    store = open_another(keep_queries=False)
    store.record_search(search("q", at(1)))
    store.record_search(search("q", at(1)))
    asked = use("u", at(1), user_query=WORDS)
    assert store.start_invocation(asked) == store.start_invocation(asked)
    assert store.import_invocations([(asked, None)]).duplicates == 1
    for other in ("something else", None):
        with pytest.raises(Conflict):
            store.start_invocation(msgspec.structs.replace(asked, user_query=other))


def test_a_query_without_words_still_finds_its_vector(
    open_another: Callable[..., Store], at: Callable[..., str]
) -> None:
    store = open_another(keep_queries=False)
    fill(store, at)
    _, learnt = store.outcomes_to_learn(limit=10)
    assert [each.query_vector for each in learnt] == [b"\x01" * 16] * 4


def test_words_that_were_kept_can_be_forgotten(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)
    before = store.outcomes_to_learn(limit=10)
    forgotten = store.forget_words()
    assert (forgotten.searches, forgotten.uses) == (2, 2)
    assert store.search("old").query is None
    assert store.invocation("asked new").user_query is None
    assert store.outcomes_to_learn(limit=10) == before
    assert store.start_invocation(use("asked old", at(1), user_query=WORDS)).id == "asked old"
    again = store.forget_words()
    assert (again.searches, again.uses) == (0, 0)


def test_old_queries_are_forgotten_altogether(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)
    forgotten = store.forget_queries(timedelta(days=2))
    assert (forgotten.searches, forgotten.uses) == (1, 1)
    old, new = store.search("old"), store.search("new")
    assert (old.query, old.query_hash, old.query_vector, old.model_id) == (None, "", None, None)
    assert new == search("new", at(4))
    assert [result.skill_name for result in old.results] == ["dig"]
    assert (store.invocation("asked old").user_query, store.invocation("asked old").user_query_hash) == (None, "")
    assert store.invocation("asked new").user_query == WORDS
    again = store.forget_queries(timedelta(days=2))
    assert (again.searches, again.uses) == (0, 0)


def test_hashes_of_old_queries_are_forgotten_too(open_another: Callable[..., Store], at: Callable[..., str]) -> None:
    store = open_another(keep_queries=False)
    fill(store, at)
    assert store.forget_queries(timedelta(days=2)).uses == 1
    assert store.invocation("asked old").user_query_hash == ""


def test_forgetting_leaves_metrics_choices_and_stories(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)

    def told() -> tuple[Any, ...]:
        story = store.session_story("s")
        return (
            store.skill_metrics("dig"),
            store.recorded_choices(limit=10),
            story.uses,
            [(each.id, each.searched_at, each.served) for each in story.searches],
            store.invocation("from old").search_id,
        )

    before = told()
    store.forget_queries(timedelta(days=2))
    store.forget_words()
    assert told() == before
    assert store.first_difference() is None
    assert store.check() == []


def test_what_is_forgotten_contradicts_nothing(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)
    store.forget_queries(timedelta(days=2))
    assert store.start_invocation(use("asked old", at(1), user_query=WORDS)).user_query is None
    with pytest.raises(Conflict):
        store.start_invocation(use("asked old", at(1), skill_name="sail", user_query=WORDS))


def test_a_kept_report_does_not_keep_forgotten_words(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)

    def make(story: Any) -> dict[str, Any]:
        return {"words": [each.query for each in story.searches]}

    store.end_session("s", make)
    assert store.session_report("s", make) == {"words": [WORDS, WORDS]}
    store.forget_queries(timedelta(days=2))
    assert store.session_report("s", make) == {"words": [None, WORDS]}
    store.forget_words()
    assert store.session_report("s", make) == {"words": [None, None]}


def test_forgetting_goes_on_until_nothing_is_left(store: Store, at: Callable[..., str]) -> None:
    store.start_session(NewSession(id="s"))
    store.import_invocations([(use(str(n), at(1), user_query=WORDS), None) for n in range(2100)])
    assert store.forget_queries(timedelta(days=1)).uses == 2100


def test_nothing_is_older_than_the_calendar(store: Store, at: Callable[..., str]) -> None:
    fill(store, at)
    forgotten = store.forget_queries(timedelta.max)
    assert (forgotten.searches, forgotten.uses) == (0, 0)
