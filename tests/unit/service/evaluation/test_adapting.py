"""From an index and a file of queries to what an adapter is trained on, and the command that does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from embeddings.training import Recipe, TrainingDocument, held_out_ids
from indexer.run import run_index
from service.cli.main import app
from service.evaluation.adapting import NothingToLearn, training_documents
from service.evaluation.held_out import held_out_queries
from service.evaluation.judgements import SERVES, JudgedQuery
from service.search.encoders import Encoders
from store.sqlite import open_store

SKILLS = {
    "fix-types": "Mend mypy type errors in Python code, one cause at a time.",
    "plan-dinners": "Plan meals for a week and write the shopping list.",
    "tune-queries": "Make slow SQL database queries fast with indexes.",
    "grow-orchids": "Keep orchids alive on a window sill in winter.",
    "count-birds": "Count the birds in a photograph and name them.",
}

pytestmark = pytest.mark.usefixtures("exports_here")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with five skills, indexed without a model."""
    for name, says in SKILLS.items():
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        text = (
            f"---\nname: {name}\ndescription: {says}\n---\n# How\n\nFirst look at what is there, then {says.lower()}\n"
        )
        (folder / "SKILL.md").write_text(text, encoding="utf-8")
    data = tmp_path / "data"
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(data))
    monkeypatch.setenv("SKILLRANK_MODEL", "hashing")
    data.mkdir()
    store = open_store(data / "skillrank.db")
    run_index(store, Encoders("hashing", data / "models"), [tmp_path / "skills"])
    store.close()
    return data


def judged(query: str, names: list[str]) -> JudgedQuery:
    return JudgedQuery(query, dict.fromkeys(names, SERVES), "short")


def test_a_query_is_asked_of_the_first_relevant_skill_that_is_indexed(data: Path) -> None:
    queries = [
        judged("mypy complains", ["unknown", "fix-types"]),
        judged("types are wrong", ["fix-types", "tune-queries"]),
        judged("who knows", ["unknown"]),
    ]
    store = open_store(data / "skillrank.db")
    [found], unknown = training_documents(store, queries)
    store.close()
    assert unknown == 1
    assert (found.id, found.queries) == ("fix-types", ("mypy complains", "types are wrong"))
    assert found.text.startswith("fix types. Mend mypy")


def test_without_queries_the_documents_ask_for_themselves(data: Path) -> None:
    store = open_store(data / "skillrank.db")
    found, _ = training_documents(store, None)
    store.close()
    assert {document.id for document in found} == set(SKILLS)
    assert "Plan meals for a week and write the shopping list." in {text for each in found for text in each.queries}


def test_an_empty_index_teaches_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "skillrank.db")
    with pytest.raises(NothingToLearn, match="skillrank index"):
        training_documents(store, None)
    store.close()


def test_queries_about_other_skills_teach_nothing(data: Path) -> None:
    store = open_store(data / "skillrank.db")
    with pytest.raises(NothingToLearn, match="no query names an indexed skill"):
        training_documents(store, [judged("anything", ["unknown"])])
    store.close()


@pytest.mark.usefixtures("data")
def test_the_command_trains_and_says_how_to_use_what_it_made(tmp_path: Path) -> None:
    queries = tmp_path / "asked.jsonl"
    queries.write_text(
        "".join(json.dumps({"query": f"about {name}", "expected": [name]}) + "\n" for name in [*SKILLS, "gone"]),
        encoding="utf-8",
    )
    arguments = ["train-adapter", str(tmp_path / "mine"), "--queries", str(queries), "--epochs", "1", "--seed", "7"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scale.json").write_text("of earlier weights")
    run = CliRunner().invoke(app, [*arguments, "--json"])
    assert run.exit_code == 0, run.output
    record = json.loads(run.stdout)
    assert (record["texts"], record["queries"], record["complete"]) == (5, 5, True)
    assert (record["recipe"]["epochs"], record["recipe"]["seed"]) == (1, 7)
    assert set(record["files_sha256"]) == {"queries"}
    assert "1 query was left out" in run.stderr
    told = CliRunner().invoke(app, arguments)
    assert f"--model all-MiniLM-L6-v2+{tmp_path / 'mine'}" in told.stdout.replace("\n", "")
    assert record["scale"] is None
    assert not (tmp_path / "mine" / "scale.json").exists()
    assert "0 queries were held out, at least 40 are needed" in " ".join(told.stdout.split())


def test_what_was_held_out_is_asked_of_all_that_serve_it_and_what_was_learnt_is_not() -> None:
    recipe = Recipe(held_out=0.5)
    ids = [f"skill-{number}" for number in range(40)]
    held = held_out_ids(set(ids), recipe)
    documents = [TrainingDocument(id=name, text=name, queries=(f"do {name}", "do anything")) for name in ids]
    queries = [judged(f"do {name}", [name, "another"]) for name in ids]
    found = held_out_queries(documents, queries, recipe)
    assert found == {f"do {name}": {name, "another"} for name in held}
    assert held_out_queries(documents, None, recipe) == {f"do {name}": {name} for name in held}


THINGS = ["violins", "glaciers", "tax returns", "mypy errors", "SQL indexes", "orchids", "sourdough", "chess openings"]
DOINGS = {
    "repair": ["mend broken {}", "my {} do not work any more", "make {} whole again", "what to do with damaged {}"],
    "count": ["how many {} are there", "number of {} in a list", "tally up {}", "statistics about {}"],
    "photograph": ["pictures of {}", "take a good photo of {}", "camera settings for {}", "images showing {}"],
}


@pytest.mark.usefixtures("data")
def test_a_trained_adapter_says_how_sure_it_is_wherever_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []
    for doing, wordings in DOINGS.items():
        for thing in THINGS:
            name = f"{doing}-{thing.replace(' ', '-').lower()}"
            folder = tmp_path / "more" / name
            folder.mkdir(parents=True)
            (folder / "SKILL.md").write_text(
                f"---\nname: {name}\ndescription: {doing.title()} {thing}, step by step.\n---\n# How to {doing}\n"
            )
            lines += [json.dumps({"query": each.format(thing), "expected": [name]}) for each in wordings]
    queries = tmp_path / "asked.jsonl"
    queries.write_text("\n".join(lines))

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    run("index", str(tmp_path / "more"))
    mine = tmp_path / "mine"
    told = run("train-adapter", str(mine), "--queries", str(queries), "--epochs", "1", "--held-out", "0.5")["scale"]
    assert told["queries"] >= 40
    assert told == json.loads((mine / "scale.json").read_text())

    monkeypatch.setenv("SKILLRANK_MODEL", f"all-MiniLM-L6-v2+{mine}")
    run("index")
    assert run("search", "my violins do not work any more")["confidence"] in {"medium", "high"}
    # Whoever has only the export reads the same scale.
    mine.rename(tmp_path / "moved")
    monkeypatch.setenv("SKILLRANK_MODEL", "hashing")
    assert run("search", "qwrtz plmkn")["confidence"] == "none"
    [exported] = (tmp_path / "data" / "models").glob("*+mine@*/scale.json")
    exported.write_text("{}")
    answer = run("search", "my violins do not work any more")
    assert answer["confidence"] == "medium"
    assert "scale.json" in answer["degraded"][0]
