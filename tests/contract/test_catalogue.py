"""Skills, their documents, and the generations of the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from store.contract.catalogue import Chunk, DocumentWrite, IndexRun
from store.errors import Conflict, InvalidRecord, NotFound
from store.protocol import Store

MODEL = ("model-a", 4, 1)
Make = Callable[..., DocumentWrite]


@pytest.fixture
def generation(store: Store) -> int:
    return store.open_generation(*MODEL).generation


# --- generations ---------------------------------------------------------------------------------------------


def test_a_new_store_has_no_generation(store: Store) -> None:
    assert (store.live_generation(), store.building_generation()) == (None, None)


def test_the_first_generation_is_live_at_once(store: Store) -> None:
    opened = store.open_generation(*MODEL)
    assert opened.status == "live"
    assert opened.live_at is not None
    assert store.live_generation() == opened


def test_a_generation_records_what_it_was_made_with(store: Store) -> None:
    opened = store.open_generation("model-a", 4, 7)
    assert (opened.model_id, opened.dimension, opened.chunks_schema) == ("model-a", 4, 7)


def test_opening_with_the_same_values_returns_the_live_generation(store: Store) -> None:
    assert store.open_generation(*MODEL) == store.open_generation(*MODEL)


@pytest.mark.parametrize("other", [("model-b", 4, 1), ("model-a", 3, 1), ("model-a", 4, 2)])
def test_another_model_dimension_or_schema_begins_a_generation_beside_the_live_one(
    store: Store, other: tuple[str, int, int]
) -> None:
    live = store.open_generation(*MODEL)
    building = store.open_generation(*other)
    assert (building.status, building.live_at) == ("building", None)
    assert store.live_generation() == live
    assert store.building_generation() == building


def test_a_half_built_generation_is_continued(store: Store) -> None:
    store.open_generation(*MODEL)
    assert store.open_generation("model-b", 4, 1) == store.open_generation("model-b", 4, 1)


def test_a_half_built_generation_of_other_values_is_dropped(store: Store, document: Make) -> None:
    store.open_generation(*MODEL)
    dropped = store.open_generation("model-b", 4, 1)
    store.open_generation("model-c", 4, 1)
    with pytest.raises(Conflict) as refused:
        store.write_document(document("one"), dropped.generation)
    assert refused.value.recorded == {"generation": dropped.generation, "status": "retired"}


def test_going_back_to_the_live_values_drops_what_was_being_built(store: Store) -> None:
    live = store.open_generation(*MODEL)
    store.open_generation("model-b", 4, 1)
    assert store.open_generation(*MODEL) == live
    assert store.building_generation() is None


def test_publishing_swaps_the_generation_that_is_served(store: Store) -> None:
    store.open_generation(*MODEL)
    building = store.open_generation("model-b", 3, 1)
    store.publish_generation(building.generation)
    live = store.live_generation()
    assert live is not None
    assert (live.generation, live.model_id, live.status) == (building.generation, "model-b", "live")
    assert live.live_at is not None
    assert store.building_generation() is None


def test_publishing_a_live_generation_changes_nothing(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("one"), generation)
    before = (store.live_generation(), store.documents(generation))
    store.publish_generation(generation)
    assert (store.live_generation(), store.documents(generation)) == before


def test_the_replaced_generation_is_no_longer_written_to(store: Store, generation: int, document: Make) -> None:
    store.publish_generation(store.open_generation("model-b", 4, 1).generation)
    with pytest.raises(Conflict):
        store.write_document(document("one"), generation)
    assert store.documents() == []


def test_an_unknown_generation_is_not_written_to(store: Store, document: Make) -> None:
    with pytest.raises(Conflict) as refused:
        store.write_document(document("one"), 99)
    assert refused.value.recorded == {"generation": 99, "status": None}


# --- writing documents ---------------------------------------------------------------------------------------


def test_a_written_document_is_a_served_skill(store: Store, generation: int, document: Make) -> None:
    written = document(
        "one",
        declared_name="One",
        category="testing",
        license="MIT",
        compatibility="any",
        allowed_tools=["Bash", "Read"],
        metadata={"deep": {"list": [1, None, "é"]}},
        problems=["no description"],
        copies=["/elsewhere/SKILL.md"],
    )
    skill_id = store.write_document(written, generation)
    skill = store.skill("one")
    assert skill.id == skill_id
    for field in written.__struct_fields__:
        if field in {"body", "size_bytes", "chunks", "vector", "chunk_vectors", "stamp", "renamed_from"}:
            continue  # kept, but not part of a skill's record
        assert getattr(skill, field) == getattr(written, field), field
    assert skill.removed_at is None


def test_a_skill_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        store.skill("nobody")
    assert (refused.value.kind, refused.value.key) == ("skill", "nobody")


def test_a_vector_of_another_dimension_is_refused_and_nothing_is_written(
    store: Store, generation: int, document: Make
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.write_document(document("one", vector=[1.0, 0.0, 0.0]), generation)
    assert refused.value.field == "vector"
    assert store.counts() == (0, 0)


def test_a_document_that_breaks_a_rule_half_way_leaves_nothing(store: Store, generation: int, document: Make) -> None:
    twice = Chunk(ordinal=0, kind="body", heading="", text="text", span_start=0, span_end=4)
    with pytest.raises(InvalidRecord):
        store.write_document(document("one", chunks=[twice, twice]), generation)
    assert (store.counts(), store.candidates("one", None, depth=5)) == ((0, 0), [])


def test_a_changed_document_keeps_its_id_and_its_first_time(
    store: Store, generation: int, document: Make, clock: Any
) -> None:
    first = store.write_document(document("one"), generation)
    before = store.skill("one")
    clock.advance(days=1)
    again = store.write_document(document("one", content_hash="changed", description="new words"), generation)
    after = store.skill("one")
    assert again == first
    assert (after.description, after.content_hash) == ("new words", "changed")
    assert after.first_indexed_at == before.first_indexed_at
    assert str(after.last_indexed_at) > str(before.last_indexed_at)


def test_a_document_without_a_category_keeps_the_one_that_is_known(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("one", category="testing"), generation)
    store.write_document(document("one", category=None, content_hash="changed"), generation)
    assert store.skill("one").category == "testing"


def test_every_content_is_a_version_newest_first(store: Store, generation: int, document: Make, clock: Any) -> None:
    for content in ("first", "second", "first"):
        store.write_document(document("one", content_hash=content), generation)
        clock.advance(hours=1)
    assert [version.content_hash for version in store.versions("one")] == ["first", "second"]


def test_versions_of_an_unknown_skill_are_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.versions("nobody")


def test_chunks_come_in_order_and_replace_those_before(store: Store, generation: int, document: Make) -> None:
    def chunks(*texts: str) -> list[Chunk]:
        return [
            Chunk(ordinal=place, kind="body", heading="H", text=text, span_start=0, span_end=len(text))
            for place, text in enumerate(texts)
        ]

    store.write_document(document("one", chunks=chunks("a", "b", "c")), generation)
    store.write_document(document("one", chunks=chunks("d", "e"), content_hash="changed"), generation)
    assert store.chunks(["one"]) == {"one": chunks("d", "e")}


def test_chunks_leave_out_skills_without_a_served_document(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("kept"), generation)
    store.remove_document(store.write_document(document("removed"), generation))
    assert list(store.chunks(["kept", "removed", "nobody"])) == ["kept"]


def test_a_document_at_a_path_that_another_skill_had_takes_its_place(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("old", document_path="/skills/x/SKILL.md"), generation)
    store.write_document(document("new", document_path="/skills/x/SKILL.md"), generation)
    assert [state.skill_name for state in store.documents()] == ["new"]
    assert store.skill("old").removed_at is not None


def test_a_document_of_a_name_that_another_document_had_takes_its_place(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("one", document_path="/a/SKILL.md"), generation)
    store.write_document(document("one", document_path="/b/SKILL.md", content_hash="other"), generation)
    assert [state.document_path for state in store.documents()] == ["/b/SKILL.md"]


def test_a_path_that_a_removed_skill_had_is_free(store: Store, generation: int, document: Make) -> None:
    store.remove_document(store.write_document(document("old", document_path="/x"), generation))
    store.write_document(document("new", document_path="/x"), generation)
    assert [state.skill_name for state in store.documents()] == ["new"]


# --- documents as an index run sees them ---------------------------------------------------------------------


def test_documents_come_in_the_order_of_their_paths(store: Store, generation: int, document: Make) -> None:
    for name, path in (("a", "/z"), ("b", "/x"), ("c", "/y")):
        store.write_document(document(name, document_path=path), generation)
    assert [state.document_path for state in store.documents()] == ["/x", "/y", "/z"]


def test_a_document_is_embedded_in_the_generation_it_was_written_to_only(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("one"), generation)
    building = store.open_generation("model-b", 4, 1).generation
    assert [state.embedded for state in store.documents(generation)] == [True]
    assert [state.embedded for state in store.documents(building)] == [False]
    assert [state.embedded for state in store.documents()] == [False]


def test_new_content_written_elsewhere_makes_the_live_vector_stale(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("one"), generation)
    building = store.open_generation("model-b", 4, 1).generation
    store.write_document(document("one", content_hash="changed"), building)
    assert [state.embedded for state in store.documents(generation)] == [False]
    assert [state.embedded for state in store.documents(building)] == [True]


def test_an_unchanged_document_can_be_recorded_elsewhere(store: Store, generation: int, document: Make) -> None:
    skill_id = store.write_document(document("one"), generation)
    store.update_document(skill_id, document_path="/new/SKILL.md", root="/new", copies=["/c"], problems=["p"])
    (state,) = store.documents(generation)
    assert (state.document_path, state.root, state.copies, state.problems) == (
        "/new/SKILL.md",
        "/new",
        ["/c"],
        ["p"],
    )
    assert state.embedded


def test_a_document_keeps_the_stamp_of_its_file(store: Store, generation: int, document: Make) -> None:
    one = store.write_document(document("one", stamp="written"), generation)
    store.write_document(document("two"), generation)
    assert [state.stamp for state in store.documents()] == ["written", ""]
    store.note_stamps({one: "touched"})
    store.note_stamps({})
    assert [state.stamp for state in store.documents()] == ["touched", ""]
    store.write_document(document("one", stamp="changed", content_hash="changed"), generation)
    assert store.documents()[0].stamp == "changed"


def moved(store: Store, skill_id: int, path: str) -> None:
    store.update_document(skill_id, document_path=path, root="/skills", copies=[], problems=[])


def test_two_documents_may_change_places(
    store: Store, generation: int, document: Make, query: Callable[..., np.ndarray]
) -> None:
    one = store.write_document(document("one", document_path="/a", body="stripes"), generation)
    two = store.write_document(document("two", document_path="/b", body="stripes"), generation)
    moved(store, one, "/b")
    moved(store, two, "/a")
    assert [(state.document_path, state.skill_name) for state in store.documents(generation)] == [
        ("/a", "two"),
        ("/b", "one"),
    ]
    found = store.candidates("stripes", query([1, 0, 0, 0]), depth=5)
    assert [(candidate.skill_name, candidate.similarity) for candidate in found] == [("one", 1.0), ("two", 1.0)]


def test_a_document_whose_place_another_one_took_is_not_served_until_it_has_one(
    store: Store, generation: int, document: Make, query: Callable[..., np.ndarray]
) -> None:
    one = store.write_document(document("one", document_path="/a", body="stripes"), generation)
    store.write_document(document("two", document_path="/b", body="stripes"), generation)
    moved(store, one, "/b")
    found = store.candidates("stripes", query([1, 0, 0, 0]), depth=5)
    assert [candidate.skill_name for candidate in found] == ["one"]
    assert [state.skill_name for state in store.documents()] == ["one"]


# --- removing ------------------------------------------------------------------------------------------------


def test_a_removed_document_keeps_its_row_and_versions(store: Store, generation: int, document: Make) -> None:
    store.remove_document(store.write_document(document("one"), generation))
    assert store.skill("one").removed_at is not None
    assert len(store.versions("one")) == 1
    assert (store.documents(), store.counts()) == ([], (0, 1))


def test_removing_again_changes_nothing(store: Store, generation: int, document: Make, clock: Any) -> None:
    skill_id = store.write_document(document("one"), generation)
    store.remove_document(skill_id)
    before = store.skill("one")
    clock.advance(days=1)
    store.remove_document(skill_id)
    assert store.skill("one") == before


def test_a_removed_skill_that_comes_back_keeps_its_id_and_versions(
    store: Store, generation: int, document: Make
) -> None:
    skill_id = store.write_document(document("one"), generation)
    store.remove_document(skill_id)
    assert store.write_document(document("one", content_hash="second life"), generation) == skill_id
    assert store.skill("one").removed_at is None
    assert len(store.versions("one")) == 2
    assert store.counts() == (1, 0)


def test_removing_while_a_generation_is_built_removes_it_from_both(
    store: Store, generation: int, document: Make, query: Callable[..., np.ndarray]
) -> None:
    skill_id = store.write_document(document("one"), generation)
    building = store.open_generation("model-b", 4, 1).generation
    store.write_document(document("one"), building)
    store.remove_document(skill_id)
    store.publish_generation(building)
    assert store.candidates("", query([1, 0, 0, 0]), depth=5) == []


# --- lists ---------------------------------------------------------------------------------------------------


def test_skills_are_listed_by_name_in_pages(store: Store, generation: int, document: Make) -> None:
    for name in ("d", "b", "a", "c"):
        store.write_document(document(name), generation)
    assert [skill.skill_name for skill in store.skills(limit=2)] == ["a", "b"]
    assert [skill.skill_name for skill in store.skills(after="b", limit=2)] == ["c", "d"]
    assert store.skills(after="d") == []


def test_skills_can_be_narrowed_to_a_category(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("a", category="x"), generation)
    store.write_document(document("b", category="y"), generation)
    assert [skill.skill_name for skill in store.skills(category="y")] == ["b"]


def test_served_and_removed_skills_are_listed_apart(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("served"), generation)
    store.remove_document(store.write_document(document("removed"), generation))
    assert [skill.skill_name for skill in store.skills()] == ["served"]
    assert [skill.skill_name for skill in store.skills(removed=True)] == ["removed"]


def test_skills_named_gives_the_served_ones_of_these_names(store: Store, generation: int, document: Make) -> None:
    for name in ("a", "b"):
        store.write_document(document(name), generation)
    store.remove_document(store.write_document(document("removed"), generation))
    found = store.skills_named(["a", "removed", "nobody"])
    assert {name: skill.skill_name for name, skill in found.items()} == {"a": "a"}


# --- index runs ----------------------------------------------------------------------------------------------


def run_record(number: int, roots: list[str] | None = None) -> IndexRun:
    return IndexRun(
        id=f"run-{number}",
        started_at=f"2026-03-04T12:00:{number:02}.000000Z",
        finished_at=f"2026-03-04T12:01:{number:02}.000000Z",
        roots=roots or [],
        report={"added": number},
    )


def test_before_the_first_run_there_is_neither_a_run_nor_a_root(store: Store) -> None:
    assert (store.last_run(), store.roots()) == (None, [])


def test_the_run_that_was_recorded_last_is_the_last_whatever_its_times_say(store: Store) -> None:
    store.record_run(run_record(2, ["/c"]))
    store.record_run(run_record(1, ["/b", "/a"]))
    assert store.last_run() == run_record(1, ["/b", "/a"])
    assert store.roots() == ["/b", "/a"]


def test_only_recent_runs_are_kept(store: Store) -> None:
    for number in range(60):
        store.record_run(run_record(number))
    assert store.last_run() == run_record(59)
    store.record_run(run_record(0, ["/again"]))  # forgotten, so its id is free again
    assert store.roots() == ["/again"]


def test_recording_a_run_again_changes_nothing(store: Store) -> None:
    store.record_run(run_record(1))
    store.record_run(run_record(1))
    assert store.last_run() == run_record(1)


def test_another_run_of_the_same_id_is_a_conflict(store: Store) -> None:
    store.record_run(run_record(1))
    with pytest.raises(Conflict):
        store.record_run(run_record(1, ["/other"]))
    assert store.roots() == []


# --- turns ---------------------------------------------------------------------------------------------------


def test_only_one_index_run_at_a_time_has_its_turn(open_another: Callable[[], Store], store: Store) -> None:
    other = open_another()
    with store.index_turn() as mine:
        assert mine
        with other.index_turn(should_stop=lambda: True) as too:
            assert not too
        with store.index_turn(should_stop=lambda: True) as twice:
            assert not twice
    with other.index_turn() as now:
        assert now


def test_a_turn_ends_with_an_error_too(store: Store) -> None:
    with pytest.raises(NotFound), store.index_turn():
        store.skill("nobody")
    with store.index_turn(should_stop=lambda: True) as again:
        assert again
