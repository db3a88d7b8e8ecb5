"""What an agent sees over MCP: the SDK's own client, in process and over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from litestar.testing import TestClient
from mcp import Client
from mcp.shared.exceptions import MCPError

from indexer.run import run_index
from service.app import create_app
from service.mcp.server import create_mcp
from service.mcp.tools import SkillTools
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import Settings
from store.protocol import Store
from store.sqlite import open_store


@pytest.fixture
def store(settings: Settings, root: Path) -> Iterator[Store]:
    (root / "tune-queries" / "notes").mkdir()
    (root / "tune-queries" / "notes" / "plan.md").write_text("Read the plan first.\n")
    (root / "tune-queries" / ".secret").write_text("token")
    opened = open_store(settings.database)
    run_index(opened, Encoders(settings.model, settings.models_dir), [root])
    yield opened
    opened.close()


@pytest.fixture
def tools(store: Store, settings: Settings) -> SkillTools:
    return SkillTools(store, SkillSearch(store, Encoders(settings.model, settings.models_dir)))


def talk(tools: SkillTools, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Call tools one after the other in one session; return what each gave."""

    async def speak() -> list[Any]:
        async with Client(create_mcp(lambda: tools)) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(speak)


def test_an_agent_finds_reads_starts_and_finishes_a_skill(tools: SkillTools, store: Store) -> None:
    [found] = talk(tools, ("find_skill", {"query": "make slow SQL database queries fast", "limit": 2}))
    answer = found.structured_content
    assert answer["skills"][0]["name"] in {"tune-queries", "index-advisor"}
    assert answer["skills"][0]["why"]
    read, started, finished, report = talk(
        tools,
        ("read_skill", {"name": "tune-queries"}),
        ("start_skill", {"name": "tune-queries", "search_id": answer["search_id"]}),
        ("finish_skill", {"outcome": "completed", "note": "write a test"}),
        ("skill_report", {"name": "tune-queries"}),
    )
    assert "Make slow SQL database queries fast" in read.structured_content["text"]
    assert read.structured_content["files"] == ["SKILL.md", "notes/plan.md"]
    recorded = store.invocation(started.structured_content["invocation_id"])
    assert finished.structured_content["invocation_id"] == recorded.id
    assert (recorded.outcome, recorded.search_id) == ("completed", answer["search_id"])
    assert recorded.follow_up_actions == ["write a test"]
    assert (report.structured_content["uses"], report.structured_content["completion_rate"]) == (1, 1.0)


def test_a_skill_that_is_not_indexed_is_recorded_and_said_to_be_unknown(tools: SkillTools) -> None:
    started = talk(tools, ("start_skill", {"name": "another's skill"}), ("start_skill", {"name": "FIX-TYPES"}))
    assert [(each.structured_content["name"], each.structured_content["known"]) for each in started] == [
        ("another's skill", False),
        ("fix-types", True),
    ]


def test_five_results_cost_a_model_few_tokens(tools: SkillTools) -> None:
    [found] = talk(tools, ("find_skill", {"query": "slow database queries"}))
    # A token is about four characters of English or JSON.
    assert len(json.dumps(found.structured_content)) < 600 * 4


def test_nothing_that_fits_is_an_empty_list_and_says_so(tools: SkillTools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.search.engine.judge_confidence", lambda *_: "none")
    [found] = talk(tools, ("find_skill", {"query": "how long to boil an egg"}))
    assert (found.structured_content["skills"], found.structured_content["confidence"]) == ([], "none")
    assert found.structured_content["message"] == "No skill fits this query."


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("read_skill", {"name": "nobody"}, "nobody"),
        ("read_skill", {"name": "tune-queries", "file": ".secret"}, ".secret"),
        ("read_skill", {"name": "tune-queries", "file": "../fix-types/SKILL.md"}, "SKILL.md"),
        ("skill_report", {"name": "nobody"}, "nobody"),
        ("finish_skill", {"outcome": "completed"}, "start_skill"),
        ("find_skill", {"query": "?!"}, "no word"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_a_model_can_act_on(
    tools: SkillTools, tool: str, arguments: dict[str, Any], says: str
) -> None:
    [refused] = talk(tools, (tool, arguments))
    assert refused.is_error
    assert says in refused.content[0].text


def test_every_tool_has_a_description_annotations_and_schemas(tools: SkillTools) -> None:
    async def speak() -> list[Any]:
        async with Client(create_mcp(lambda: tools)) as client:
            return list((await client.list_tools()).tools)

    listed = {tool.name: tool for tool in anyio.run(speak)}
    assert set(listed) == {"find_skill", "read_skill", "start_skill", "finish_skill", "skill_report"}
    reading = {name for name, tool in listed.items() if tool.annotations.read_only_hint}
    assert reading == {"find_skill", "read_skill", "skill_report"}
    for tool in listed.values():
        assert tool.description
        assert tool.output_schema
        assert all(cell.get("description") for cell in tool.input_schema["properties"].values())


def test_packages_are_listed_with_the_digests_of_what_is_read(tools: SkillTools) -> None:
    async def speak() -> tuple[dict[str, Any], dict[str, str]]:
        async with Client(create_mcp(lambda: tools)) as client:
            listed = tools.packages("")
            [entry] = [each for each in listed.entries if each["uri"] == "skill://tune-queries/SKILL.md"]
            read = {}
            for file in entry["resources"]:
                [content] = (await client.read_resource(file["uri"])).contents
                read[file["uri"]] = content.text  # type: ignore[union-attr]
            return entry, read

    entry, read = anyio.run(speak)
    assert entry["frontmatter"]["metadata"] == {"category": "demo"}
    assert [each["uri"] for each in entry["resources"]] == [
        "skill://tune-queries/SKILL.md",
        "skill://tune-queries/notes/plan.md",
    ]
    for file in entry["resources"]:
        raw = read[file["uri"]].encode()
        assert (file["digest"], file["size"]) == (f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw))


def test_a_resource_outside_a_skill_is_not_there(tools: SkillTools) -> None:
    async def speak(uri: str) -> None:
        async with Client(create_mcp(lambda: tools)) as client:
            with pytest.raises(MCPError):
                await client.read_resource(uri)

    for uri in (
        "skill://nobody/SKILL.md",
        "skill://tune-queries/.secret",
        "skill://tune-queries/%2E%2E/fix-types/SKILL.md",
    ):
        anyio.run(speak, uri)


@pytest.mark.usefixtures("store")
def test_the_service_speaks_mcp_over_http(settings: Settings) -> None:
    asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    accept = {"accept": "application/json, text/event-stream", "host": "127.0.0.1:8765"}
    with TestClient(create_app(settings)) as client:
        answer = client.post("/mcp", json=asked, headers=accept)
        assert answer.status_code == 200
        assert '"name":"skillrank"' in answer.text
        session = accept | {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
        listed = client.post("/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "skills/list"}, headers=session)
        page = told(listed.text)["result"]
        assert [skill["frontmatter"]["name"] for skill in page["skills"]] == [
            "fix-types",
            "index-advisor",
            "plan-dinners",
            "tune-queries",
        ]
        assert (page["resultType"], page["cacheScope"], "nextCursor" in page) == ("complete", "private", False)
        wanted = {"jsonrpc": "2.0", "id": 3, "method": "skills/get", "params": {"uri": page["skills"][0]["uri"]}}
        assert told(client.post("/mcp", json=wanted, headers=session).text)["result"]["skill"] == page["skills"][0]
        wanted |= {"params": {"uri": "skill://nobody/SKILL.md"}}
        assert told(client.post("/mcp", json=wanted, headers=session).text)["error"]["code"] == -32602
        assert client.post("/mcp", json=asked, headers=accept | {"host": "evil.example"}).status_code == 421


def told(stream: str) -> Any:
    """Return the one message of an event stream."""
    [data] = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    return json.loads(data)


def test_a_skill_beyond_the_limits_is_no_package(
    tools: SkillTools, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.catalogue.packages.MAX_BYTES", 1_000)
    (root / "fix-types" / "large.txt").write_bytes(b"x" * 2_000)
    names = [entry["frontmatter"]["name"] for entry in tools.packages("").entries]
    assert names == ["index-advisor", "plan-dinners", "tune-queries"]
