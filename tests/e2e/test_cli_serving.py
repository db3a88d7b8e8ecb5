"""Serving from the command line, unusual homes, and unusual outputs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from service.demo.replay import LIBRARY
from service.settings import DEFAULT_MODEL

Command = Callable[..., subprocess.CompletedProcess[str]]
SERVICE = [sys.executable, "-m", "service"]


@contextmanager
def started(environment: dict[str, str], *command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def json_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    text = ""
    while not text.endswith("}\n"):
        line = process.stdout.readline()
        assert line, "the service ended by itself"
        text += line
    found: dict[str, object] = json.loads(text)
    return found


def test_the_port_that_the_system_chose_is_announced_and_answers(environment: dict[str, str]) -> None:
    with started(environment, *SERVICE, "serve", "--port", "0", "--json") as process:
        address = json_line(process)["address"]
        assert httpx.get(f"{address}/health/live", timeout=60).status_code == 200
    with started(environment, *SERVICE, "serve", "--port", "0") as process:
        assert process.stderr is not None
        announced = process.stderr.readline()
        assert announced.startswith("skillrank listens on http://127.0.0.1:")
        address = announced.split()[3]
        assert httpx.get(f"{address}/health/live", timeout=60).status_code == 200


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_is_one_line_before_anything_is_done(
    skillrank: Command, tmp_path: Path, command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = skillrank(command, "--port", str(taken.getsockname()[1]))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("skillrank: cannot listen on 127.0.0.1:")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_demo_prints_json(skillrank: Command) -> None:
    shown = json.loads(skillrank("demo", "--no-serve", "--json").stdout)
    assert (shown["index"]["documents"], shown["history"]["imported"], len(shown["answers"])) == (32, 226, 5)


def test_the_showcase_of_the_demo_is_found_to_overlap(
    skillrank: Command, environment: dict[str, str], tmp_path: Path, skills_models: Path
) -> None:
    # With the default model, because similarities of the hashing model mean little.
    shutil.copytree(skills_models, Path(environment["SKILLRANK_DATA_DIR"]) / "models")
    environment["SKILLRANK_MODEL"] = DEFAULT_MODEL
    for name in ("fix-type-errors", "typecheck-sweep", "plan-trip"):
        shutil.copytree(LIBRARY / name, tmp_path / "skills" / name)
    assert skillrank("index", tmp_path / "skills").returncode == 0
    found = json.loads(skillrank("skills", "overlap", "--json").stdout)
    assert [(pair["first"], pair["second"]) for pair in found] == [("fix-type-errors", "typecheck-sweep")]


@pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -n and /proc")
def test_few_descriptors_and_many_half_open_connections_neither_flood_the_log_nor_stop_the_service(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    command = f"ulimit -n 64; exec {shlex.join([*SERVICE, 'serve', '--port', '0', '--json'])} 2>{shlex.quote(str(log))}"
    with started(environment, "bash", "-c", command) as process:
        found = json_line(process)
        port = int(str(found["port"]))
        assert httpx.get(f"{found['address']}/health/live", timeout=60).status_code == 200
        half_open = []
        for _ in range(100):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            half_open.append(client)
        time.sleep(3)
        assert process.poll() is None
        for client in half_open:
            client.close()
        until = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"{found['address']}/health/live", timeout=5).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < until, "the service did not recover"
                time.sleep(0.2)
    assert log.stat().st_size < 20_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "--data-dir", "~nosuchuser/x"],
        ["index", "~nosuchuser/skills"],
        ["index", "--forget", "~nosuchuser/skills"],
        ["restore", "~nosuchuser/a.db"],
        ["backup", "--to", "~nosuchuser/a.db"],
        ["track", "workflow", "~nosuchuser/junit.xml"],
        ["import-json", "~nosuchuser/skill_metrics.json"],
        ["cutover", "~nosuchuser/skill_metrics.json"],
        ["aggregate", "--source", "~nosuchuser/x"],
        ["eval", "-q", "~nosuchuser/queries.jsonl"],
        ["tune", "--judged", "~nosuchuser/queries.jsonl"],
        ["train-adapter", "~nosuchuser/out"],
        ["demo", "--no-serve", "~nosuchuser/skills"],
        ["index", "--model", "~nosuchuser/model", "."],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_tilde_without_a_home_directory_is_one_line(skillrank: Command, arguments: list[str]) -> None:
    run = skillrank(*arguments)
    assert run.returncode == 1
    assert run.stderr.startswith("skillrank: ")
    assert run.stderr.count("\n") == 1
    assert "~nosuchuser" in run.stderr


def test_the_setting_with_a_tilde_that_cannot_be_expanded_is_named(
    skillrank: Command, environment: dict[str, str]
) -> None:
    environment["SKILLRANK_DATA_DIR"] = "~nosuchuser/x"
    assert skillrank("doctor").stderr.startswith("skillrank: SKILLRANK_DATA_DIR=~nosuchuser/x cannot be used")


def test_a_model_that_is_not_there_names_the_setting(
    skillrank: Command, environment: dict[str, str], library: Path
) -> None:
    environment["SKILLRANK_MODEL"] = "/no/such/model"
    run = skillrank("index", library)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "SKILLRANK_MODEL" in run.stderr


def test_a_folder_without_a_skill_is_named_and_sets_the_exit_code(
    skillrank: Command, library: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    run = skillrank("index", tmp_path / "empty")
    assert (run.returncode, f"no skill was found in {tmp_path / 'empty'}" in run.stderr) == (1, True)
    run = skillrank("index", library, tmp_path / "empty")
    assert (run.returncode, f"no skill was found in {tmp_path / 'empty'}" in run.stderr) == (0, True)


def test_a_reader_that_stops_early_is_no_error(environment: dict[str, str], skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    command = f"{shlex.join([*SERVICE, 'skills'])} | head -n 0"
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line(
    environment: dict[str, str], skillrank: Command, library: Path
) -> None:
    skillrank("index", library)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*SERVICE, "skills"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("skillrank: ")
    assert done.stderr.endswith(": No space left on device\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_gets_no_escape_of_a_document(
    environment: dict[str, str], skillrank: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "skills" / "esc"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(
        "---\nname: esc\ndescription: Clear it\n---\n# E \x1b[2J\x1b]0;title\x07\n", "utf-8"
    )
    skillrank("index", tmp_path / "skills")
    controller, terminal = os.openpty()
    environment |= {"NO_COLOR": "1", "TERM": "xterm"}
    subprocess.run([*SERVICE, "skills", "esc"], env=environment, stdout=terminal, check=True, timeout=120)
    os.close(terminal)
    with closing(os.fdopen(controller, "rb")) as shown:
        assert b"# E ^[[2J^[]0;title^G" in shown.read1(65_536)
