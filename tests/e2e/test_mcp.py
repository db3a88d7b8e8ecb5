"""An agent that starts `skillrank mcp`, with the SDK's own client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters


def speak(environment: dict[str, str], *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    server = StdioServerParameters(command=sys.executable, args=["-m", "service", "mcp"], env=environment)

    async def converse() -> list[Any]:
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(converse)


def test_an_agent_uses_a_skill_over_stdio(
    skillrank: Callable[..., Any], library: Path, environment: dict[str, str]
) -> None:
    skillrank("index", library)
    found, _, finished = speak(
        environment,
        ("find_skill", {"query": "slow database queries"}),
        ("start_skill", {"name": "tune-queries"}),
        ("finish_skill", {"outcome": "completed"}),
    )
    assert found.structured_content["skills"][0]["name"] == "tune-queries"
    assert finished.structured_content["outcome"] == "completed"
    assert '"completed_invocations": 1' in skillrank("metrics", "show", "tune-queries", "--json").stdout


def test_an_agent_beside_a_running_service_shares_its_database(
    serve: Callable[..., Any], skillrank: Callable[..., Any], library: Path, environment: dict[str, str]
) -> None:
    skillrank("index", library)
    running = serve()
    [started] = speak(environment, ("start_skill", {"name": "plan-dinners"}))
    told = running.client.get(f"/api/invocations/{started.structured_content['invocation_id']}").json()
    assert (told["skill_name"], told["outcome"]) == ("plan-dinners", None)


def test_without_an_index_an_agent_is_told_what_to_do(environment: dict[str, str]) -> None:
    [found] = speak(environment, ("find_skill", {"query": "slow database queries"}))
    assert found.structured_content["skills"] == []
    assert "skillrank index" in found.structured_content["message"]
