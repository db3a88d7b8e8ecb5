"""The command line as a person uses it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_indexing_prints_a_readable_summary(skillrank: Command, library: Path) -> None:
    (library / "broken").mkdir()
    (library / "broken" / "SKILL.md").write_bytes(b"\x00")
    run = skillrank("index", library)
    assert run.returncode == 0
    assert "3 skills served" in run.stdout
    assert "1 unparsable" in run.stdout
    assert str(library / "broken" / "SKILL.md") in run.stdout.replace("\n", "")


def test_json_output_is_nothing_but_json(skillrank: Command, library: Path) -> None:
    assert json.loads(skillrank("index", library, "--json").stdout)["added"] == 3
    answer = json.loads(skillrank("search", "slow database queries", "--json").stdout)
    assert answer["results"][0]["skill_name"] == "tune-queries"
    assert json.loads(skillrank("metrics", "summary", "--json").stdout)["total_invocations"] == 0


def test_a_query_may_come_from_standard_input(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    run = skillrank("search", "-", "--json", stdin="slow database queries\n")
    assert json.loads(run.stdout)["results"][0]["skill_name"] == "tune-queries"


def test_a_recorded_invocation_shows_in_the_next_answer(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    use = skillrank("track", "start", "tune-queries").stdout.strip()
    assert skillrank("track", "finish", use, "--outcome", "completed").returncode == 0
    assert "completed 1 of 1 uses (thin evidence: 1 use so far)" in " ".join(
        skillrank("search", "slow database queries").stdout.split()
    )


def test_errors_are_one_line_on_standard_error(skillrank: Command, tmp_path: Path) -> None:
    for arguments in (["index", tmp_path / "nowhere"], ["search", "   "], ["skills", "nobody"], ["index"]):
        run = skillrank(*arguments)
        assert run.returncode == 1
        assert run.stderr.startswith("skillrank: ")
        assert "Traceback" not in run.stderr


def test_hostile_names_cannot_paint_the_terminal(skillrank: Command, library: Path) -> None:
    (library / "evil").mkdir()
    evil = "---\nname: '[red]evil[/red]'\ndescription: \"database \\e[31m[bold]queries\"\n---\nslow database queries\n"
    (library / "evil" / "SKILL.md").write_text(evil, encoding="utf-8")
    skillrank("index", library)
    shown = skillrank("search", "slow database queries").stdout
    assert "[red]evil[/red]" in shown
    assert "\x1b" not in shown


def test_the_demo_shows_what_outcomes_do(skillrank: Command) -> None:
    run = skillrank("demo", "--no-serve")
    assert run.returncode == 0
    assert "226 uses recorded" in run.stdout
    assert "226 known from an earlier demo" in skillrank("demo", "--no-serve").stdout


def test_the_doctor_accepts_only_a_healthy_store(skillrank: Command, library: Path) -> None:
    assert skillrank("doctor").returncode == 1
    skillrank("index", library)
    assert skillrank("doctor").returncode == 0


def test_tuning_without_a_record_is_refused_and_changes_nothing(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    run = skillrank("tune")
    assert run.returncode == 1
    assert "refused: 0 recorded choices to judge by" in run.stdout
    assert not [word for word in ("nan", "inf", "Weights(", "Interval(") if word in run.stdout]
    dry = skillrank("tune", "--dry-run", "--json")
    assert (dry.returncode, json.loads(dry.stdout)["adopted"]) == (0, False)


def test_an_evaluation_prints_a_table_and_fails_under_its_threshold(
    skillrank: Command, library: Path, tmp_path: Path
) -> None:
    skillrank("index", library)
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "slow database queries", "expected": ["tune-queries"]}\n', encoding="utf-8")
    run = skillrank("eval", "--queries", queries, "--compare", "outcomes=off", "--fail-under", "Hit@1=1")
    assert run.returncode == 0, run.stderr
    assert "nDCG@10" in run.stdout
    assert "one query has no interval" in run.stdout
    queries.write_text(
        queries.read_text("utf-8") + '{"query": "shopping list", "expected": ["plan-dinners"]}\n', encoding="utf-8"
    )
    both = skillrank("eval", "--queries", queries, "--compare", "outcomes=off").stdout
    assert "paired randomisation test (2 queries)" in both
    queries.write_text(queries.read_text("utf-8").splitlines()[0] + "\n", encoding="utf-8")
    told = json.loads(skillrank("eval", "-q", queries, "--json").stdout)
    assert told["measures"]["all (1)"]["Hit@1"]["mean"] == 1.0
    assert "nothing to ask them for" in skillrank("eval").stderr
    queries.write_text('{"query": "slow database queries", "expected": ["fix-types"]}\n', encoding="utf-8")
    run = skillrank("eval", "--queries", queries, "--fail-under", "Hit@1=1")
    assert run.returncode == 1
    assert "Hit@1 is 0.000, under 1.0" in run.stderr
    assert "expected fix-types: at position" in run.stdout
