"""Skills that compete for the same queries."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient

Client = TestClient[Any]
PAIR = ["index-advisor", "tune-queries"]


def overlaps(client: Client, **more: object) -> list[dict[str, Any]]:
    answer = client.get("/api/overlaps", params=more)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def choose(client: Client, skill: str, outcome: str) -> None:
    search_id = client.post("/api/search", json={"query": "slow SQL database queries"}).json()["search_id"]
    use = client.post("/api/invocations", json={"skill_name": skill, "search_id": search_id}).json()["id"]
    client.post(f"/api/invocations/{use}/complete", json={"outcome": outcome})


def test_competing_skills_are_listed_with_their_shared_words(client: Client) -> None:
    assert overlaps(client) == []
    for _ in range(5):
        choose(client, "tune-queries", "completed")
    choose(client, "index-advisor", "failed")
    first = overlaps(client)[0]
    assert [first["first"], first["second"]] == PAIR
    contest = first["contest"]
    assert (contest["searches"], contest["first_taken"], contest["second_taken"]) == (6, 1, 5)
    assert (contest["first_completed"], contest["second_completed"]) == (0, 5)
    assert "slow sql database queries fast" in first["shared_phrases"]
    assert {"sql", "database"} <= {term["word"].lower() for term in first["shared_terms"]}
    assert "missing" in first["only_first"]
    assert "tune-queries was taken 5 times of 6. It takes the traffic of index-advisor." in first["advice"]
    assert "narrow one of them" in first["advice"]


def test_overlaps_can_be_limited_to_one_skill(client: Client) -> None:
    choose(client, "tune-queries", "completed")
    choose(client, "plan-dinners", "completed")
    assert {"plan-dinners"} <= {pair[end] for pair in overlaps(client) for end in ("first", "second")}
    for pair in overlaps(client, skill_name="tune-queries"):
        assert "tune-queries" in (pair["first"], pair["second"])
    assert client.get("/api/overlaps?skill_name=nobody").status_code == 404


def test_skills_that_are_merely_listed_together_do_not_compete(client: Client) -> None:
    client.post("/api/search", json={"query": "slow SQL database queries"})
    assert overlaps(client) == []
