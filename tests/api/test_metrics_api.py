"""Metrics over HTTP, and the answers while the database is locked."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from functools import partial
from typing import Any

import apsw
import pytest
from litestar.testing import TestClient

from service.app import create_app
from service.settings import Settings
from store.sqlite import list_backups, open_store

Client = TestClient[Any]


def use(client: Client, outcome: str = "completed", **fields: Any) -> str:
    begun = client.post("/api/invocations", json={"skill_name": "fix-types"} | fields)
    assert begun.status_code == 201
    identifier: str = begun.json()["id"]
    ended = client.post(f"/api/invocations/{identifier}/complete", json={"outcome": outcome, "duration_seconds": 2.0})
    assert ended.status_code == 200
    return identifier


def test_percentiles_are_recomputed_on_request(client: Client) -> None:
    use(client)
    use(client)
    before = client.get("/api/metrics/fix-types").json()
    after = client.post("/api/metrics/fix-types/percentiles")
    assert (before["p50_duration_seconds"], after.status_code) == (None, 200)
    assert (after.json()["p50_duration_seconds"], after.json()["percentile_count"]) == (2.0, 2)


def test_percentiles_of_an_unused_skill_are_not_found(client: Client) -> None:
    assert client.post("/api/metrics/nobody/percentiles").status_code == 404


def test_a_timeline_has_every_bucket_of_its_window(client: Client) -> None:
    use(client, workflow_path="quick")
    buckets = client.get("/api/metrics/fix-types/timeline", params={"window": "7d", "bucket": "hour"}).json()
    assert len(buckets) == 7 * 24 + 1
    assert sum(each["invocations"] for each in buckets) == 1
    assert max(each["avg_duration"] or 0 for each in buckets) == 2.0


@pytest.mark.parametrize(
    "params", [{"window": "seven"}, {"window": "0d"}, {"bucket": "year"}, {"window": "900w", "bucket": "hour"}]
)
def test_an_invalid_timeline_is_refused(client: Client, params: dict[str, str]) -> None:
    assert client.get("/api/metrics/fix-types/timeline", params=params).status_code == 422


def test_the_summary_follows_every_use(client: Client) -> None:
    use(client)
    use(client, "failed")
    summary = client.get("/api/metrics/summary").json()
    assert (summary["total_invocations"], summary["overall_completion_rate"]) == (2, 50.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the writer give up soon; asked for before the service opens its store."""
    monkeypatch.setattr("service.app.open_store", partial(open_store, lock_wait_s=0.2))


def test_a_write_that_waits_too_long_for_the_lock_is_503_with_retry_after_and_can_be_retried(
    impatient: None,  # noqa: ARG001  it must come before the client
    client: Client,
    settings: Settings,
) -> None:
    asked = {"skill_name": "fix-types", "id": "mine"}
    with closing(apsw.Connection(str(settings.database))) as other:
        other.set_busy_timeout(5_000)  # the service may be writing itself
        other.execute("BEGIN IMMEDIATE")
        refused = client.post("/api/invocations", json=asked)
        other.execute("ROLLBACK")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.json()["cause"] == "locked"
    assert client.post("/api/invocations", json=asked).status_code == 201
    assert client.get("/api/metrics/fix-types").json()["total_invocations"] == 1


def test_a_write_waits_for_a_short_lock_and_succeeds(client: Client, settings: Settings) -> None:
    with closing(apsw.Connection(str(settings.database))) as other:
        other.set_busy_timeout(5_000)  # the service may be writing itself
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        release.start()
        use(client)
        release.join()


def test_reads_succeed_while_the_database_is_locked_for_writing(client: Client, settings: Settings) -> None:
    use(client)
    with closing(apsw.Connection(str(settings.database))) as other:
        other.set_busy_timeout(5_000)  # the service may be writing itself
        other.execute("BEGIN IMMEDIATE")
        assert client.get("/api/metrics/fix-types").json()["total_invocations"] == 1
        assert client.get("/health").status_code == 200
        other.execute("ROLLBACK")


def test_the_service_backs_up_by_itself_when_it_is_told_to(settings: Settings) -> None:
    told = Settings(data_dir=settings.data_dir, model=settings.model, backup_hours=1.0)
    with TestClient(create_app(told)) as client:
        use(client)
        until = time.monotonic() + 20
        while not list_backups(told.backups_dir):
            assert time.monotonic() < until
            time.sleep(0.01)
    (made,) = list_backups(told.backups_dir)
    with closing(open_store(made)) as copy:
        assert copy.check() == []
