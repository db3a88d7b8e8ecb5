"""Candidates: the union of lexical and semantic search."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from store.contract.catalogue import Chunk, DocumentWrite
from store.contract.retrieval import Candidate
from store.errors import InvalidRecord, NotFound
from store.protocol import Store

Make = Callable[..., DocumentWrite]
Windows = Callable[..., np.ndarray]

EAST, NORTH, UP = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]
NORTHEAST = [1.0, 1.0, 0.0, 0.0]


@pytest.fixture
def generation(store: Store) -> int:
    return store.open_generation("model-a", 4, 1).generation


@pytest.fixture
def library(store: Store, generation: int, document: Make) -> Store:
    """Three skills: zebra points east, apple north, mango between them; only zebra and mango speak of stripes."""
    store.write_document(document("zebra", vector=EAST, body="stripes", category="animal"), generation)
    store.write_document(document("apple", vector=NORTH, body="crisp", category="fruit"), generation)
    store.write_document(document("mango", vector=NORTHEAST, body="stripes rarely", category="fruit"), generation)
    return store


def names(found: list[Candidate]) -> list[str]:
    return [candidate.skill_name for candidate in found]


def by_name(found: list[Candidate]) -> dict[str, Candidate]:
    return {candidate.skill_name: candidate for candidate in found}


# --- the union and its evidence ------------------------------------------------------------------------------


def test_an_empty_store_has_no_candidates(store: Store, query: Windows) -> None:
    assert store.candidates("anything", query(EAST), depth=5) == []


def test_candidates_are_the_union_of_both_sides_in_the_order_of_names(library: Store, query: Windows) -> None:
    assert names(library.candidates("stripes", query(NORTH), depth=1)) == ["apple", "zebra"]


def test_vectors_may_still_be_on_their_way(library: Store, query: Windows) -> None:
    asked = query(NORTH)
    assert library.candidates("stripes", lambda: asked, depth=1) == library.candidates("stripes", asked, depth=1)
    assert library.candidates("stripes", lambda: None, depth=5) == library.candidates("stripes", None, depth=5)


def test_without_vectors_the_text_alone_is_searched(library: Store) -> None:
    found = library.candidates("stripes", None, depth=5)
    assert names(found) == ["mango", "zebra"]
    assert [candidate.similarity for candidate in found] == [None, None]


def test_without_a_word_the_vectors_alone_are_searched(library: Store, query: Windows) -> None:
    found = library.candidates("", query(EAST), depth=5)
    assert [candidate.bm25 for candidate in found] == [None, None, None]


def test_no_window_at_all_searches_the_text_alone(library: Store) -> None:
    assert names(library.candidates("crisp", np.empty((0, 4), dtype=np.float32), depth=5)) == ["apple"]


def test_similarity_is_the_cosine(library: Store, query: Windows) -> None:
    found = by_name(library.candidates("", query(EAST), depth=5))
    assert found["zebra"].similarity == pytest.approx(1.0)
    assert found["mango"].similarity == pytest.approx(0.5**0.5)
    assert found["apple"].similarity == pytest.approx(0.0)


def test_similarity_is_that_of_the_nearest_window(library: Store, query: Windows) -> None:
    found = by_name(library.candidates("", query(UP, NORTH), depth=5))
    assert found["apple"].similarity == pytest.approx(1.0)
    assert found["zebra"].similarity == pytest.approx(0.0)


def test_a_skill_found_by_words_alone_still_has_its_similarity(library: Store, query: Windows) -> None:
    found = by_name(library.candidates("crisp", query(EAST), depth=1))
    assert found["apple"].bm25 is not None
    assert found["apple"].similarity == pytest.approx(0.0)


def test_a_better_text_match_has_a_higher_bm25(library: Store) -> None:
    found = by_name(library.candidates("zebra stripes", None, depth=5))
    assert found["zebra"].bm25 > found["mango"].bm25  # type: ignore[operator]


def test_a_word_that_occurs_twice_in_the_query_counts_twice(library: Store) -> None:
    (once,) = library.candidates("crisp", None, depth=1)
    (twice,) = library.candidates("crisp crisp", None, depth=1)
    assert twice.bm25 == pytest.approx(2 * once.bm25)  # type: ignore[operator]


def test_among_many_words_those_that_a_body_happens_to_hold_count_less(
    store: Store, generation: int, document: Make
) -> None:
    store.write_document(document("holds", vector=EAST, body="stripes"), generation)
    store.write_document(document("named-stripes", vector=EAST, body="crisp"), generation)
    store.write_document(document("unrelated", vector=EAST, body="plain"), generation)

    def share(text: str) -> float:
        found = by_name(store.candidates(text, None, depth=5))
        return found["holds"].bm25 / found["named-stripes"].bm25  # type: ignore[operator]

    assert share("stripes") > share("stripes " + " ".join(f"word{number}" for number in range(100)))


def test_depth_bounds_each_side(store: Store, generation: int, document: Make, query: Windows) -> None:
    for number in range(9):
        store.write_document(document(f"s{number}", vector=[1.0, number / 10, 0.0, 0.0], body="same"), generation)
    assert len(store.candidates("same", None, depth=3)) == 3
    assert names(store.candidates("", query(EAST), depth=3)) == ["s0", "s1", "s2"]


def test_a_depth_beyond_the_library_gives_all_of_it(library: Store, query: Windows) -> None:
    assert len(library.candidates("stripes", query(EAST), depth=1000)) == 3


def test_the_same_query_gives_the_same_candidates_when_all_are_tied(
    store: Store, generation: int, document: Make, query: Windows
) -> None:
    for number in range(20):
        store.write_document(document(f"s{number:02}", vector=EAST, body="same"), generation)
    first = store.candidates("same", query(EAST), depth=5)
    assert store.candidates("same", query(EAST), depth=5) == first


def test_a_vector_of_another_dimension_finds_by_text_alone(library: Store) -> None:
    found = library.candidates("crisp", np.ones((1, 3), dtype=np.float32) / 3**0.5, depth=5)
    assert names(found) == ["apple"]
    assert found[0].similarity is None


def test_a_category_narrows_both_sides(library: Store, query: Windows) -> None:
    assert names(library.candidates("stripes", query(EAST), depth=5, category="fruit")) == ["apple", "mango"]
    assert library.candidates("stripes", query(EAST), depth=5, category="nothing") == []


def test_depth_counts_within_the_category(library: Store, query: Windows) -> None:
    assert names(library.candidates("", query(EAST), depth=1, category="fruit")) == ["mango"]


# --- text is never syntax ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '" OR NEAR(',
        "*",
        "name:zebra",
        "{name description} : x",
        "^zebra",
        "a AND NOT (b",
        "NEAR(a b, 2)",
        "'; DROP TABLE skills; --",
        '"',
        '""""',
        "-",
        "+ - ( ) { } [ ] ^ ~ : * \\ / | & ! ?",
        "\x00",
        "\x00\x01\x02\x1b[31m\x7f",
        "nul\x00inside",
        "\ud800 lone surrogate \udfff",
        "😀 🎉",
        "_",
        "__ __",
        "½ ² ⅷ",
        "\u202e\u200b\ufeff",
        "e\u0301" * 50,
        "العربية हिन्दी ไทย",
        " ",
        "",
        "\n\t\r",
    ],
)
def test_hostile_text_is_only_words(library: Store, text: str) -> None:
    library.candidates(text, None, depth=5)


@pytest.mark.parametrize(
    "around",
    ['" OR NEAR( {}', "* {} *", "\x00{}\x00", "😀{}😀", "_ {} _", "NOT {}", "({}", "\ud800{}", "description:{}"],
)
def test_a_word_is_found_among_hostile_text(library: Store, around: str) -> None:
    assert "apple" in names(library.candidates(around.format("crisp"), None, depth=5))


def test_operators_of_the_query_language_do_not_operate(library: Store) -> None:
    assert names(library.candidates("crisp NOT apple", None, depth=5)) == ["apple"]


def test_a_query_of_thousands_of_words_is_answered(library: Store) -> None:
    text = "crisp " + " ".join(f"word{number}" for number in range(5000))
    assert names(library.candidates(text, None, depth=5)) == ["apple"]


def test_unspaced_scripts_match_within_a_sentence(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("one", body="数据库迁移工具"), generation)
    store.write_document(document("two", body="天气预报"), generation)
    assert names(store.candidates("迁移", None, depth=1)) == ["one"]


def test_accents_and_case_make_no_difference(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("one", body="Café RÉSUMÉ"), generation)
    assert names(store.candidates("cafe resume", None, depth=5)) == ["one"]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("café menü", unicodedata.normalize("NFD", "café")),
        (unicodedata.normalize("NFD", "café menü"), "café"),
        ("ｐｄｆ reader", "pdf"),
        ("pdf reader", "ＰＤＦ"),
        ("ﬁle ﬂow", "file"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        (unicodedata.normalize("NFD", "한국어 문서"), "한국어"),
    ],
)
def test_all_unicode_forms_of_a_word_are_one_word(
    store: Store, generation: int, document: Make, written: str, asked: str
) -> None:
    store.write_document(document("a", description="", body=written), generation)
    store.write_document(document("b", description="", body="something else"), generation)
    assert [each.skill_name for each in store.candidates(asked, None, depth=5)] == ["a"]
    assert all(term.documents == 1 for term in store.vocabulary(asked))


def test_inflected_words_match(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("one", body="migrating databases"), generation)
    assert names(store.candidates("migrate database", None, depth=5)) == ["one"]


@pytest.mark.parametrize("field", ["declared_name", "description", "body"])
def test_words_are_found_in_every_part_of_a_document(store: Store, generation: int, document: Make, field: str) -> None:
    store.write_document(document("one", **{field: "quetzal"}), generation)
    assert names(store.candidates("quetzal", None, depth=5)) == ["one"]


def test_terms_are_the_words_searched_for_in_order_and_repeated(store: Store) -> None:
    assert store.terms("Fix the Tests, fix") == ["fix", "tests", "fix"]


def test_stop_words_are_kept_when_there_is_nothing_else(store: Store) -> None:
    assert store.terms("what is the") == ["what", "is", "the"]


# --- following the index -------------------------------------------------------------------------------------


def test_a_removed_document_is_no_candidate(library: Store, query: Windows) -> None:
    library.remove_document(library.skill("zebra").id)
    assert names(library.candidates("stripes", query(EAST), depth=5)) == ["apple", "mango"]


def test_removed_documents_take_no_place_within_the_depth(
    store: Store, generation: int, document: Make, query: Windows
) -> None:
    for number in range(5):
        store.remove_document(store.write_document(document(f"gone {number}", body="same same same"), generation))
    store.write_document(document("here", vector=NORTHEAST, body="same"), generation)
    (found,) = store.candidates("same", query(EAST), depth=1)
    assert (found.skill_name, found.bm25 is not None) == ("here", True)


def test_a_changed_document_is_found_by_its_new_text_and_vector_only(
    library: Store, generation: int, document: Make, query: Windows
) -> None:
    library.candidates("", query(EAST), depth=5)
    library.write_document(document("zebra", vector=UP, body="spots", content_hash="new"), generation)
    found = by_name(library.candidates("spots", query(UP), depth=1))
    assert list(found) == ["zebra"]
    assert found["zebra"].similarity == pytest.approx(1.0)
    assert "zebra" not in names(library.candidates("stripes", None, depth=5))


def test_a_revived_document_is_found_again(library: Store, generation: int, document: Make, query: Windows) -> None:
    library.remove_document(library.skill("zebra").id)
    library.candidates("", query(EAST), depth=5)
    library.write_document(document("zebra", vector=EAST), generation)
    assert names(library.candidates("", query(EAST), depth=1)) == ["zebra"]


def test_a_store_follows_what_another_one_on_the_same_database_writes(
    library: Store, generation: int, document: Make, query: Windows, open_another: Callable[[], Store]
) -> None:
    reader = open_another()
    assert names(reader.candidates("", query(UP), depth=1)) != ["late"]
    library.write_document(document("late", vector=UP), generation)
    assert names(reader.candidates("", query(UP), depth=1)) == ["late"]
    library.remove_document(library.skill("late").id)
    assert "late" not in names(reader.candidates("late", query(UP), depth=5))


def test_a_store_follows_a_generation_that_another_one_publishes(
    library: Store, document: Make, open_another: Callable[[], Store]
) -> None:
    reader = open_another()
    reader.refresh()
    building = library.open_generation("model-b", 3, 1).generation
    library.write_document(document("zebra", vector=[0.0, 0.0, 1.0]), building)
    library.publish_generation(building)
    (found,) = reader.candidates("", np.array([[0, 0, 1]], dtype=np.float32), depth=5)
    assert (found.skill_name, found.similarity) == ("zebra", pytest.approx(1.0))


def test_the_live_generation_answers_while_the_next_is_built(library: Store, document: Make, query: Windows) -> None:
    building = library.open_generation("model-b", 4, 1).generation
    library.write_document(document("zebra", vector=UP), building)
    found = by_name(library.candidates("", query(EAST), depth=5))
    assert found["zebra"].similarity == pytest.approx(1.0)


def test_a_skill_without_a_vector_in_the_live_generation_is_found_by_its_words(
    library: Store, document: Make, query: Windows
) -> None:
    building = library.open_generation("model-b", 4, 1).generation
    library.write_document(document("fresh", body="quetzal"), building)
    found = by_name(library.candidates("quetzal", query(EAST), depth=1))
    assert found["fresh"].similarity is None


@pytest.mark.parametrize("seed", range(3))
def test_similarities_stay_right_through_many_changes(
    store: Store,
    generation: int,
    document: Make,
    query: Windows,
    open_another: Callable[[], Store],
    seed: int,
) -> None:
    follower = open_another()
    random = np.random.default_rng(seed)
    expected: dict[str, Any] = {}
    for step in range(60):
        name = f"s{random.integers(12)}"
        if name in expected and random.random() < 0.4:
            store.remove_document(store.skill(name).id)
            del expected[name]
        else:
            written = document(name, vector=random.normal(size=4).tolist())
            store.write_document(written, generation)
            expected[name] = written.vector
        if step % 7 == 0:
            follower.refresh()
    (asked,) = query(random.normal(size=4).tolist())
    wanted = {name: pytest.approx(float(vector @ asked), abs=1e-6) for name, vector in expected.items()}
    for each in (store, follower):
        found = each.candidates("", asked[None, :], depth=50)
        assert {candidate.skill_name: candidate.similarity for candidate in found} == wanted


def test_searches_see_one_whole_generation_while_others_are_published(
    store: Store, generation: int, document: Make, query: Windows, open_another: Callable[[], Store]
) -> None:
    directions = [EAST, NORTH]
    for name in ("a", "b", "c"):
        store.write_document(document(name, vector=EAST), generation)
    seen: list[tuple[float, ...]] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def search(reader: Store) -> None:
        try:
            while not done.is_set():
                found = reader.candidates("", query(EAST), depth=5)
                seen.append(tuple(round(candidate.similarity or 0.0, 3) for candidate in found))
        except BaseException as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    readers = [threading.Thread(target=search, args=(each,)) for each in (store, store, open_another())]
    for reader in readers:
        reader.start()
    for turn in range(1, 8):
        building = store.open_generation(f"model {turn}", 4, 1).generation
        for name in ("a", "b", "c"):
            store.write_document(document(name, vector=directions[turn % 2]), building)
        store.publish_generation(building)
    done.set()
    for reader in readers:
        reader.join(30)
    assert failures == []
    assert set(seen) <= {(1.0, 1.0, 1.0), (0.0, 0.0, 0.0)}
    assert seen


# --- chunks --------------------------------------------------------------------------------------------------


@pytest.fixture
def chunked(library: Store, generation: int, document: Make, query: Windows) -> Store:
    """Zebra has two chunks, apple one, mango none."""
    library.write_document(document("zebra", vector=EAST, chunk_vectors=query(NORTH, NORTHEAST)), generation)
    library.write_document(document("apple", vector=NORTH, chunk_vectors=query(UP)), generation)
    return library


def chunks_of(store: Store, asked: np.ndarray, *skill_names: str) -> dict[str, list[float]]:
    wanted = {store.skill(name).id: name for name in skill_names}
    found = store.chunk_similarities(list(wanted), asked)
    assert all(cosines.dtype == np.float32 for cosines in found.values())
    return {wanted[skill_id]: pytest.approx(cosines.tolist(), abs=1e-3) for skill_id, cosines in found.items()}


def test_chunk_similarities_are_the_cosines_of_each_chunk_in_order(chunked: Store, query: Windows) -> None:
    found = chunks_of(chunked, query(NORTH), "apple", "mango", "zebra")
    assert found == {"zebra": [1.0, 0.5**0.5], "apple": [0.0]}


def test_chunk_similarities_are_those_of_the_nearest_window(chunked: Store, query: Windows) -> None:
    assert chunks_of(chunked, query(UP, EAST), "zebra", "apple") == {"zebra": [0.0, 0.5**0.5], "apple": [1.0]}


def test_chunk_similarities_are_given_for_the_skills_asked_about_only(chunked: Store, query: Windows) -> None:
    assert list(chunks_of(chunked, query(NORTH), "apple")) == ["apple"]
    assert chunked.chunk_similarities([], query(NORTH)) == {}
    assert chunked.chunk_similarities([999], query(NORTH)) == {}


def test_a_query_without_windows_or_of_another_model_is_near_no_chunk(chunked: Store) -> None:
    wanted = [chunked.skill("zebra").id]
    assert chunked.chunk_similarities(wanted, np.empty((0, 4), dtype=np.float32)) == {}
    assert chunked.chunk_similarities(wanted, np.ones((1, 3), dtype=np.float32)) == {}
    # Half as long, so that the bytes of two chunks would pass for four.
    assert chunked.chunk_similarities(wanted, np.ones((1, 2), dtype=np.float32)) == {}


@pytest.mark.parametrize("seed", range(3))
def test_chunks_are_stored_exactly_to_a_thousandth(
    store: Store, generation: int, document: Make, query: Windows, seed: int
) -> None:
    random = np.random.default_rng(seed)
    vectors, asked = (query(*random.normal(size=(count, 4)).tolist()) for count in (9, 3))
    skill_id = store.write_document(document("one", chunk_vectors=vectors), generation)
    found = store.chunk_similarities([skill_id], asked)[skill_id]
    assert found == pytest.approx((vectors @ asked.T).max(axis=1), abs=1e-3)
    assert np.abs(found).max() <= 1.0


def test_a_changed_document_has_its_new_chunks_only(
    chunked: Store, generation: int, document: Make, query: Windows
) -> None:
    chunked.write_document(document("zebra", chunk_vectors=query(UP), content_hash="new"), generation)
    chunked.write_document(document("apple", chunk_vectors=None, content_hash="new"), generation)
    assert chunks_of(chunked, query(UP), "zebra", "apple") == {"zebra": [1.0]}
    chunked.write_document(document("zebra", chunk_vectors=query(UP)[:0], content_hash="newer"), generation)
    assert chunks_of(chunked, query(UP), "zebra") == {}


def test_a_removed_document_has_no_chunks_also_when_it_comes_back_without(
    chunked: Store, generation: int, document: Make, query: Windows
) -> None:
    chunked.remove_document(chunked.skill("zebra").id)
    assert chunks_of(chunked, query(NORTH), "zebra") == {}
    chunked.write_document(document("zebra"), generation)
    assert chunks_of(chunked, query(NORTH), "zebra") == {}
    assert chunked.check() == []


def test_chunks_are_those_of_the_generation_that_is_served(chunked: Store, document: Make, query: Windows) -> None:
    building = chunked.open_generation("model-b", 4, 1).generation
    chunked.write_document(document("zebra", chunk_vectors=query(UP)), building)
    chunked.write_document(document("mango", chunk_vectors=query(UP)), building)
    assert chunks_of(chunked, query(UP), "zebra", "mango") == {"zebra": [0.0, 0.0]}
    chunked.publish_generation(building)
    assert chunks_of(chunked, query(UP), "zebra", "mango", "apple") == {"zebra": [1.0], "mango": [1.0]}
    assert chunked.check() == []


def test_a_generation_that_is_given_up_leaves_no_chunks(chunked: Store, document: Make, query: Windows) -> None:
    building = chunked.open_generation("model-b", 4, 1).generation
    chunked.write_document(document("mango", chunk_vectors=query(UP)), building)
    chunked.open_generation("model-a", 4, 1)
    assert chunks_of(chunked, query(UP), "mango") == {}
    assert chunked.check() == []


def test_chunks_of_another_dimension_are_refused_and_nothing_is_written(
    store: Store, generation: int, document: Make
) -> None:
    for shape in ((2, 3), (4,), (1, 2, 4)):
        with pytest.raises(InvalidRecord) as refused:
            store.write_document(document("one", chunk_vectors=np.ones(shape, dtype=np.float32)), generation)
        assert refused.value.field == "chunk_vectors"
    assert store.counts() == (0, 0)


# --- similar skills ------------------------------------------------------------------------------------------


def test_similar_skills_come_nearest_first_without_the_skill_itself(library: Store) -> None:
    found = library.similar("zebra", limit=5)
    assert names(found) == ["mango", "apple"]
    assert [candidate.similarity for candidate in found] == [pytest.approx(0.5**0.5), pytest.approx(0.0)]


def test_similar_skills_that_are_tied_come_by_name(store: Store, generation: int, document: Make) -> None:
    for name in ("one", "c", "a", "b"):
        store.write_document(document(name, vector=EAST), generation)
    assert names(store.similar("one", limit=5)) == ["a", "b", "c"]


def test_similar_skills_are_bounded_by_the_limit(library: Store) -> None:
    assert names(library.similar("zebra", limit=1)) == ["mango"]


def test_a_skill_without_a_vector_has_no_similar_ones(library: Store) -> None:
    library.remove_document(library.skill("zebra").id)
    assert library.similar("zebra", limit=5) == []


def test_similar_to_an_unknown_skill_is_not_found(library: Store) -> None:
    with pytest.raises(NotFound):
        library.similar("nobody", limit=5)


# --- which documents are alike -------------------------------------------------------------------------------

SAME = "read the log of the failed run then rerun it alone and look for shared state and for the order of tests"


@pytest.fixture
def copies(store: Store, generation: int, document: Make) -> Store:
    """Two near-identical documents, one with the same words about something else, and one of other words nearby."""
    for name, vector, text in (
        ("one", EAST, SAME),
        ("two", [1.0, 0.1, 0.0, 0.0], SAME + " today"),
        ("template", NORTH, SAME),
        ("near", [1.0, 0.2, 0.0, 0.0], "quite another way of doing what is wanted there"),
    ):
        chunk = Chunk(ordinal=1, kind="body", heading="", text=text, span_start=0, span_end=len(text))
        store.write_document(document(name, vector=vector, body=text, chunks=[chunk]), generation)
    return store


def test_near_duplicates_share_their_words_and_their_meaning(copies: Store) -> None:
    ids = {name: copies.skill(name).id for name in ("one", "two", "template", "near")}
    assert copies.near_duplicates(list(ids.values())) == [[ids["one"], ids["two"]]]
    assert copies.near_duplicates([ids["two"], ids["near"], ids["one"]]) == [[ids["two"], ids["one"]]]
    assert copies.near_duplicates([ids["one"], 999]) == []
    assert copies.near_duplicates([]) == []


def test_a_document_that_changed_is_compared_again(copies: Store, generation: int, document: Make) -> None:
    ids = [copies.skill(name).id for name in ("one", "two", "near")]
    assert copies.near_duplicates(ids) == [ids[:2]]
    chunk = Chunk(ordinal=1, kind="body", heading="", text=SAME, span_start=0, span_end=len(SAME))
    copies.write_document(document("near", vector=[1.0, 0.2, 0.0, 0.0], chunks=[chunk], content_hash="n"), generation)
    assert copies.near_duplicates(ids) == [ids]
    copies.remove_document(ids[0])
    assert copies.near_duplicates(ids) == [ids[1:]]


def test_the_resemblance_of_two_documents_is_the_share_of_common_shingles(copies: Store) -> None:
    words = len(SAME.split())
    assert copies.resemblance("one", "two") == pytest.approx((words - 4) / (words - 3))
    assert copies.resemblance("one", "near") == 0.0
    assert copies.resemblance("one", "template") is None  # too far apart to be looked at
    with pytest.raises(NotFound):
        copies.resemblance("one", "nobody")


def test_the_closest_pairs_come_nearest_first_each_once(copies: Store) -> None:
    pairs = copies.closest_pairs(least=0.9, limit=10)
    assert [pair[:2] for pair in pairs] == [("one", "two"), ("near", "two"), ("near", "one")] or [
        pair[:2] for pair in pairs
    ] == [("near", "two"), ("one", "two"), ("near", "one")]
    assert [cosine for *_, cosine in pairs] == sorted((cosine for *_, cosine in pairs), reverse=True)
    assert copies.closest_pairs(least=0.9, limit=1) == pairs[:1]
    assert {pair[:2] for pair in copies.closest_pairs(least=0.9, limit=9, skill_name="one")} == {
        ("one", "two"),
        ("near", "one"),
    }
    with pytest.raises(NotFound):
        copies.closest_pairs(least=0.9, limit=9, skill_name="nobody")


def test_words_have_their_stem_in_the_index_and_their_number_of_documents(copies: Store) -> None:
    told = copies.vocabulary("Failed RUNS and zebras")
    assert [(term.word, term.stem, term.documents) for term in told] == [
        ("failed", "fail", 3),
        ("runs", "run", 3),
        ("zebras", "zebra", 0),
    ]


# --- mistyped words ------------------------------------------------------------------------------------------


@pytest.fixture
def spelled(store: Store, generation: int, document: Make) -> Store:
    """Every word stands in two documents, but for `singular`."""
    body = "Database and invoices, migration of tables; kubernetes containers. 数据库迁移 Größe übersetzen. "
    # Near to words that are right.
    body += "posters perfect patients played broad later state strip string unit large landing test tests development"
    store.write_document(document("one", body=body + " singular"), generation)
    store.write_document(document("two", body=body), generation)
    return store


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("databse", "database"),
        ("databsae", "database"),
        ("invocies", "invoices"),
        ("invoicess", "invoices"),
        ("migratoin", "migration"),
        ("kubrnets", "kubernetes"),
        ("containrs", "containers"),
        ("übersetzn", "übersetzen"),
        ("tabls", "tables"),
        ("singulra", "singular"),  # in one document only
        ("tset", "test"),  # of four letters, only two that changed places
        ("tsets", "tests"),
        ("lnding", "landing"),
        ("developement", "development"),  # the index holds its stem
    ],
)
def test_a_mistyped_word_is_taken_for_the_nearest_known_one(spelled: Store, typed: str, meant: str) -> None:
    assert spelled.corrections(f"what to do with {typed}, please") == {typed: meant}


@pytest.mark.parametrize(
    "text",
    [
        "databases database invoice migrating",  # known, inflected
        "tesk tabl",  # one letter wrong, but which short word is meant?
        "atabase",  # the first letter
        "Databse DATABSE",  # names are what they are
        "run `databse` or ```\ndatabse invocies\n``` now",
        "see src/databse/invocies.py and databse_url or user@databse.org, databse-pool",
        "databse2 invocies99",
        "wie werden Rechnungen in eine Tabelle geschrieben, und warum fehlen manche Spalten darin",
        "comment convertir des factures scannées en tableau exploitable",
        "数据库",
        "databse invocies migratoin containrs kubrnets unknowable jabberwock slithy toves mimsy",  # mostly unknown
        "postgres invoices patent plaid prefect bread latex stata stripe spring unity test",  # words and names
        "lange Abfrage, une base de données",  # other languages
        "postures prefixes strings units lathe stats strips springs",
        "specialised cofounder codebase",  # British, with a prefix, put together
        "landings subagents tablet",  # another ending
        "",
    ],
)
def test_what_is_known_or_no_plain_word_stays_as_it_is(spelled: Store, text: str) -> None:
    assert spelled.corrections(text) == {}


def test_corrections_follow_the_index(spelled: Store, generation: int, document: Make) -> None:
    assert spelled.corrections("zebrs stripes invoices") == {}
    for name in ("three", "four"):
        spelled.write_document(document(name, body="zebras have stripes"), generation)
    assert spelled.corrections("zebars stripes invoices") == {"zebars": "zebras"}


def test_a_query_of_thousands_of_words_is_corrected_in_a_few_places_at_most(spelled: Store) -> None:
    text = "databases invoices migration " * 700 + "databse invocies"
    assert spelled.corrections(text) == {"databse": "database", "invocies": "invoices"}
