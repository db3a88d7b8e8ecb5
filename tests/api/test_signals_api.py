"""The signal pipeline over HTTP: projects, updates, mentorship, charts, and their effect on search."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from service.app import create_app
from service.settings import Settings

Client = TestClient[Any]
QUERY = "make slow SQL database queries fast"


@pytest.fixture
def bare(settings: Settings, migrated_file: Path) -> Iterator[Client]:
    """A client of a service without a library: most of this needs none, and indexing takes most of a test's time."""
    shutil.copyfile(migrated_file, settings.database)
    with TestClient(create_app(settings)) as ready:
        yield ready


@pytest.fixture
def declared(bare: Client) -> str:
    """A project that declares two skills without documents."""
    bare.post("/api/projects", json={"id": "pay", "name": "Payments", "metadata": {"skill_ideas": ["fix-types"]}})
    skills = ["index-advisor", {"skill_name": "negotiation", "category": "people"}]
    bare.put("/api/projects/pay/skills", json={"skills": skills})
    return "pay"


@pytest.fixture
def project(client: Client) -> str:
    """A project that declares a skill with a document and one without."""
    client.post("/api/projects", json={"id": "pay", "name": "Payments", "metadata": {"skill_ideas": ["fix-types"]}})
    skills = ["index-advisor", {"skill_name": "negotiation", "category": "people"}]
    client.put("/api/projects/pay/skills", json={"skills": skills})
    return "pay"


def update(client: Client, key: str | None = None, **told: Any) -> httpx.Response:
    body = {"project_id": "pay", "user_id": "ann", "content": "made a query fast"} | told
    return client.post("/api/progress_updates", json=body, headers={"Idempotency-Key": key} if key else {})


def totals(client: Client, **wanted: str) -> dict[str, int]:
    found = client.get("/api/signals/distribution", params=wanted).json()
    return {each["skill_name"]: each["signals"] for each in found["skills"]}


def search(client: Client, **told: Any) -> list[dict[str, Any]]:
    return client.post("/api/search", json={"query": QUERY} | told).json()["results"]  # type: ignore[no-any-return]


def test_a_projects_skills_are_declared_and_queried(client: Client, project: str) -> None:
    skills = client.get(f"/api/projects/{project}/skills").json()
    told = [(each["skill_name"], each["category"], each["has_document"]) for each in skills]
    assert told == [("index-advisor", "demo", True), ("negotiation", "people", False)]


def test_skill_ideas_in_the_metadata_are_kept_and_emit_nothing(bare: Client, declared: str) -> None:
    update(bare)
    assert bare.get(f"/api/projects/{declared}").json()["metadata"] == {"skill_ideas": ["fix-types"]}
    assert totals(bare) == {"index-advisor": 1, "negotiation": 1}


def test_a_mentorship_session_emits_nothing(bare: Client, declared: str) -> None:
    body = {"intern_id": "ann", "mentor_id": "bob", "session_focus": "index-advisor", "project_id": declared}
    recorded = bare.post("/api/mentorship_sessions", json=body)
    assert recorded.status_code == 201
    assert recorded.json()["session_focus"] == "index-advisor"
    listed = bare.get("/api/mentorship_sessions", params={"intern_id": "ann"}).json()["mentorship_sessions"]
    assert [each["id"] for each in listed] == [recorded.json()["id"]]
    assert totals(bare) == {}


@pytest.mark.usefixtures("declared")
def test_an_update_is_returned_and_emits_a_signal_for_every_declared_skill(bare: Client) -> None:
    response = update(bare)
    row = response.json()
    assert response.status_code == 201
    assert (row["project_id"], row["user_id"], row["content"]) == ("pay", "ann", "made a query fast")
    assert row["signals"] == {"inserted": 2, "skipped": 0, "reason": None}
    assert bare.get(f"/api/progress_updates/{row['id']}").json()["content"] == row["content"]
    assert totals(bare, user_id="ann", project_id="pay") == {"index-advisor": 1, "negotiation": 1}


@pytest.mark.usefixtures("declared")
def test_a_retried_update_is_the_same_update(bare: Client) -> None:
    first, again = update(bare, "k"), update(bare, "k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["signals"]["inserted"] == 0
    assert again.json()["signals"]["reason"]
    assert totals(bare) == {"index-advisor": 1, "negotiation": 1}


@pytest.mark.usefixtures("declared")
def test_a_key_of_another_update_is_a_conflict(bare: Client) -> None:
    first = update(bare, "k").json()
    response = update(bare, "k", content="something else")
    assert response.status_code == 409
    assert response.json()["recorded"]["id"] == first["id"]


def test_an_update_of_a_project_without_skills_is_kept_and_says_why_it_emits_nothing(bare: Client) -> None:
    bare.post("/api/projects", json={"id": "pay", "name": "Payments"})
    response = update(bare)
    assert response.status_code == 201
    assert response.json()["signals"]["inserted"] == 0
    assert "no skills" in response.json()["signals"]["reason"]
    assert len(bare.get("/api/progress_updates").json()["progress_updates"]) == 1


def test_joining_and_completing_emit(bare: Client, declared: str) -> None:
    joined = bare.post(f"/api/projects/{declared}/members", json={"user_id": "ann"})
    again = bare.post(f"/api/projects/{declared}/members", json={"user_id": "ann"})
    assert (joined.status_code, joined.json()["signals"]["inserted"]) == (201, 2)
    assert (again.status_code, again.json()["signals"]["inserted"]) == (200, 0)
    completed = bare.post(f"/api/projects/{declared}/complete").json()
    assert completed["project"]["completed_at"]
    assert completed["signals"]["inserted"] == 2
    assert [each["user_id"] for each in bare.get(f"/api/projects/{declared}/members").json()] == ["ann"]
    kinds = {each["signal_type"] for each in bare.get("/api/signals/activity").json()["signals"]}
    assert kinds == {"joined", "completed"}


def test_completing_a_project_without_members_says_so(bare: Client, declared: str) -> None:
    assert "no members" in bare.post(f"/api/projects/{declared}/complete").json()["signals"]["reason"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("post", "/api/progress_updates", {"project_id": "no", "user_id": "ann", "content": "x"}, 404),
        ("post", "/api/progress_updates", {"project_id": "pay", "content": "x"}, 422),
        ("post", "/api/progress_updates", {"project_id": "pay", "user_id": "ann", "content": " "}, 422),
        ("post", "/api/progress_updates", {"project_id": "pay", "user_id": "ann", "content": "x", "skills": []}, 422),
        ("put", "/api/projects/no/skills", {"skills": ["sql"]}, 404),
        ("put", "/api/projects/pay/skills", {"skills": [10**6]}, 404),
        ("put", "/api/projects/pay/skills", {"skills": ["unheard of"], "add_missing": False}, 404),
        ("put", "/api/projects/pay/skills", {"skills": [""]}, 422),
        ("put", "/api/projects/pay/skills", {"skills": [-1]}, 422),
        ("put", "/api/projects/pay/skills", {}, 422),
        ("post", "/api/projects", {"id": "a/b", "name": "A"}, 422),
        ("post", "/api/projects", {"name": " "}, 422),
        ("post", "/api/projects", {"id": "pay", "name": "Another"}, 409),
        ("post", "/api/projects/no/members", {"user_id": "ann"}, 404),
        ("post", "/api/projects/pay/members", {}, 422),
        ("post", "/api/projects/no/complete", None, 404),
        ("post", "/api/mentorship_sessions", {"intern_id": "ann", "mentor_id": "ann", "session_focus": "x"}, 422),
        ("post", "/api/mentorship_sessions", {"intern_id": "ann", "mentor_id": "bob"}, 422),
        ("get", "/api/signals/distribution?project_id=no", None, 404),
        ("get", "/api/signals/distribution?skill_name=no", None, 404),
        ("get", "/api/signals/distribution?since=yesterday", None, 422),
        ("get", "/api/signals/momentum?bucket=century", None, 422),
        ("get", "/api/signals/momentum?bucket=minute&window=999w", None, 422),
        ("get", "/api/signals/activity?cursor=no", None, 422),
        ("get", "/api/signals/activity?limit=0", None, 422),
        ("get", "/api/progress_updates/no", None, 404),
    ],
)
@pytest.mark.usefixtures("declared")
def test_an_invalid_request_is_a_problem_document(
    bare: Client, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    response = bare.request(method, path, json=body)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.json()["detail"]
    assert totals(bare) == {}


@pytest.mark.usefixtures("declared")
def test_no_response_has_a_weight(bare: Client) -> None:
    update(bare)
    for path in ("distribution", "momentum", "activity"):
        assert "weight" not in bare.get(f"/api/signals/{path}").text
    documented = bare.get("/schema/openapi.json").json()
    routes = {path: parts for path, parts in documented["paths"].items() if "signals" in path or "project" in path}
    assert "weight" not in str(routes)


@pytest.mark.usefixtures("declared")
def test_momentum_covers_the_requested_period(bare: Client) -> None:
    update(bare)
    found = bare.get("/api/signals/momentum", params={"bucket": "day", "window": "3d"}).json()
    assert [each["signals"] for each in found["buckets"]] == [0, 0, 0, 2]
    assert (found["total"], found["total_before"], found["change"], found["change_percent"]) == (2, 0, 2, None)


@pytest.mark.usefixtures("declared")
def test_activity_is_paged_by_its_cursor(bare: Client) -> None:
    update(bare)
    update(bare, user_id="bob")
    first = bare.get("/api/signals/activity", params={"limit": 3}).json()
    rest = bare.get("/api/signals/activity", params={"limit": 3, "cursor": first["next"]}).json()
    assert [each["user_id"] for each in first["signals"] + rest["signals"]] == ["bob", "bob", "ann", "ann"]
    assert rest["next"] is None


@pytest.mark.usefixtures("project")
def test_a_skill_without_a_document_is_in_the_catalogue_and_not_in_search(client: Client) -> None:
    assert "negotiation" not in {each["skill_name"] for each in client.get("/api/skills").json()["skills"]}
    declared = client.get("/api/skills", params={"declared": True}).json()["skills"]
    assert [each["skill_name"] for each in declared] == ["negotiation"]
    assert client.get("/api/skills/negotiation").json()["skill"]["category"] == "people"
    assert client.get("/api/skills/negotiation/content").status_code == 404
    found = client.post("/api/search", json={"query": "negotiation"}).json()["results"]
    assert "negotiation" not in {each["skill_name"] for each in found}


@pytest.mark.usefixtures("project")
def test_a_search_for_a_project_prefers_its_declared_skills(client: Client) -> None:
    before = {each["skill_name"]: each for each in search(client)}
    after = {each["skill_name"]: each for each in search(client, project_id="pay")}
    assert before["index-advisor"]["components"]["scope"] == 0
    assert after["index-advisor"]["components"]["scope"] > 0
    assert after["index-advisor"]["score"] > before["index-advisor"]["score"]
    assert "declared by this project" in after["index-advisor"]["reasons"]


@pytest.mark.usefixtures("project")
def test_a_search_of_a_user_prefers_skills_from_their_updates(client: Client) -> None:
    for _ in range(5):
        update(client)
    found = {each["skill_name"]: each for each in search(client, user_id="ann")}
    assert any("used in 5 updates this month" in reason for reason in found["index-advisor"]["reasons"])
    assert found["tune-queries"]["components"]["scope"] == 0


@pytest.mark.usefixtures("project")
def test_without_project_or_user_signals_change_nothing(client: Client) -> None:
    def plain(**told: Any) -> list[Any]:
        return [
            (each["skill_name"], each["score"], each["components"], each["reasons"]) for each in search(client, **told)
        ]

    before = plain()
    update(client)
    assert plain() == plain(user_id="somebody else") == plain(project_id="elsewhere") == before


def test_a_mentorship_session_changes_its_status_and_emits_nothing(bare: Client, declared: str) -> None:
    body = {"id": "m", "intern_id": "ann", "mentor_id": "bob", "session_focus": "x", "project_id": declared}
    assert bare.post("/api/mentorship_sessions", json=body).status_code == 201
    for status in ("active", "active", "completed", "completed"):
        changed = bare.patch("/api/mentorship_sessions/m", json={"status": status})
        assert (changed.status_code, changed.json()["status"]) == (200, status)
    assert bare.get("/api/mentorship_sessions/m").json()["status"] == "completed"
    assert bare.get("/api/signals/distribution").json()["total"] == 0


@pytest.mark.parametrize(
    ("way", "refused"),
    [
        (["active"], "scheduled"),
        (["completed"], "active"),
        (["active", "cancelled"], "completed"),
        (["cancelled"], "scheduled"),
    ],
)
@pytest.mark.usefixtures("declared")
def test_a_mentorship_session_does_not_go_back(bare: Client, way: list[str], refused: str) -> None:
    body = {"id": "m", "intern_id": "ann", "mentor_id": "bob", "session_focus": "x"}
    bare.post("/api/mentorship_sessions", json=body)
    for status in way:
        assert bare.patch("/api/mentorship_sessions/m", json={"status": status}).status_code == 200
    answer = bare.patch("/api/mentorship_sessions/m", json={"status": refused})
    assert (answer.status_code, answer.json()["recorded"]["status"]) == (409, way[-1])
    # A repeated creation finds the session, whatever its status is by now.
    assert bare.post("/api/mentorship_sessions", json=body).json()["status"] == way[-1]
    assert bare.patch("/api/mentorship_sessions/none", json={"status": "active"}).status_code == 404
    assert bare.patch("/api/mentorship_sessions/m", json={"status": "paused"}).status_code == 422
