"""From an index and a file of questions to what an adapter is trained on, and the command that does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indexer.run import run_index
from service.adapting import NothingToLearn, training_documents
from service.cli.main import app
from service.encoders import Encoders
from service.judgements import SERVES, JudgedQuestion
from store.sqlite import open_store

SKILLS = {
    "fix-types": "Mend mypy type errors in Python code, one cause at a time.",
    "plan-dinners": "Plan meals for a week and write the shopping list.",
    "tune-queries": "Make slow SQL database queries fast with indexes.",
    "grow-orchids": "Keep orchids alive on a window sill in winter.",
    "count-birds": "Count the birds in a photograph and name them.",
}


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


def judged(question: str, names: list[str]) -> JudgedQuestion:
    return JudgedQuestion(question, dict.fromkeys(names, SERVES), "short")


def test_a_question_is_asked_of_the_first_relevant_skill_that_is_indexed(data: Path) -> None:
    questions = [
        judged("mypy complains", ["unknown", "fix-types"]),
        judged("types are wrong", ["fix-types", "tune-queries"]),
        judged("who knows", ["unknown"]),
    ]
    store = open_store(data / "skillrank.db")
    [found], unknown = training_documents(store, questions)
    store.close()
    assert unknown == 1
    assert (found.id, found.questions) == ("fix-types", ("mypy complains", "types are wrong"))
    assert found.text.startswith("fix types. Mend mypy")


def test_without_questions_the_documents_ask_for_themselves(data: Path) -> None:
    store = open_store(data / "skillrank.db")
    found, _ = training_documents(store, None)
    store.close()
    assert {document.id for document in found} == set(SKILLS)
    assert "Plan meals for a week and write the shopping list." in {text for each in found for text in each.questions}


def test_an_empty_index_teaches_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "skillrank.db")
    with pytest.raises(NothingToLearn, match="skillrank index"):
        training_documents(store, None)
    store.close()


def test_questions_about_other_skills_teach_nothing(data: Path) -> None:
    store = open_store(data / "skillrank.db")
    with pytest.raises(NothingToLearn, match="no question names an indexed skill"):
        training_documents(store, [judged("anything", ["unknown"])])
    store.close()


@pytest.mark.usefixtures("data")
def test_the_command_trains_and_says_how_to_use_what_it_made(tmp_path: Path) -> None:
    questions = tmp_path / "asked.jsonl"
    questions.write_text(
        "".join(json.dumps({"question": f"about {name}", "expected": [name]}) + "\n" for name in [*SKILLS, "gone"]),
        encoding="utf-8",
    )
    arguments = ["train-adapter", str(tmp_path / "mine"), "--questions", str(questions), "--epochs", "1", "--seed", "7"]
    run = CliRunner().invoke(app, [*arguments, "--json"])
    assert run.exit_code == 0, run.output
    record = json.loads(run.stdout)
    assert (record["texts"], record["questions"], record["complete"]) == (5, 5, True)
    assert (record["recipe"]["epochs"], record["recipe"]["seed"]) == (1, 7)
    assert set(record["files_sha256"]) == {"questions"}
    assert "1 questions name no skill" in run.stderr
    told = CliRunner().invoke(app, arguments)
    assert f"--model all-MiniLM-L6-v2+{tmp_path / 'mine'}" in told.stdout.replace("\n", "")
