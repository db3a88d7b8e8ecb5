"""An agent that starts `skillrank mcp`, with the SDK's own client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
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


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_agent_that_ends_the_server_does_not_wait(environment: dict[str, str], ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "service", "mcp"]
    server = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) + "\n")
    server.stdin.flush()
    server.stdout.readline()
    server.send_signal(ending)
    _, said = server.communicate(timeout=10)
    assert (server.returncode, "Traceback" in said) == (0, False)


def test_without_an_index_an_agent_is_told_what_to_do(environment: dict[str, str]) -> None:
    [found] = speak(environment, ("find_skill", {"query": "slow database queries"}))
    assert found.structured_content["skills"] == []
    assert "skillrank index" in found.structured_content["message"]
