"""What a document's first chunks do to the order of an answer, and where they say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indexer.chunks import CHUNKS_SCHEMA
from indexer.run import run_index
from service.ranking.blend import DEFAULT_WEIGHTS
from service.search.answers import RankedSkill, SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.search.queries import windows
from store.contract.retrieval import Candidate
from store.protocol import Store
from store.sqlite import open_store

# Longer than what the document's own vector is made of, and than a chunk.
FILLER = "Fold the corner to the middle and press the edge flat. " * 24
SHARED = "# Paper\n\n" + FILLER + "\n\n## Then\n\n"
PLAIN = "Put the sheet away, wash your hands, and tell the others that the work is done for today. " * 4
OPENS = "Rotate the database credentials, revoke the leaked token and restart every worker. " * 4
QUERY = "rotate leaked database credentials"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two skills whose whole documents read alike; the last chunk of one answers the query."""
    for name, rest in (("a-crane", PLAIN), ("b-crane", OPENS)):
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        text = f"---\nname: {name}\ndescription: Folds a crane.\n---\n{SHARED}{rest}\n"
        (folder / "SKILL.md").write_text(text, encoding="utf-8")
    return tmp_path / "skills"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "index.db")
    yield opened
    opened.close()


@pytest.fixture
def encoders(tmp_path: Path) -> Encoders:
    return Encoders("hashing", tmp_path / "models")


@pytest.fixture
def searching(store: Store, library: Path, encoders: Encoders) -> SkillSearch:
    run_index(store, encoders, [library])
    return SkillSearch(store, encoders)


def ask(searching: SkillSearch, query: str = QUERY) -> dict[str, RankedSkill]:
    found = searching.answer(SearchRequest(query=query, group=False)).results
    return {each.skill_name: each for each in found}


def test_a_skill_whose_later_chunk_answers_is_nearer(searching: SkillSearch) -> None:
    found = ask(searching)
    one, other = (found[name].components for name in ("a-crane", "b-crane"))
    assert one.similarity == pytest.approx(other.similarity, abs=0.05)
    assert one.chunk_similarity is not None
    assert other.chunk_similarity is not None
    assert other.chunk_similarity > one.chunk_similarity + 0.3
    # Words alone would tell them apart too; without any, `lexical` 0, the chunk does.
    order = searching.order(SearchRequest(query=QUERY, group=False), DEFAULT_WEIGHTS, lexical=0.0)
    assert order == ["b-crane", "a-crane"] == list(found)


def test_the_chunk_that_answers_is_shown_and_its_cosine_is_kept(searching: SkillSearch, store: Store) -> None:
    answer = searching.answer(SearchRequest(query=QUERY, group=False))
    first = answer.results[0]
    assert first.passage is not None
    assert "credentials" in first.passage.text
    assert store.search(answer.search_id).results[0].components["chunk_similarity"] == first.components.chunk_similarity


def test_confidence_is_read_off_the_whole_document(searching: SkillSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Candidate] = []

    def judge(candidates: Sequence[Candidate], _: object) -> str:
        seen.extend(candidates)
        return "low"

    monkeypatch.setattr("service.search.engine.judge_confidence", judge)
    found = ask(searching)
    assert {each.skill_name: each.similarity for each in seen} == {
        name: each.components.similarity for name, each in found.items()
    }


def test_a_query_of_several_windows_is_as_near_as_its_nearest(searching: SkillSearch) -> None:
    page = "press the edge flat " * 60
    assert len(windows(page + QUERY)) > 1
    without, within = (ask(searching, each)["b-crane"].components for each in (page, page + QUERY))
    assert without.chunk_similarity is not None
    assert within.chunk_similarity is not None
    assert within.chunk_similarity >= without.chunk_similarity


def test_words_alone_are_searched_without_any_chunk(searching: SkillSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoders, "for_model", lambda *_: (None, "its export is gone"))
    found = ask(searching)
    assert list(found) == ["b-crane"]
    assert {each.components.chunk_similarity for each in found.values()} == {None}
    assert {each.components.similarity for each in found.values()} == {None}


def test_an_index_without_chunks_is_served_while_one_with_them_is_built(
    store: Store, library: Path, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("indexer.run.CHUNKS_SCHEMA", CHUNKS_SCHEMA - 1)
        before.setattr("indexer.run.chunk_texts", lambda *_: [])
        run_index(store, encoders, [library])
    searching = SkillSearch(store, encoders)
    served = ask(searching)
    assert {each.components.chunk_similarity for each in served.values()} == {None}
    building = store.open_generation(encoders.model_id, encoders.load().dimension, CHUNKS_SCHEMA)
    assert building.status == "building"
    assert {name: each.components for name, each in ask(searching).items()} == {
        name: each.components for name, each in served.items()
    }
    run_index(store, encoders, [library])
    assert all(each.components.chunk_similarity is not None for each in ask(searching).values())
