"""Sessions and invocations over HTTP."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient

Client = TestClient[Any]


def start(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/invocations", json={"skill_name": "fix-types", **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_invocation_is_tied_to_the_indexed_version(client: Client) -> None:
    version = client.get("/api/skills/fix-types/versions").json()[0]["id"]
    assert start(client)["skill_version_id"] == version


def test_repeating_a_start_returns_the_same_invocation(client: Client) -> None:
    first = start(client, id="u1", workflow_path="quick")
    assert start(client, id="u1", workflow_path="quick") == first
    assert client.get("/api/metrics/fix-types").json()["total_invocations"] == 1


def test_another_invocation_with_a_taken_id_is_a_conflict(client: Client) -> None:
    start(client, id="u1")
    answer = client.post("/api/invocations", json={"skill_name": "tune-queries", "id": "u1"})
    assert answer.status_code == 409
    assert answer.json()["recorded"]["skill_name"] == "fix-types"


def test_finishing_again_changes_nothing(client: Client) -> None:
    start(client, id="u1")
    first = client.post("/api/invocations/u1/complete").json()
    second = client.post("/api/invocations/u1/complete").json()
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["invocation"] == first["invocation"]


def test_a_different_outcome_is_a_conflict_with_the_recorded_one(client: Client) -> None:
    start(client, id="u1")
    client.post("/api/invocations/u1/complete", json={"outcome": "failed", "error_type": "Timeout"})
    answer = client.post("/api/invocations/u1/complete", json={"outcome": "completed"})
    assert answer.status_code == 409
    assert answer.json()["recorded"]["error_type"] == "Timeout"


def test_an_unknown_invocation_is_a_404(client: Client) -> None:
    assert client.post("/api/invocations/nobody/complete").status_code == 404
    assert client.get("/api/invocations/nobody").status_code == 404


def test_ending_a_session_abandons_open_invocations_once(client: Client) -> None:
    session = client.post("/api/sessions", json={"user_id": "ann"}).json()["id"]
    start(client, id="open", session_id=session)
    first = client.post(f"/api/sessions/{session}/end").json()
    second = client.post(f"/api/sessions/{session}/end").json()
    assert first["abandoned"] == ["open"]
    assert (second["changed"], second["abandoned"]) == (False, [])
    assert client.get("/api/invocations/open").json()["outcome"] == "abandoned"
    assert client.get(f"/api/sessions/{session}/skills").json()[0]["abandoned_count"] == 1


def test_a_batch_can_be_sent_twice(client: Client) -> None:
    batch = {
        "invocations": [
            {"id": f"b{n}", "skill_name": "fix-types", "invoked_at": "2026-01-01T00:00:00Z", "outcome": {}}
            for n in range(5)
        ]
    }
    assert client.post("/api/invocations/batch", json=batch).json()["imported"] == 5
    assert client.post("/api/invocations/batch", json=batch).json()["duplicates"] == 5
    assert client.get("/api/metrics/fix-types").json()["completed_invocations"] == 5


def test_a_negative_duration_is_refused(client: Client) -> None:
    start(client, id="u1")
    answer = client.post("/api/invocations/u1/complete", json={"duration_seconds": -1})
    assert answer.status_code == 422
    assert client.get("/api/invocations/u1").json()["outcome"] is None


def test_an_unknown_skill_name_is_recorded_and_the_answer_says_so(client: Client) -> None:
    assert start(client)["skill_known"] is True
    unknown = client.post("/api/invocations", json={"skill_name": "fix-typos", "id": "u"}).json()
    assert unknown["skill_known"] is False
    assert client.get("/api/invocations/u").json()["skill_name"] == "fix-typos"
    client.post("/api/projects", json={"id": "p", "name": "P"})
    client.put("/api/projects/p/skills", json={"skills": ["negotiation"]})
    assert client.post("/api/invocations", json={"skill_name": "negotiation"}).json()["skill_known"] is True


def test_a_batch_lists_unknown_skill_names(client: Client) -> None:
    # Another form of a known name is known.
    names = ["fix-types", "Fix-Types", "fix-typos", "fix-typos", "other"]
    batch = {"invocations": [{"id": f"b{n}", "skill_name": name} for n, name in enumerate(names)]}
    report = client.post("/api/invocations/batch", json=batch).json()
    assert (report["imported"], report["unknown_skills"]) == (5, ["fix-typos", "other"])
