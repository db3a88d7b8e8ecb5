"""Workflow events and their statistics over HTTP."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from service.app import create_app
from service.settings import Settings

Client = TestClient[Any]
EVENT = {"session_id": "s", "workflow": "ci", "step": "unit", "status": "passed"}


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(path, json=body).raise_for_status().json()


def test_one_event_is_sent_as_an_object_and_many_as_a_list(client: Client) -> None:
    assert post(client, "/api/workflow_events", EVENT | {"id": "1"}) == {"added": 1, "known": 0, "refused": []}
    many = [EVENT | {"id": "1"}, EVENT | {"id": "2", "payload": {"a": 1}}]
    assert post(client, "/api/workflow_events", many) == {"added": 1, "known": 1, "refused": []}
    assert client.get("/api/workflow_events/2").json()["payload"] == {"a": 1}


def test_other_content_with_a_taken_id_is_a_conflict_with_the_recorded_content(client: Client) -> None:
    post(client, "/api/workflow_events", EVENT | {"id": "1"})
    answer = client.post("/api/workflow_events", json=EVENT | {"id": "1", "status": "failed"})
    assert answer.status_code == 409
    assert answer.json()["recorded"]["status"] == "passed"
    refused = post(client, "/api/workflow_events", [EVENT | {"id": "1", "status": "failed"}, EVENT])
    assert refused["added"] == 1
    assert "already recorded with another status" in refused["refused"][0]["reason"]


@pytest.mark.parametrize(
    "body",
    [
        EVENT | {"status": "maybe"},
        EVENT | {"colour": "red"},
        EVENT | {"session_id": ""},
        EVENT | {"duration_seconds": -1},
        EVENT | {"occurred_at": "soon"},
        EVENT | {"payload": {"x": "y" * 20_000}},
        {"workflow": "ci"},
        [EVENT, EVENT | {"status": "maybe"}],
        [],
        [EVENT] * 10_001,
        "nonsense",
    ],
)
def test_an_invalid_event_is_refused_and_nothing_is_recorded(client: Client, body: Any) -> None:
    answer = client.post("/api/workflow_events", json=body)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/sessions/s").status_code == 404


def test_ending_a_session_returns_its_report_each_time(client: Client) -> None:
    use = post(client, "/api/invocations", {"skill_name": "fix-types", "session_id": "s"})
    post(client, "/api/workflow_events", EVENT)
    ended = post(client, "/api/sessions/s/end")
    assert ended["abandoned"] == [use["id"]]
    report = ended["report"]
    assert (report["outcomes"], report["event_statuses"]) == ({"abandoned": 1}, {"passed": 1})
    assert report["after"][0]["skill_name"] == "fix-types"
    assert [moment["kind"] for moment in report["story"]] == ["use", "event", "outcome"]
    again = post(client, "/api/sessions/s/end")
    assert (again["changed"], again["report"]) == (False, report)
    assert client.get("/api/sessions/s/correlation").json() == report


def test_an_event_after_the_end_is_in_the_next_report(client: Client) -> None:
    post(client, "/api/workflow_events", EVENT)
    post(client, "/api/sessions/s/end")
    post(client, "/api/workflow_events", EVENT | {"step": "late", "status": "failed"})
    assert client.get("/api/sessions/s/correlation").json()["event_statuses"] == {"failed": 1, "passed": 1}


def test_an_open_session_has_a_report_and_an_unknown_one_has_none(client: Client) -> None:
    asked = post(client, "/api/search", {"query": "slow database queries", "session_id": "s"})
    report = client.get("/api/sessions/s/correlation").json()
    assert report["ended_at"] is None
    assert report["story"][0] | {"at": None} == {
        "at": None,
        "kind": "search",
        "id": asked["search_id"],
        "about": "slow database queries",
        "status": asked["confidence"],
        "workflow": None,
        "phase": None,
        "duration_seconds": None,
        "served": [each["skill_name"] for each in asked["results"][:3]],
    }
    for missing in (client.get("/api/sessions/none/correlation"), client.get("/api/workflow_events/none")):
        assert missing.status_code == 404


def fill(client: Client) -> None:
    """Sixty sessions in two projects: the skill helps the step that it is used before."""
    uses, events = [], []
    for number in range(60):
        session, helped = f"s{number}", number % 2 == 0
        told = {"session_id": session, "project_id": "shop" if number < 30 else "bank"}
        hour = f"2026-03-{1 + number // 20:02}T{number % 20:02}"
        uses.append(
            told
            | {"id": session, "skill_name": "fix-types" if helped else "plan-dinners", "workflow_phase": "build"}
            | {"invoked_at": f"{hour}:00:00Z", "outcome": {"outcome": "completed" if helped else "abandoned"}}
        )
        passed = helped or number % 6 == 1
        for step, status in (("unit", "passed" if passed else "failed"), ("lint", "passed")):
            events.append(
                EVENT | told | {"step": step, "status": status, "phase": "test", "occurred_at": f"{hour}:30:00Z"}
            )
    assert post(client, "/api/invocations/batch", {"invocations": uses})["imported"] == 60
    assert post(client, "/api/workflow_events", events)["added"] == 120


def test_statistics_over_many_sessions(client: Client) -> None:
    fill(client)
    found = client.get("/api/workflows/correlations").json()
    assert (found["steps_judged"], found["steps_left_out"], found["compared"], found["tested"]) == (2, 0, 6, 4)
    told = [(each["skill_name"], each["step"], each["finding"]) for each in found["effects"]]
    assert told == [
        ("fix-types", None, "helps"),
        ("fix-types", "unit", "helps"),
        ("plan-dinners", None, "hurts"),
        ("plan-dinners", "unit", "hurts"),
        ("fix-types", "lint", "not enough data"),
        ("plan-dinners", "lint", "not enough data"),
    ]
    first, rest = found["effects"][0], found["effects"][4:]
    assert first["adjusted"]["value"] == pytest.approx(2 / 3)
    assert {each["reason"] for each in rest} == {"not enough data: the step always passed"}
    one = client.get("/api/workflows/correlations", params={"skill_name": "fix-types", "limit": 1}).json()
    assert (one["compared"], [each["skill_name"] for each in one["effects"]]) == (6, ["fix-types"])
    (stuck, tested) = client.get("/api/workflows/bottlenecks").json()
    assert (stuck["phase"], stuck["abandoned"]["n"], stuck["abandoned"]["of"]) == ("build", 30, 60)
    assert (tested["phase"], tested["failed_steps"]["n"], tested["failed_steps"]["of"]) == ("test", 20, 120)
    (move,) = client.get("/api/workflows/transitions", params={"between": "phases"}).json()
    assert (move["before"], move["after"], move["n"], move["share"]["value"]) == ("build", "test", 60, 1.0)
    assert client.get("/api/workflows/transitions").json() == []
    phases = client.get("/api/workflows/phases").json()
    assert phases["phases"] == ["build", "test"]
    assert sum(map(sum, phases["counts"])) == 180


def test_filters_select_sessions(client: Client) -> None:
    fill(client)
    for wanted, stuck in (
        ({"project_id": "shop"}, 15),
        ({"project_id": "nobody's"}, None),
        ({"workflow": "ci"}, 30),
        ({"workflow": "cd"}, None),
        ({"since": "2026-03-03"}, 10),
    ):
        found = client.get("/api/workflows/bottlenecks", params=wanted).json()
        assert (found[0]["abandoned"]["n"] if found else None) == stuck, wanted
    assert client.get("/api/workflows/phases", params={"since": "soon"}).status_code == 422


def test_the_service_ends_idle_sessions_and_forgets_old_queries(settings: Settings, client: Client) -> None:
    search = post(client, "/api/search", {"query": "a secret plan", "session_id": "s"})["search_id"]
    post(client, "/api/invocations", {"skill_name": "fix-types", "session_id": "s", "id": "u"})
    strict = msgspec.structs.replace(settings, session_idle_hours=1e-9, keep_searches_days=1e-9, open_limit_hours=1e-9)
    with TestClient(create_app(strict)) as later:
        # The first sweep runs when the service starts; leaving waits for it.
        until = time.monotonic() + 20
        while later.get(f"/api/search/{search}").json()["query_hash"] != "":
            assert time.monotonic() < until, "the sweep forgot nothing"
            time.sleep(0.01)
        assert later.get("/api/sessions/s").json()["ended_at"] is not None
        assert later.get("/api/invocations/u").json()["outcome"] == "abandoned"
        story = later.get("/api/sessions/s/correlation").json()["story"]
        assert [(moment["kind"], moment["about"]) for moment in story][:2] == [("search", ""), ("use", "fix-types")]


def test_events_without_a_time_keep_the_order_in_which_they_were_sent(client: Client) -> None:
    post(client, "/api/workflow_events", [EVENT | {"status": status} for status in ("failed", "passed")])
    post(client, "/api/workflow_events", [EVENT | {"session_id": "t", "status": each} for each in ("passed", "failed")])
    for session, judged in (("s", ["failed", "passed"]), ("t", ["passed", "failed"])):
        story = client.get(f"/api/sessions/{session}/correlation").json()["story"]
        assert [moment["status"] for moment in story] == judged
        assert len({moment["at"] for moment in story}) == 2
