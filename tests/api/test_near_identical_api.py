"""Copies of one skill take one position of an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from indexer.run import run_index
from service.app import create_app
from service.search.encoders import Encoders
from service.settings import Settings
from store.sqlite import open_store

Client = TestClient[Any]
STEPS = "Read the log of each failed run. Rerun the failed test alone a hundred times. Look for shared state, for time "
STEPS += "and for order. Write down what you saw before you change anything at all in the code or in the tests."
QUERY = "find out why tests fail at random"
COPIES = {"flaky-tests", "mirror:flaky-tests", "flaky-test-finder"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Three near-identical skills in two collections, and two others."""
    library = {
        "main/flaky-tests": ("flaky-tests", "Find why tests fail at random", STEPS),
        "mirror/flaky-tests": ("flaky-tests", "Find why tests fail at random", STEPS + " Then rest."),
        "mirror/flaky-test-finder": ("flaky-test-finder", "Find why tests fail at random", STEPS + " Tell the team."),
        "main/quarantine": ("quarantine", "Keep a list of tests that fail", "Mark them and go on."),
        "main/plan-dinners": ("plan-dinners", "Plan meals for a week", "Cook, and eat at random times."),
    }
    for place, (name, says, body) in library.items():
        (tmp_path / place).mkdir(parents=True)
        text = f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n\n{body}\n"
        (tmp_path / place / "SKILL.md").write_text(text, encoding="utf-8")
    settings = Settings(data_dir=tmp_path / "data", model="hashing")
    store = open_store(settings.database)
    run_index(store, Encoders(settings.model, settings.models_dir), [tmp_path / "main", tmp_path / "mirror"])
    store.close()
    with TestClient(create_app(settings)) as ready:
        yield ready


def ask(client: Client, **more: object) -> dict[str, Any]:
    answer = client.post("/api/search", json={"query": QUERY, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def use(client: Client, skill: str, outcome: str, **more: object) -> None:
    started = client.post("/api/invocations", json={"skill_name": skill, **more}).json()["id"]
    body = {"outcome": outcome, "duration_seconds": 5}
    assert client.post(f"/api/invocations/{started}/complete", json=body).status_code == 200


def test_copies_take_one_position_that_names_the_others(client: Client) -> None:
    results = ask(client)["results"]
    first = results[0]
    assert {first["skill_name"], *first["near_identical"]} == COPIES
    assert "one of 3 near-identical skills" in first["reasons"]
    assert [r["skill_name"] for r in results[1:]] == ["quarantine", "plan-dinners"]
    assert [r["position"] for r in results] == [1, 2, 3]


def test_the_limit_counts_groups(client: Client) -> None:
    first, second = ask(client, limit=2)["results"]
    assert len(first["near_identical"]) == 2
    assert second["skill_name"] == "quarantine"


def test_without_grouping_every_skill_has_its_own_position(client: Client) -> None:
    answer = ask(client, group=False)
    assert {r["skill_name"] for r in answer["results"][:3]} == COPIES
    assert all(r["near_identical"] == [] for r in answer["results"])
    assert client.get(f"/api/search/{answer['search_id']}").json()["filters"]["group"] is False


def test_the_copy_that_works_stands_for_the_group(client: Client) -> None:
    shown = ask(client)["results"][0]["skill_name"]
    better = min(COPIES - {shown})
    for number in range(6):
        use(client, shown, "failed", user_id=f"u{number}")
        use(client, better, "completed", user_id=f"u{number}")
    first = ask(client)["results"][0]
    assert first["skill_name"] == better
    assert first["near_identical"][-1] == shown


def test_the_served_list_is_the_logged_list(client: Client) -> None:
    answer = ask(client)
    served = client.get(f"/api/search/{answer['search_id']}").json()["results"]
    assert [line["skill_name"] for line in served] == [r["skill_name"] for r in answer["results"]]
    assert served[0]["components"]["near_identical"] == answer["results"][0]["near_identical"]
    assert sum(line["components"]["propensity"] for line in served) == pytest.approx(1.0)


def test_similar_skills_say_which_are_near_identical(client: Client) -> None:
    found = client.get("/api/skills/flaky-tests/similar").json()
    assert {each["skill_name"] for each in found if each["near_identical"]} == COPIES - {"flaky-tests"}
    assert "quarantine" in {each["skill_name"] for each in found}


def test_a_changed_document_leaves_its_group(client: Client, tmp_path: Path) -> None:
    ask(client)
    path = tmp_path / "mirror/flaky-tests/SKILL.md"
    path.write_text("---\nname: flaky-tests\ndescription: Find why tests fail at random\n---\nCall a friend.\n")
    job = client.post("/api/index").json()["id"]
    while client.get(f"/api/index/jobs/{job}").json()["status"] == "running":
        time.sleep(0.02)
    results = ask(client)["results"]
    first = next(r for r in results if r["near_identical"])
    assert {first["skill_name"], *first["near_identical"]} == COPIES - {"mirror:flaky-tests"}
