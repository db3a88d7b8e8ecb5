"""The service as a process: it starts, follows changes, and stops without losing anything."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.sqlite import open_store

CHANGE_WITHIN_S = 30.0
Command = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., Any]


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + CHANGE_WITHIN_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


def write(root: Path, name: str, says: str) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n", "utf-8")


def test_a_running_service_answers_from_what_another_process_indexed(
    skillrank: Command, serve: Serve, library: Path
) -> None:
    skillrank("index", library)
    service = serve()
    assert service.top("slow database queries") == "tune-queries"
    write(library, "water-plants", "Water the houseplants")
    skillrank("index")
    assert service.top("water the houseplants") == "water-plants"


def test_watching_indexes_what_is_added_changed_and_removed(skillrank: Command, serve: Serve, library: Path) -> None:
    skillrank("index", library)
    service = serve("--watch")
    write(library, "water-plants", "Water the houseplants")
    assert eventually(lambda: service.top("water the houseplants") == "water-plants")
    write(library, "water-plants", "Sharpen kitchen knives")
    assert eventually(lambda: service.top("sharpen kitchen knives") == "water-plants")
    shutil.rmtree(library / "water-plants")
    assert eventually(lambda: service.top("sharpen kitchen knives") != "water-plants")


class Disk:
    """A root that changes at random."""

    def __init__(self, folder: Path) -> None:
        self.root, self.aside = folder / "root", folder / "aside"
        self.aside.mkdir()
        self.random = random.Random(7)
        self.numbers = itertools.count()

    def skills(self) -> dict[str, str]:
        texts = [path.read_text("utf-8").splitlines() for path in self.root.rglob("SKILL.md")]
        return {lines[1].removeprefix("name: "): lines[2].removeprefix("description: ") for lines in texts}

    def change(self) -> None:
        number = next(self.numbers)
        folders = sorted(path.parent for path in self.root.rglob("SKILL.md"))
        kinds = ["write", "write", "edit", "edit", "remove", "out", "in", "recreate"]
        kind = self.random.choice(kinds) if folders else "write"
        folder = self.random.choice(folders) if folders else self.root
        outside = sorted(self.aside.iterdir())
        if kind in {"remove", "recreate"}:
            shutil.rmtree(folder if kind == "remove" else self.root)
        if kind in {"write", "recreate"}:
            write(self.root, f"skill.{number}", f"number {number}")
        elif kind == "edit":
            write(self.root, folder.name, f"number {number}")
        elif kind == "out":
            folder.rename(self.aside / f"{folder.name}-{number}")
        elif kind == "in" and outside:
            outside[0].rename(self.root / f"back.{number}")


def served(service: Any) -> dict[str, str]:
    skills = service.client.get("/api/skills", params={"limit": 200}).raise_for_status().json()["skills"]
    return {skill["skill_name"]: skill["description"] for skill in skills}


def test_a_watching_service_that_is_restarted_ends_with_what_is_on_disk(
    skillrank: Command, serve: Serve, tmp_path: Path
) -> None:
    disk = Disk(tmp_path)
    disk.change()
    skillrank("index", disk.root)
    for _ in range(3):
        service = serve("--watch")
        for _ in range(4):
            for _ in range(disk.random.randint(1, 5)):
                disk.change()
            assert eventually(lambda: served(service) == disk.skills()), (served(service), disk.skills())  # noqa: B023
        assert service.client.get("/api/index/status").json()["stale"] == []
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(timeout=20)
        disk.change()


def test_a_service_without_an_index_says_that_it_is_not_ready(serve: Serve) -> None:
    service = serve()
    assert service.client.get("/health/live").status_code == 200
    ready = service.client.get("/health/ready")
    assert ready.status_code == 503
    assert "skillrank index" in ready.json()["problems"][0]


def test_every_answer_carries_the_request_id_it_was_asked_with(serve: Serve) -> None:
    answer = serve().client.get("/health/live", headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"


def test_a_stopped_service_keeps_every_use_it_accepted(serve: Serve, environment: dict[str, str]) -> None:
    service = serve()
    accepted: list[str] = []

    def report() -> None:
        try:
            while True:
                answer = service.client.post("/api/invocations", json={"skill_name": "x"})
                accepted.append(answer.raise_for_status().json()["id"])
        except Exception:  # noqa: BLE001  the service goes away under it, which is the point
            return

    reporter = threading.Thread(target=report)
    reporter.start()
    assert eventually(lambda: len(accepted) > 50)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=20) in {0, -signal.SIGTERM}
    reporter.join()
    store = open_store(Path(environment["SKILLRANK_DATA_DIR"]) / "skillrank.db")
    metrics = store.skill_metrics("x")
    assert metrics is not None
    assert metrics.total_invocations >= len(accepted)
    for identifier in accepted:
        store.invocation(identifier)
    assert store.first_difference() is None
    store.close()


@pytest.mark.parametrize("seconds", [0.5, 0.8, 1.2])
def test_a_killed_index_run_is_finished_by_the_next_one(
    skillrank: Command, environment: dict[str, str], tmp_path: Path, seconds: float
) -> None:
    root = tmp_path / "many"
    for number in range(400):
        write(root, f"skill-{number}", f"Do thing number {number} " + "with care " * 50)
    process = subprocess.Popen([*python("index"), str(root)], env=environment, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    process.wait()
    assert skillrank("index", root).returncode == 0
    database = Path(environment["SKILLRANK_DATA_DIR"]) / "skillrank.db"
    resumed = contents(database)
    environment["SKILLRANK_DATA_DIR"] = str(tmp_path / "undisturbed")
    assert skillrank("index", root).returncode == 0
    assert resumed == contents(tmp_path / "undisturbed" / "skillrank.db")


def test_a_process_that_only_serves_imports_neither_torch_nor_the_mcp_sdk(
    skillrank: Command, environment: dict[str, str], library: Path, default_models: Path
) -> None:
    shutil.copytree(default_models, Path(environment["SKILLRANK_DATA_DIR"]) / "models")
    environment["SKILLRANK_MODEL"] = "all-MiniLM-L6-v2"
    assert skillrank("index", library).returncode == 0
    program = """
import json, sys
from litestar.testing import TestClient
from service.app import create_app
from service.settings import read_settings
with TestClient(create_app(read_settings())) as client:
    answer = client.post("/api/search", json={"query": "database is slow"}).json()
    runtime = client.get("/health").json()["runtime"]
heavy = [name for name in ("torch", "transformers", "sentence_transformers", "mcp") if name in sys.modules]
print(json.dumps([answer["results"][0]["skill_name"], runtime, heavy]))
"""
    printed = subprocess.run(
        [*python()[:1], "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert json.loads(printed.splitlines()[-1]) == ["tune-queries", "onnx", []]


def python(*arguments: str) -> list[str]:

    return [sys.executable, "-m", "service", *arguments]


def contents(database: Path) -> list[tuple[object, ...]]:
    """Return what an index serves, without ids and times."""
    store = open_store(database)
    generation = store.live_generation()
    assert generation is not None
    states = store.documents(generation.generation)
    chunks = store.chunks([state.skill_name for state in states])
    served = [
        (s.skill_name, s.document_path, s.content_hash, s.embedded, tuple(c.text for c in chunks[s.skill_name]))
        for s in states
    ]
    # Not which skills: where several are equally near, their ids decide, and those are given in any order.
    nearest = [
        tuple(round(c.similarity or 0.0, 5) for c in store.similar(state.skill_name, limit=5)) for state in states[::40]
    ]
    store.close()
    return [*served, *nearest]
