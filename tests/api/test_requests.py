"""What holds for every request: where it may come from, what its body may be, and which paths reach what."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from litestar.exceptions import ClientException
from litestar.testing import TestClient

from service.api.access import Access
from service.api.bodies import MAX_DEPTH, MAX_VALUES, require_bounded
from service.api.load import LARGE_BODY_BYTES, MOST_LARGE_BODIES, Load
from service.app import create_app
from service.settings import Settings
from store.errors import StoreUnavailable

Client = TestClient[Any]
JSON = {"content-type": "application/json"}


def is_problem(answer: Any, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return True


# --- where a request may come from ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "@",
        "",
    ],
)
def test_a_request_for_another_host_is_refused_before_routing(client: Client, host: str) -> None:
    assert is_problem(client.get("/health/live", headers={"host": host}), 421)
    assert is_problem(client.get("/no/such/route", headers={"host": host}), 421)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:9", "127.9.9.9:80", "[::1]:8765", "localhost."]
)
def test_a_request_for_a_loopback_host_is_answered(client: Client, host: str) -> None:
    assert client.get("/health/live", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost.evil.example", "null", "file://", "", "x"]
)
def test_a_request_from_a_foreign_page_is_refused(client: Client, origin: str) -> None:
    for answer in (
        client.post("/api/invocations", json={"skill_name": "x", "id": "e1"}, headers={"origin": origin}),
        client.post("/api/sessions", headers={"origin": origin}),
        client.get("/api/skills", headers={"origin": origin}),
    ):
        assert is_problem(answer, 403)
    assert client.get("/api/invocations/e1").status_code == 404


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:8765", "http://[::1]", "https://localhost"]
)
def test_a_page_of_this_machine_may_send_requests(client: Client, origin: str) -> None:
    assert client.post("/api/sessions", headers={"origin": origin}).status_code == 201


def test_the_configured_hosts_are_allowed() -> None:
    access = Access("skills.example", ["proxy.example", " Other.Example "])
    assert all(access.allows(f"{name}:8765") for name in ("skills.example", "proxy.example", "other.example"))
    assert access.allows_origin("https://proxy.example")
    assert not access.allows("10.0.0.1")
    assert not access.allows("skills.example.evil.example")


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_address_allows_every_address_but_no_other_name(wildcard: str) -> None:
    access = Access(wildcard)
    assert access.allows("192.168.1.5:8765")
    assert access.allows("[fe80::1]:8765")
    assert not access.allows("evil.example")


# --- methods and paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/health", "/api/skills", "/schema", "/api/skills/x"]
)
def test_head_answers_like_get_without_a_body(client: Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.content == b""


def test_head_of_a_path_without_get_is_refused(client: Client) -> None:
    answer = client.head("/api/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


def test_options_name_every_method_of_a_path(client: Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    for path, operations in paths.items():
        allowed = set(client.options(path.replace("{", "").replace("}", "")).headers["allow"].split(", "))
        documented = {method.upper() for method in operations}
        assert allowed == documented | {"OPTIONS"} | ({"HEAD"} if "GET" in documented else set()), path


@pytest.mark.parametrize("name", ["frontend/design", "a/b/c", "50%/off", "über/größe", "a%2Fb", "/", "tune queries"])
def test_a_skill_is_reached_by_its_percent_encoded_name_at_every_route(client: Client, name: str) -> None:
    client.post("/api/projects", json={"id": "p", "name": "P"})
    assert client.put("/api/projects/p/skills", json={"skills": [name]}).status_code == 200
    client.post("/api/invocations", json={"skill_name": name})
    path = quote(name, safe="")
    assert client.get(f"/api/skills/{path}").json()["skill"]["skill_name"] == name
    assert client.get(f"/api/metrics/{path}").json()["skill_name"] == name
    assert client.post(f"/api/metrics/{path}/percentiles").json()["skill_name"] == name
    assert sum(each["invocations"] for each in client.get(f"/api/metrics/{path}/timeline").json()) == 1
    for route in ("content", "versions", "similar"):
        answer = client.get(f"/api/skills/{path}/{route}")
        assert answer.status_code == 200 or answer.json()["key"] == name


@pytest.mark.parametrize("identifier", ["run/7", "/", ".", "..", " ", "", "a/b/c", "x" * 201])
def test_one_rule_refuses_ids_that_no_path_can_hold(client: Client, identifier: str) -> None:
    event = {"session_id": "s", "workflow": "w", "step": "x", "status": "passed"}
    mentorship = {"intern_id": "a", "mentor_id": "b", "session_focus": "x"}
    for path, body in (
        ("/api/sessions", {"id": identifier}),
        ("/api/invocations", {"skill_name": "x", "id": identifier}),
        ("/api/invocations", {"skill_name": "x", "session_id": identifier}),
        ("/api/invocations/batch", {"invocations": [{"skill_name": "x", "id": identifier}]}),
        ("/api/projects", {"name": "x", "id": identifier}),
        ("/api/workflow_events", event | {"id": identifier}),
        ("/api/workflow_events", [event | {"session_id": identifier}]),
        ("/api/mentorship_sessions", mentorship | {"id": identifier}),
        ("/api/search", {"query": "x", "session_id": identifier}),
    ):
        assert is_problem(client.post(path, json=body), 422), path


@pytest.mark.parametrize("identifier", ["a b", "50%", "a%2Fb", "ü?&#", "a\\b", "...", "~", "+", ";x=1"])
def test_every_id_that_is_accepted_is_reached(client: Client, identifier: str) -> None:
    path = quote(identifier, safe="")
    started = client.post("/api/invocations", json={"skill_name": "x", "id": identifier, "session_id": identifier})
    assert started.status_code == 201
    assert client.get(f"/api/invocations/{path}").json()["id"] == identifier
    assert client.post(f"/api/invocations/{path}/complete").json()["changed"]
    assert client.post(f"/api/sessions/{path}/end").json()["changed"]
    assert client.post("/api/projects", json={"name": "x", "id": identifier}).status_code == 201
    assert client.get(f"/api/projects/{path}").json()["id"] == identifier


def test_an_invocation_cannot_have_the_name_of_a_route(client: Client) -> None:
    assert client.post("/api/invocations", json={"skill_name": "x", "id": "batch"}).status_code == 422


# --- bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"query": "caf\xe9"}'.encode("latin-1"), "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "JSON"),
        (b"{", "JSON"),
        (b"nonsense", "JSON"),
        (b'{"query": "x"} {}', "JSON"),
        (b'{"query": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deep"),
        (b'{"query": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "deep"),
        (b"[" * 100_000, "deep"),
        (b"[" + b"{}," * 600_000 + b"{}]", "values"),
    ],
)
def test_a_body_that_is_not_usable_json_is_a_400_problem(client: Client, body: bytes, said: str) -> None:
    for path in ("/api/search", "/api/invocations", "/api/sessions", "/api/workflow_events"):
        answer = client.post(path, content=body, headers=JSON)
        assert is_problem(answer, 400)
        assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
    ],
)
def test_a_body_of_another_media_type_is_refused(client: Client, media_type: str) -> None:
    answer = client.post("/api/invocations", content=b'{"skill_name": "x"}', headers={"content-type": media_type})
    assert is_problem(answer, 415)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/x+json"])
def test_a_body_of_a_json_media_type_is_read(client: Client, media_type: str) -> None:
    answer = client.post("/api/invocations", content=b'{"skill_name": "x"}', headers={"content-type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/search", {"query": "x", "limit": "5"}, "limit"),
        ("/api/search", {"query": "x", "limit": 1e3}, "limit"),
        ("/api/search", {"query": "x", "limit": True}, "limit"),
        ("/api/search", {"query": "x", "group": 0}, "group"),
        ("/api/search", {"query": "x", "group": "true"}, "group"),
        ("/api/search", {"query": 5}, "query"),
        ("/api/invocations", {"skill_name": "x", "selection_rank": "1"}, "selection_rank"),
        ("/api/invocations", {"skill_name": "x", "invoked_at": ""}, "invoked_at"),
        ("/api/invocations", {"skill_name": "x", "invoked_at": 0}, "invoked_at"),
        ("/api/invocations", {"skill_name": ".."}, "skill_name"),
        (
            "/api/workflow_events",
            {"session_id": "s", "workflow": "w", "step": "x", "status": "passed", "occurred_at": ""},
            "occurred_at",
        ),
        ("/api/aggregate", {"sources": [""]}, "sources"),
        ("/api/index", {"roots": [""]}, "roots"),
        ("/api/index", {"roots": ["a\x00b"]}, "roots"),
    ],
)
def test_a_value_of_another_type_is_refused_and_named(client: Client, path: str, body: Any, field: str) -> None:
    answer = client.post(path, json=body)
    assert is_problem(answer, 422)
    assert field in answer.json()["errors"][0]["key"]


@pytest.mark.parametrize("path", ["x" * 300, "/" + "y" * 4_000])
def test_a_path_that_is_too_long_is_refused(client: Client, path: str) -> None:
    assert is_problem(client.post("/api/index", json={"roots": [path]}), 422)
    assert is_problem(client.post("/api/aggregate", json={"sources": [path]}), 422)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/invocations", {"skill_name": "x"}, "user_context"),
        ("/api/projects", {"name": "x"}, "metadata"),
        ("/api/workflow_events", {"session_id": "s", "workflow": "w", "step": "x", "status": "passed"}, "payload"),
    ],
)
def test_free_json_is_kept_up_to_a_bound(client: Client, path: str, body: dict[str, Any], field: str) -> None:
    assert client.post(path, json=body | {field: {"a": "y" * 10_000}}).status_code in {200, 201}
    answer = client.post(path, json=body | {field: {"a": "y" * 70_000}})
    assert is_problem(answer, 422)
    assert field in answer.text


def test_what_looks_like_structure_inside_strings_does_not_count() -> None:
    require_bounded(json.dumps(["[{" * MAX_VALUES, '\\"[' * 1000, ","]).encode())
    require_bounded(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(ClientException):
        require_bounded(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_a_string_without_an_end_is_read_once() -> None:
    started = time.perf_counter()
    require_bounded(b'{"a": "' + rb"\"[" * 2_000_000)
    assert time.perf_counter() - started < 5


# --- load ----------------------------------------------------------------------------------------------------


def test_reads_are_answered_while_every_write_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    store = client.app.dependencies["store"].dependency()
    release = threading.Event()

    def stuck(_: Any) -> Any:
        release.wait(30)
        raise StoreUnavailable("locked", cause="locked", retry_after_s=1.0)

    monkeypatch.setattr(store, "start_session", stuck)
    threads = [threading.Thread(target=client.post, args=("/api/sessions",)) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    try:
        for path in ("/health", "/api/skills", "/api/metrics"):
            started = time.perf_counter()
            assert client.get(path).status_code == 200
            assert time.perf_counter() - started < 3
    finally:
        release.set()
        for thread in threads:
            thread.join()


def test_a_write_without_a_free_slot_gets_503_with_retry_after() -> None:
    async def stuck(*_: Any) -> None:
        await asyncio.sleep(60)

    async def body() -> Any:
        return {"type": "http.request", "body": b"x" * (LARGE_BODY_BYTES + 1), "more_body": False}

    async def ask() -> list[Any]:
        load = Load(stuck, max_body_bytes=1 << 24, wait_s=0.05)
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope: Any = {"type": "http", "method": "POST", "headers": []}
        waiting = [asyncio.create_task(load(scope, body, send)) for _ in range(MOST_LARGE_BODIES)]
        await asyncio.sleep(0.01)
        await load(scope, body, send)
        for task in waiting:
            task.cancel()
        return sent

    start, end = asyncio.run(ask())
    assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
    assert json.loads(end["body"])["cause"] == "busy"


def test_a_pipe_without_a_writer_does_not_block_counting(client: Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "skillrank.db")
    sources = [str(tmp_path / "pipe"), str(tmp_path / "folder"), "/dev/zero"]
    answer = client.post("/api/aggregate", json={"sources": sources}).json()
    assert [each["cause"] for each in answer["skipped"]] == ["foreign"] * 3
    assert client.post("/api/aggregate").status_code == 200


# --- health --------------------------------------------------------------------------------------------------


def test_a_background_task_survives_any_error_and_health_reports_it(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/health").json()["problems"] == []
    fails = threading.Event()
    fails.set()

    def sweep(*_: Any) -> Any:
        if fails.is_set():
            raise RuntimeError("boom")
        raise StoreUnavailable("the disk is full", cause="full")

    monkeypatch.setattr("service.app.sweep", sweep)
    monkeypatch.setattr("service.app.SWEEP_EVERY_S", 0.05)
    with TestClient(create_app(settings)) as second:

        def says(text: str) -> bool:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                health = second.get("/health").json()
                if any(text in each for each in health["problems"]):
                    return bool(health["status"] == "degraded")
                time.sleep(0.02)
            return False

        assert says("the sweep failed (internal error: RuntimeError; see the log)")
        fails.clear()
        assert says("the sweep failed (the disk is full)")


def test_health_reports_a_disk_that_is_nearly_full(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1024

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    health = client.get("/health").json()
    assert health["status"] == "degraded"
    assert "is full" in health["problems"][0]


def test_health_counts_skills_whether_or_not_they_were_used(client: Client) -> None:
    store = client.get("/health").json()["store"]
    assert (store["served_skills"], store["total_skills"], store["used_skills"]) == (4, 4, 0)
