"""The command line as a person uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from store.contract.projects import NewMentorshipSession
from store.sqlite import open_store

Command = Callable[..., subprocess.CompletedProcess[str]]


def put(folder: Path, name: str, says: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n", "utf-8")


def test_indexing_prints_a_readable_summary(skillrank: Command, library: Path) -> None:
    (library / "broken").mkdir()
    (library / "broken" / "SKILL.md").write_bytes(b"\x00")
    run = skillrank("index", library)
    assert run.returncode == 0
    assert "3 skills served" in run.stdout
    assert "1 path not indexed" in run.stdout
    assert str(library / "broken" / "SKILL.md") in run.stdout.replace("\n", "")


def test_indexing_speaks_of_one_skill_as_one(skillrank: Command, tmp_path: Path) -> None:
    put(tmp_path / "one", "fix-types", "Mend mypy type errors")
    assert skillrank("index", tmp_path / "one").stdout.startswith("1 skill served  ·  1 added")


def test_indexing_a_folder_without_skills_says_so_and_fails(skillrank: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = skillrank("index", tmp_path / "empty", "--json")
    assert run.returncode == 1
    assert f"no skill was found in {tmp_path / 'empty'}" in run.stderr
    assert json.loads(run.stdout)["documents"] == 0


def test_an_empty_folder_beside_one_with_skills_is_only_a_warning(
    skillrank: Command, library: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    run = skillrank("index", library, tmp_path / "empty")
    assert run.returncode == 0
    assert "no skill was found" in run.stderr


def test_indexing_says_that_a_root_is_gone_and_how_to_forget_it(
    skillrank: Command, library: Path, tmp_path: Path
) -> None:
    put(tmp_path / "with space", "cook", "Cook a stew")
    skillrank("index", library, tmp_path / "with space")
    shutil.rmtree(tmp_path / "with space")
    assert "problem: 1 document" in skillrank("doctor").stdout
    run = skillrank("index")
    assert run.returncode == 0
    assert f"skillrank index --forget '{tmp_path / 'with space'}'" in run.stderr
    assert skillrank("doctor").returncode == 0
    assert skillrank("index", "--forget", tmp_path / "with space").returncode == 0
    assert skillrank("index").stderr == ""


def test_forgetting_a_folder_that_was_never_indexed_is_an_error(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    run = skillrank("index", "--forget", library / "typo")
    assert run.returncode == 1
    assert "is not an indexed root" in run.stderr


def test_an_empty_path_is_not_the_current_folder(skillrank: Command) -> None:
    run = skillrank("index", "")
    assert run.returncode == 2
    assert "must not be empty" in run.stderr


def test_a_loop_of_links_is_an_error_of_one_line(skillrank: Command, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    run = skillrank("index", tmp_path / "loop")
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert "too many levels of symbolic links" in run.stderr


def test_json_output_is_nothing_but_json(skillrank: Command, library: Path) -> None:
    assert json.loads(skillrank("index", library, "--json").stdout)["added"] == 3
    answer = json.loads(skillrank("search", "slow database queries", "--json").stdout)
    assert answer["results"][0]["skill_name"] == "tune-queries"
    assert json.loads(skillrank("metrics", "summary", "--json").stdout)["total_invocations"] == 0


def test_a_query_may_come_from_standard_input(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    run = skillrank("search", "-", "--json", stdin="slow database queries\n")
    assert json.loads(run.stdout)["results"][0]["skill_name"] == "tune-queries"


def test_mistyped_words_are_corrected_unless_told_otherwise(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    mistyped = ("search", "slow databse queries", "--json")
    assert json.loads(skillrank(*mistyped).stdout)["corrected"] == {"databse": "database"}
    assert json.loads(skillrank(*mistyped, "--no-correct").stdout)["corrected"] == {}


def test_a_recorded_invocation_shows_in_the_next_answer(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    use = skillrank("track", "start", "tune-queries").stdout.strip()
    assert skillrank("track", "finish", use, "--outcome", "completed").returncode == 0
    assert "completed 1 of 1 use (thin evidence: 1 use so far)" in " ".join(
        skillrank("search", "slow database queries").stdout.split()
    )


def test_a_use_of_a_skill_that_is_not_indexed_is_recorded_and_noted(skillrank: Command, library: Path) -> None:
    skillrank("index", library)
    known, unknown = skillrank("track", "start", "Plugin:Tune-Queries"), skillrank("track", "start", "nobody")
    assert (known.returncode, known.stderr, unknown.returncode) == (0, "", 0)
    assert unknown.stderr == "note: no skill named nobody is indexed\n"
    assert json.loads(skillrank("track", "start", "nobody", "--json").stdout)["skill_known"] is False


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
    assert "no query can be made from 3 indexed documents" in skillrank("eval").stderr
    queries.write_text('{"query": "slow database queries", "expected": ["fix-types"]}\n', encoding="utf-8")
    run = skillrank("eval", "--queries", queries, "--fail-under", "Hit@1=1")
    assert run.returncode == 1
    assert "Hit@1 is 0.000, under 1.0" in run.stderr
    assert "expected fix-types: at position" in run.stdout


def test_a_mentorship_session_changes_its_status_from_the_shell(
    skillrank: Command, environment: dict[str, str]
) -> None:
    store = open_store(Path(environment["SKILLRANK_DATA_DIR"]) / "skillrank.db")
    session = NewMentorshipSession(id="m", intern_id="ann", mentor_id="bob", session_focus="databases")
    store.transaction(lambda work: work.add_mentorship_session(session))
    store.close()
    assert skillrank("project", "mentorship", "m", "active").stdout == "mentorship session m is active\n"
    assert json.loads(skillrank("project", "mentorship", "m", "completed", "--json").stdout)["status"] == "completed"
    assert skillrank("project", "mentorship", "m", "completed").stdout == "mentorship session m is already completed\n"
    back = skillrank("project", "mentorship", "m", "active")
    assert (back.returncode, "is completed and cannot become active" in back.stderr) == (1, True)
    assert skillrank("project", "mentorship", "none", "active").returncode == 1
    assert skillrank("project", "mentorship", "m", "paused").returncode == 2
    assert json.loads(skillrank("signals", "distribution", "--json").stdout)["total"] == 0
