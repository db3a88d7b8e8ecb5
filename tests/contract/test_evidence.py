"""What ranking has learnt: read from the log once, added in any order, kept through renames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from store.contract.catalogue import DocumentWrite
from store.contract.evidence import AffinityCount, EvidenceSum, QueryCell
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome
from store.protocol import Store

Make = Callable[..., DocumentWrite]
VECTOR = np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32).tobytes()


def searched(store: Store, search_id: str = "s1", *names: str, behind_b: tuple[str, ...] = ()) -> None:
    store.record_search(
        SearchRecord(
            id=search_id,
            searched_at="2026-03-04T11:00:00.000000Z",
            query="why so slow",
            query_hash=hashlib.sha256(b"why so slow").hexdigest(),
            query_vector=VECTOR,
            model_id="model-a",
            session_id=None,
            user_id=None,
            project_id=None,
            filters={},
            weights_version="w",
            explored=False,
            confidence="high",
            degraded=[],
            elapsed_ms=1.0,
            results=[
                ServedSkill(
                    position=place,
                    skill_name=name,
                    score=0.0,
                    components={"propensity": 1.0, "near_identical": behind_b if name == "b" else []},
                )
                for place, name in enumerate(names, start=1)
            ],
        )
    )


def used(store: Store, skill: str, outcome: Any = "completed", **fields: Any) -> None:
    started = store.start_invocation(NewInvocation(skill_name=skill, **fields))
    store.finish_invocation(started.id, NewOutcome(outcome=outcome, duration_seconds=5.0))


def sums(skill: str, *numbers: float, query: tuple[str, int] | None = None, version: int = -1) -> EvidenceSum:
    return EvidenceSum(
        skill_name=skill,
        version=version,
        query=query,
        reporter_slot=3,
        sums=[*numbers, *[0.0] * (10 - len(numbers))],
    )


@pytest.mark.parametrize(
    ("considered", "served"),
    [
        ([], ["a", "b", "c", "d"]),
        (["d"], ["a", "d", "b", "c"]),
        (["a", "d", "d", "b"], ["a", "d", "b", "c"]),
        (["x"], ["a", "x", "b", "c", "d"]),
        (["b"], ["a", "b", "c", "d"]),
    ],
)
def test_what_was_considered_is_above_what_was_chosen(store: Store, considered: list[str], served: list[str]) -> None:
    searched(store, "s1", "a", "b", "c", "d")
    used(store, "b", search_id="s1", alternatives_considered=considered)
    (learnt,) = store.outcomes_to_learn(limit=9)[1]
    assert (learnt.served, learnt.taken) == (served, ["b"])


def test_what_was_considered_counts_without_a_search_and_in_any_form_of_its_name(store: Store, document: Make) -> None:
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("lint"), generation)
    used(store, "format", alternatives_considered=["Plugin:Lint", "other"])
    used(store, "format", "failed", alternatives_considered=["lint"])
    done, failed = store.outcomes_to_learn(limit=9)[1]
    assert (done.served, failed.served) == (["lint", "other", "format"], [])


def test_no_more_is_taken_for_considered_than_anybody_looks_through(store: Store) -> None:
    used(store, "lint", alternatives_considered=[f"skill {number}" for number in range(500)])
    (learnt,) = store.outcomes_to_learn(limit=9)[1]
    assert learnt.served == [*(f"skill {number}" for number in range(20)), "lint"]


def add(
    store: Store, *learnt: EvidenceSum, after: int = 0, upto: int = 1, cells: list[QueryCell] | None = None
) -> bool:
    return store.add_evidence(after=after, upto=upto, cells=cells or [], sums=learnt, affinities=[])


def cell(code: int, queries: int = 1) -> QueryCell:
    return QueryCell(model_id="model-a", code=code, queries=queries, vector_sum=VECTOR)


def test_nothing_is_to_be_learnt_at_first(store: Store) -> None:
    assert store.outcomes_to_learn(limit=10) == (0, [])


def test_an_outcome_includes_its_query_and_the_list_it_was_chosen_from(store: Store) -> None:
    searched(store, "s1", "a", "b", "c")
    used(store, "a", "failed", search_id="s1", user_id="u")
    used(store, "b", search_id="s1", user_id="u")
    _, (failed, done) = store.outcomes_to_learn(limit=10)
    assert (failed.outcome, failed.query_vector, failed.model_id, failed.served) == ("failed", VECTOR, "model-a", [])
    assert (done.served, sorted(done.taken), done.user_id) == (["a", "b", "c"], ["a", "b"], "u")


def test_a_near_identical_skill_that_is_taken_stood_behind_the_one_that_was_shown(store: Store) -> None:
    searched(store, "s1", "a", "b", "c", behind_b=("b2", "b3"))
    for skill in ("b2", "c", "b"):
        used(store, skill, search_id="s1")
    _, (named, below, shown) = store.outcomes_to_learn(limit=10)
    assert named.served == ["a", "b", "b2", "c"]
    assert below.served == shown.served == ["a", "b", "c"]


def test_a_use_without_a_search_finds_its_query_by_its_text(store: Store) -> None:
    searched(store)
    used(store, "a", user_query="why so slow")
    used(store, "a", user_query="something else")
    _, (same, other) = store.outcomes_to_learn(limit=10)
    assert (same.query_vector, other.query_vector) == (VECTOR, None)


def test_two_successes_in_one_session_are_one_pair(store: Store, at: Callable[..., str]) -> None:
    for skill, hour in (("late", 10), ("early", 9), ("next day", 23)):
        used(store, skill, session_id="s", invoked_at=at(1, hour))
    _, (late, early, next_day) = store.outcomes_to_learn(limit=10)
    assert (late.succeeded_before, late.succeeded_after) == ([], [])
    assert (early.succeeded_before, early.succeeded_after) == ([], ["late"])
    assert (next_day.succeeded_before, next_day.succeeded_after) == ([], [])


def test_what_was_learnt_is_not_returned_again(store: Store) -> None:
    used(store, "a")
    used(store, "b")
    after, (first, _) = store.outcomes_to_learn(limit=10)
    assert add(store, sums("a", 1.0), after=after, upto=first.seq)
    learnt, rest = store.outcomes_to_learn(limit=10)
    assert learnt == first.seq
    assert [outcome.skill_name for outcome in rest] == ["b"]


def test_learning_the_same_outcomes_twice_changes_nothing(store: Store) -> None:
    assert add(store, sums("a", 1.0))
    assert not add(store, sums("a", 1.0))
    assert [row[4] for row in store.evidence_since(-1, -1, -1).sums] == [1.0]


def test_sums_of_one_key_add_up_and_only_changes_are_returned_again(store: Store) -> None:
    add(store, sums("a", 1.0, 2.0), sums("b", 5.0), cells=[])
    seen = store.evidence_since(-1, -1, -1)
    add(store, sums("a", 0.5), after=1, upto=2)
    change = store.evidence_since(seen.epoch, seen.revision, seen.catalogue_seq)
    assert not change.anew
    assert [row[:6] for row in change.sums] == [("a", -1, -1, 3, 1.5, 2.0)]
    assert store.evidence_since(change.epoch, change.revision, change.catalogue_seq).sums == []


def test_queries_of_one_cell_add_up(store: Store) -> None:
    add(store, sums("a", 1.0, query=("model-a", 7)), cells=[cell(7)])
    add(store, sums("a", 1.0, query=("model-a", 7)), after=1, upto=2, cells=[cell(7, queries=2)])
    change = store.evidence_since(-1, -1, -1)
    (held,) = change.cells
    assert (held.code, held.queries, np.frombuffer(held.vector_sum, dtype=np.float32).tolist()) == (
        7,
        3,
        [2, 0, 0, 0],
    )
    assert [row[2] for row in change.sums] == [held.id]


def test_the_catalogue_has_the_present_version_and_category(store: Store, document: Make) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    store.write_document(document("a", category="x"), generation)
    seen = store.evidence_since(-1, -1, -1)
    store.write_document(document("a", category="x", content_hash="other"), generation)
    change = store.evidence_since(seen.epoch, seen.revision, seen.catalogue_seq)
    assert seen.catalogue[0].version != change.catalogue[0].version
    assert change.catalogue[0].category == "x"
    assert change.catalogue[0].version == store.versions("a")[0].id


@pytest.mark.parametrize("order", ["new first", "old first"])
def test_a_document_that_was_renamed_keeps_its_evidence(store: Store, document: Make, order: str) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    old = store.write_document(document("old"), generation)
    add(store, sums("old", 4.0, version=1), sums("old", 1.0))
    moved = document("new", content_hash="hash of old", document_path="/elsewhere/SKILL.md")
    if order == "new first":
        store.write_document(moved, generation)
        store.remove_document(old)
    else:
        store.remove_document(old)
        store.write_document(moved, generation)
    told = store.evidence_since(-1, -1, -1).sums
    assert {row[0] for row in told} == {"new"}
    assert sorted(row[4] for row in told) == [1.0, 4.0]


def test_a_document_renamed_in_place_keeps_its_evidence(store: Store, document: Make) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    store.write_document(document("old"), generation)
    add(store, sums("old", 4.0, version=1))
    store.write_document(document("new", document_path="/skills/old/SKILL.md"), generation)
    assert [row[0] for row in store.evidence_since(-1, -1, -1).sums] == ["new"]


def test_a_document_renamed_back_takes_its_evidence_back(store: Store, document: Make, clock: Any) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    for name in ("old", "new", "old", "new", "old"):
        store.write_document(document(name, document_path="/skills/x/SKILL.md", content_hash=name), generation)
        clock.advance(days=1)
        add(store, sums(name, 1.0))
        assert {row[0] for row in store.evidence_since(-1, -1, -1).sums} == {name}


def test_a_document_that_is_said_to_be_renamed_takes_its_evidence_along(store: Store, document: Make) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    store.remove_document(store.write_document(document("old"), generation))
    add(store, sums("old", 4.0, version=1))
    store.write_document(document("new", renamed_from="old"), generation)
    assert [row[0] for row in store.evidence_since(-1, -1, -1).sums] == ["new"]


def test_a_reader_must_start_over_after_a_rename(store: Store, document: Make) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    store.write_document(document("old"), generation)
    seen = store.evidence_since(-1, -1, -1)
    store.write_document(document("new", document_path="/skills/old/SKILL.md"), generation)
    assert store.evidence_since(seen.epoch, seen.revision, seen.catalogue_seq).anew


def test_another_document_under_an_old_path_inherits_nothing(store: Store, document: Make, clock: Any) -> None:
    generation = store.open_generation("model-a", 4, 1).generation
    store.remove_document(store.write_document(document("old"), generation))
    add(store, sums("old", 4.0, version=1))
    clock.advance(days=1)
    store.write_document(document("new", document_path="/skills/old/SKILL.md"), generation)
    assert [row[0] for row in store.evidence_since(-1, -1, -1).sums] == ["old"]


def test_affinities_are_returned_for_their_context_and_for_all(store: Store) -> None:
    counts = [
        AffinityCount(kind="after", context=context, skill_name=name, successes=2.0)
        for context, name in (("x", "a"), ("x", ""), ("", "a"), ("", ""), ("y", "a"))
    ]
    store.add_evidence(after=0, upto=1, cells=[], sums=[], affinities=counts)
    assert set(store.affinities("after", "x", ["a", "b"])) == {("x", "a"), ("x", ""), ("", "a"), ("", "")}
    assert store.affinities("phase", "x", ["a"]) == {}


def test_the_last_success_of_a_session_is_returned(store: Store, clock: Any) -> None:
    for skill, outcome in (("a", "completed"), ("b", "completed"), ("c", "failed")):
        used(store, skill, outcome, session_id="s")
        clock.advance(minutes=1)
    assert (store.last_success("s"), store.last_success("none")) == ("b", None)


def test_what_was_forgotten_is_learnt_again(store: Store) -> None:
    used(store, "a")
    add(store, sums("a", 1.0))
    seen = store.evidence_since(-1, -1, -1)
    store.forget_evidence()
    change = store.evidence_since(seen.epoch, seen.revision, seen.catalogue_seq)
    assert (change.anew, change.sums) == (True, [])
    assert len(store.outcomes_to_learn(limit=10)[1]) == 1


def test_choices_include_the_list_they_were_made_from(store: Store) -> None:
    searched(store, "s1", "a", "b")
    used(store, "b", search_id="s1", session_id="who")
    used(store, "a")
    (choice,) = store.recorded_choices(limit=10)
    assert (choice.search_id, choice.reporter, choice.skill_name, choice.outcome) == ("s1", "who", "b", "completed")
    assert [line.skill_name for line in choice.served] == ["a", "b"]


def test_the_weights_adopted_last_hold(store: Store) -> None:
    assert store.learnt_weights() is None
    store.adopt_weights("w1", {"gate": 1.0}, {})
    store.adopt_weights("w2", {"gate": 2.0}, {"why": "better"})
    held = store.learnt_weights()
    assert held is not None
    assert (held.version, held.weights, held.report) == ("w2", {"gate": 2.0}, {"why": "better"})
    store.adopt_weights("w1", {"gate": 1.0}, {})
    assert store.learnt_weights() == msgspec.structs.replace(held, version="w1", weights={"gate": 1.0}, report={})
