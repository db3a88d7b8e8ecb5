"""Counts over projects, insights and the rows behind them, over HTTP."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from service.app import create_app
from service.settings import Settings
from store.clock import format_time
from store.contract.searches import SearchRecord
from store.contract.tracking import NewInvocation
from store.sqlite import open_store

Client = TestClient[Any]
NOW = datetime.now(UTC)


def feed(client: Client) -> None:
    """Record sixty days: tune-queries works in `web` and fails in `data`, two others always mostly work."""
    batch = []
    for day in range(60):
        at = (NOW - timedelta(days=60 - day)).isoformat()
        for project in ("web", "data"):
            for skill in ("tune-queries", "fix-types", "plan-dinners"):
                good = day % 5 > 0 if skill != "tune-queries" or project == "web" else day % 5 == 0
                batch.append(
                    {
                        "id": f"{day}-{project}-{skill}",
                        "skill_name": skill,
                        "project_id": project,
                        "user_id": f"{project}-{day % 3}",
                        "invoked_at": at,
                        "outcome": {"outcome": "completed" if good else "failed", "duration_seconds": 1.5},
                    }
                )
    assert client.post("/api/invocations/batch", json={"invocations": batch}).json()["imported"] == 360


def test_a_report_without_counts_says_that_nothing_was_counted(client: Client) -> None:
    report = client.get("/api/insights").json()
    assert report["insights"] == []
    assert "skillrank aggregate" in report["notes"][0]
    assert len(report["examined"]) == 8
    assert client.get("/api/insights/projects").json() == []


def test_counting_reports_what_it_read_and_can_be_repeated(client: Client) -> None:
    feed(client)
    first = client.post("/api/aggregate")
    assert first.status_code == 200
    assert (first.json()["rows_read"], first.json()["days_touched"], first.json()["skipped"]) == (720, 60, [])
    assert client.post("/api/aggregate", json={}).json()["rows_read"] == 0
    (source,) = client.get("/api/aggregate/sources").json()
    assert (source["own"], source["invocation_seq"]) == (True, 360)


def test_another_database_is_counted_and_a_missing_one_is_reported(client: Client, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other" / "skillrank.db")
    other.start_invocation(NewInvocation(skill_name="elsewhere"))
    other.close()
    answer = client.post("/api/aggregate", json={"sources": [str(tmp_path / "other"), str(tmp_path / "nowhere.db")]})
    assert [run["invocations"] for run in answer.json()["sources"]] == [1]
    assert [each["cause"] for each in answer.json()["skipped"]] == ["missing"]
    (project,) = client.get("/api/insights/projects").json()
    assert (project["project"], project["project_id"], project["invocations"]) == ("no project", "", 1)
    note = client.get("/api/insights").json()["notes"][-1]
    assert "stay in the database that recorded them" in note


def test_insights_have_evidence_and_a_path_to_its_rows(client: Client) -> None:
    feed(client)
    client.post("/api/aggregate")
    report = client.get("/api/insights", params={"kind": "mixed_results"}).json()
    (insight,) = report["insights"]
    assert insight["skill_name"] == "tune-queries"
    assert [(each["of"], each["count"], each["total"]) for each in insight["rates"]] == [
        ("web", 48, 60),
        ("data", 12, 60),
    ]
    assert insight["test"]["q_value"] < 0.01
    assert 0 < insight["score"] <= 1
    rows = client.get(insight["rows"] + "&limit=500").json()
    assert {row["skill_name"] for row in rows} == {"tune-queries"}
    assert sum(row["completed"] for row in rows if row["project_id"] == "data") == 12
    assert [each["kind"] for each in report["examined"]] == ["mixed_results"]


def test_filters_narrow_the_insights(client: Client) -> None:
    feed(client)
    client.post("/api/aggregate")
    for params, skills in (
        ({"skill_name": "tune-queries"}, ["tune-queries"]),
        ({"skill_name": "fix-types"}, []),
        ({"project_id": "web"}, ["tune-queries"]),
        ({"project_id": "nobody's"}, []),
        ({"since": (NOW - timedelta(days=5)).isoformat()}, []),
        ({"since": "0001-01-01"}, ["tune-queries"]),
        ({"limit": 1}, ["tune-queries"]),
    ):
        found = client.get("/api/insights", params=params | {"kind": "mixed_results"}).json()
        assert [each["skill_name"] for each in found["insights"]] == skills, params


def test_projects_are_listed_with_their_counts(client: Client) -> None:
    feed(client)
    client.post("/api/aggregate")
    told = {each["project"]: each for each in client.get("/api/insights/projects").json()}
    assert (told["web"]["invocations"], told["web"]["skills"], told["web"]["success"]["count"]) == (180, 3, 144)
    assert told["web"]["similar"] == []  # three skills are too few to tell


def test_queries_without_a_fitting_skill_suggest_new_skills(client: Client, settings: Settings) -> None:
    # Every search of the model without words is of middling confidence, so these are recorded as the store has them.
    store = open_store(settings.database)
    for number, user in enumerate(("ann", "bob", "cid")):
        store.record_search(unanswered(f"s{number}", user))
    store.close()
    (insight,) = client.get("/api/insights", params={"kind": "missing_skill"}).json()["insights"]
    assert (insight["counts"], insight["skill_name"]) == ({"searches": 3.0, "askers": 3.0}, None)
    assert {row["query"] for row in client.get(insight["rows"]).json()} == {"knit a scarf"}


def unanswered(search_id: str, user_id: str) -> SearchRecord:
    return SearchRecord(
        id=search_id,
        searched_at=format_time(NOW),
        query="knit a scarf",
        query_hash="hash of it",
        query_vector=None,
        model_id=None,
        session_id=None,
        user_id=user_id,
        project_id=None,
        filters={},
        weights_version="w",
        explored=False,
        confidence="none",
        degraded=[],
        elapsed_ms=1.0,
        results=[],
    )


def test_exposures_are_listed(client: Client) -> None:
    client.post("/api/search", json={"query": "slow SQL database queries"})
    client.post("/api/aggregate")
    rows = client.get("/api/insights/exposures", params={"skill_name": "tune-queries"}).json()
    assert [(row["shown"], row["taken"]) for row in rows] == [(1, 0)]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/insights", {"kind": "gossip"}),
        ("/api/insights", {"since": "last week"}),
        ("/api/insights", {"limit": 0}),
        ("/api/insights/metrics", {"until": "soon"}),
        ("/api/insights/metrics", {"offset": -1}),
        ("/api/insights/searches", {}),
    ],
)
def test_invalid_parameters_are_refused(client: Client, path: str, params: dict[str, Any]) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [{"sources": [""]}, {"sources": "x"}, {"source": ["x"]}, {"sources": ["x"] * 101}])
def test_invalid_sources_are_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.post("/api/aggregate", json=body).status_code == 422


def test_the_service_counts_by_itself_when_configured(settings: Settings) -> None:
    store = open_store(settings.database)
    store.start_invocation(NewInvocation(skill_name="lint"))
    store.close()
    told = Settings(data_dir=settings.data_dir, model=settings.model, aggregate_hours=1.0)
    with TestClient(create_app(told)) as client:
        while not client.get("/api/aggregate/sources").json():
            time.sleep(0.01)
        assert client.get("/api/insights/metrics").json()[0]["skill_name"] == "lint"
