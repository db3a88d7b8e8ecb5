"""The program as its user runs it: processes, ports, signals."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.forking import CommandServer

READY_WITHIN_S = 60.0


class Running:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.client = httpx.Client(base_url=address, timeout=30)

    def wait_until_alive(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            assert self.process.poll() is None, "the service ended by itself"
            try:
                if self.client.get("/health/live").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service did not come up")

    def top(self, query: str) -> str | None:
        """Return the first skill that is answered, None when there is no answer."""
        results = self.client.post("/api/search", json={"query": query}).raise_for_status().json()["results"]
        return results[0]["skill_name"] if results else None


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return what a process needs to keep to itself, with the model that needs no model."""
    return os.environ | {
        "SKILLRANK_DATA_DIR": str(tmp_path / "data"),
        "SKILLRANK_MODEL": "hashing",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "120",
    }


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandServer, dict[str, str]]]:
    """Return what starts commands quickly, and the environment that it was started in."""
    started_in = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    server = CommandServer(tmp_path_factory.mktemp("commands"), started_in)
    yield server, started_in
    server.close()


@pytest.fixture
def skillrank(
    environment: dict[str, str], commands: tuple[CommandServer, dict[str, str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line to its end."""
    server, started_in = commands

    def run(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        told = [str(each) for each in arguments]
        # Settings are read by each command. What Python and the terminal are told counts when the program is imported.
        if _without_settings(environment) == _without_settings(started_in):
            return server.run(told, environment, stdin, timeout_s=120)
        command = [sys.executable, "-m", "service", *told]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False, input=stdin
        )

    return run


def _without_settings(environment: dict[str, str]) -> dict[str, str]:
    changing = ("SKILLRANK_", "PYTEST_")
    return {name: value for name, value in environment.items() if not name.startswith(changing)}


@pytest.fixture
def serve(environment: dict[str, str]) -> Iterator[Callable[..., Running]]:
    """Start services; whatever still runs at the end is killed."""
    started: list[Running] = []

    def start(*options: str) -> Running:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "service", "serve", "--port", str(port), *options]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        running = Running(process, f"http://127.0.0.1:{port}")
        started.append(running)
        running.wait_until_alive()
        return running

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()
        running.client.close()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Write a few skills."""
    root = tmp_path / "skills"
    for name, says in (
        ("fix-types", "Mend mypy type errors in Python code"),
        ("plan-dinners", "Plan meals and write the shopping list"),
        ("tune-queries", "Make slow SQL database queries fast"),
    ):
        put(root, name, says)
    return root


def put(root: Path, name: str, says: str) -> Path:
    path = root / name / "SKILL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n\n{says}, step by step.\n", "utf-8")
    return path
