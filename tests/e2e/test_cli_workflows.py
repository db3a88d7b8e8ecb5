"""Recording workflow results on the command line, and the reports made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

RESULTS = """<testsuites><testsuite name="s" timestamp="2026-03-04T09:00:00Z">
<testcase classname="m" name="good" time="1"/>
<testcase classname="m" name="bad" time="1"><failure message="[red]boom[/red]"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.xml"
    path.write_text(RESULTS)
    return path


def feed(skillrank: Command, path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return skillrank("track", "workflow", path, "--session", "s1", *more)


def test_the_same_results_again_add_nothing(skillrank: Command, results: Path) -> None:
    first = feed(skillrank, results, "--workflow", "unit", "--phase", "test", "--project", "shop")
    assert (first.returncode, first.stdout) == (0, "2 events added, 0 already recorded, 0 refused\n")
    again = feed(skillrank, results, "--workflow", "unit", "--phase", "test", "--project", "shop", "--json")
    assert json.loads(again.stdout) == {"added": 0, "known": 2, "refused": 0, "reasons": [], "broken": None}


SUITE = """
import pytest

@pytest.mark.parametrize("word", ["<a>", "&b", "c d"])
def test_good(word): pass

def test_bad(): assert "]]>" == "<x>"

def test_skipped(): pytest.skip("not today")

@pytest.mark.xfail
def test_expected(): assert False

@pytest.fixture
def broken(): raise RuntimeError("no fixture")

def test_unset(broken): pass

class TestGroup:
    def test_loud(self): print("<testcase name='fake'/>", "\\x1b[31m")
"""


def test_what_pytest_really_writes_is_read(skillrank: Command, tmp_path: Path) -> None:
    suite, written = tmp_path / "test_suite.py", tmp_path / "written.xml"
    suite.write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={written}", str(suite)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert feed(skillrank, written, "--json").returncode == 0
    story = json.loads(skillrank("report", "session", "s1", "--json").stdout)["story"]
    assert {moment["about"].partition("::")[2]: moment["status"] for moment in story} == {
        "test_good[<a>]": "passed",
        "test_good[&b]": "passed",
        "test_good[c d]": "passed",
        "test_bad": "failed",
        "test_skipped": "skipped",
        "test_expected": "skipped",
        "test_unset": "failed",
        "test_loud": "passed",
    }
    assert feed(skillrank, written).stdout == "0 events added, 8 already recorded, 0 refused\n"


def test_what_cannot_be_used_is_named_and_sets_the_exit_code(skillrank: Command, tmp_path: Path) -> None:
    lines = tmp_path / "events.jsonl"
    lines.write_text('{"step": "a", "status": "passed", "workflow": "ci"}\nnonsense [red]\n')
    run = feed(skillrank, lines)
    assert run.returncode == 1
    assert run.stdout == "1 event added, 0 already recorded, 1 refused\n"
    assert run.stderr.startswith("line 2: JSON is malformed")
    lines.write_text("<html/>")
    run = feed(skillrank, lines)
    assert run.returncode == 1
    assert run.stderr.startswith("skillrank: this is XML but not JUnit's")
    for arguments in (["track", "workflow", lines], ["track", "workflow", tmp_path / "none", "--session", "s"]):
        run = skillrank(*arguments)
        assert (run.returncode, run.stderr.startswith("skillrank: ")) == (1, True)


def test_a_session_is_shown_from_its_start_to_its_end(skillrank: Command, library: Path, results: Path) -> None:
    skillrank("index", library)
    skillrank("search", "slow database queries", "--session", "s1")
    skillrank("track", "start", "tune-queries", "--session", "s1")
    feed(skillrank, results)
    skillrank("session", "end", "s1")
    shown = skillrank("report", "session", "s1").stdout
    for words in ("slow database queries", "tune-queries", "abandoned", "tests › m::bad", "1 failed, 1 passed"):
        assert words in shown
    told = json.loads(skillrank("report", "session", "s1", "--json").stdout)
    assert (told["searches"], told["outcomes"], told["event_statuses"]) == (
        1,
        {"abandoned": 1},
        {"failed": 1, "passed": 1},
    )
    assert skillrank("report", "session", "nobody").returncode == 1


def test_hostile_results_cannot_paint_the_terminal(skillrank: Command, tmp_path: Path) -> None:
    lines = tmp_path / "events.jsonl"
    evil = "[red]step[/red]\x1b[31m"
    session = evil.replace("/", "")  # no id holds a slash
    told = {
        "step": evil,
        "status": "failed",
        "workflow": evil,
        "phase": evil,
        "project_id": evil,
        "session_id": session,
    }
    lines.write_text(json.dumps(told) + "\n")
    assert skillrank("track", "workflow", lines).returncode == 0
    for arguments in (["report", "session", session], ["report", "workflows"]):
        run = skillrank(*arguments)
        assert run.returncode == 0
        assert "[red]step[/red]" in run.stdout
        assert "\x1b" not in run.stdout


def test_many_sessions_are_shown_in_tables(skillrank: Command, tmp_path: Path) -> None:
    lines = tmp_path / "events.jsonl"
    told = [
        {"session_id": f"s{n}", "workflow": "ci", "phase": phase, "step": "unit", "status": status}
        | {"occurred_at": f"2026-03-04T{hour}:00:00Z"}
        for n in range(30)
        for phase, status, hour in (("build", "passed", "09"), ("test", "failed" if n % 3 else "passed", "10"))
    ]
    lines.write_text("\n".join(map(json.dumps, told)))
    assert skillrank("track", "workflow", lines).returncode == 0
    shown = skillrank("report", "workflows").stdout
    for words in (
        "1 step with a result",
        "20 of 30, 67% (49–81%)",
        "from phase to phase",
        "100% (89–100%)",
        "▓▓▓▓ 20 (67%)",
    ):
        assert words in shown, words
    found = json.loads(skillrank("report", "workflows", "--json", "--workflow", "ci").stdout)
    assert found["heat_map"]["phases"] == ["build", "test"]
    nothing = skillrank("report", "workflows", "--project", "nobody's")
    assert (nothing.returncode, "0 steps with a result" in nothing.stdout) == (0, True)
    assert skillrank("report", "workflows", "--since", "soon").stderr.startswith("skillrank: ")


def test_the_sweep_closes_and_forgets(
    skillrank: Command, library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    skillrank("index", library)
    skillrank("search", "a secret plan", "--session", "s1")
    nothing = json.loads(skillrank("sweep", "--json").stdout)
    assert set(nothing.values()) == {0}
    environment |= {"SKILLRANK_SESSION_IDLE_HOURS": "1e-9", "SKILLRANK_KEEP_QUESTIONS": "false"}
    assert "queries deleted from 1 search and 0 invocations" in " ".join(skillrank("sweep").stdout.split())
    assert b"a secret plan" not in b"".join(path.read_bytes() for path in (tmp_path / "data").glob("skillrank.db*"))
    shown = skillrank("report", "session", "s1").stdout
    assert "(query not kept)" in shown
