"""Backup, restore, doctor, migrations and the cut-over on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_backed_up_can_be_restored_but_not_under_a_running_service(
    skillrank: Run, serve: Callable[..., Any], library: Path
) -> None:
    skillrank("index", library)
    skillrank("track", "start", "fix-types", "--id", "first")
    backup = told(skillrank("backup", "--json"))["backup"]
    running = serve()
    running.client.post("/api/invocations", json={"skill_name": "fix-types"}).raise_for_status()
    while_serving = told(skillrank("backup", "--json"))["backup"]
    refused = skillrank("restore", backup["path"])
    assert (refused.returncode, "in use" in refused.stderr) == (1, True)
    running.process.terminate()
    running.process.wait()
    restored = told(skillrank("restore", backup["path"], "--json"))
    assert (backup["total_invocations"], while_serving["total_invocations"]) == (1, 2)
    assert (restored["total_invocations"], restored["checksum_verified"]) == (1, True)
    assert told(skillrank("doctor", "--json"))["health"]["total_invocations"] == 1


def test_a_version_is_taken_back_under_a_backup_but_not_under_a_running_service(
    skillrank: Run, serve: Callable[..., Any]
) -> None:
    skillrank("track", "start", "lint")
    newest = [each["version"] for each in told(skillrank("migrate", "status", "--json"))][-1]
    running = serve()
    refused = skillrank("migrate", "down", str(newest))
    assert (refused.returncode, "in use" in refused.stderr) == (1, True)
    running.process.terminate()
    running.process.wait()
    taken = told(skillrank("migrate", "down", str(newest), "--json"))
    assert (taken["taken_back"], Path(taken["backup"]).is_file()) == (newest, True)
    assert told(skillrank("migrate", "verify", "--json")) == {"difference": None}
    assert told(skillrank("migrate", "up", "--json")) == {"applied": [newest]}


def test_migrate_says_what_is_wrong_with_a_damaged_database(skillrank: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "skillrank.db").write_bytes(b"no database" * 1000)
    for command in ("status", "up", "verify"):
        refused = skillrank("migrate", command)
        assert (refused.returncode, "damaged" in refused.stderr) == (1, True), refused


def test_the_doctor_sets_its_exit_code_when_there_is_a_problem(skillrank: Run, library: Path) -> None:
    assert skillrank("doctor").returncode == 1  # nothing is indexed
    skillrank("index", library)
    well = skillrank("doctor")
    assert (well.returncode, "no problems found" in well.stdout) == (0, True)
    (library / "fix-types" / "SKILL.md").unlink()
    ill = skillrank("doctor")
    assert (ill.returncode, "1 document changed or disappeared" in ill.stdout) == (1, True)


def test_the_doctor_names_the_backup_that_mends_a_damaged_database(skillrank: Run, tmp_path: Path) -> None:
    skillrank("track", "start", "lint")
    backup = told(skillrank("backup", "--json"))["backup"]
    database = tmp_path / "data" / "skillrank.db"
    database.write_bytes(database.read_bytes()[:40_960] + bytes(100_000))
    ill = skillrank("doctor")
    assert (ill.returncode, f"skillrank restore {backup['path']}" in ill.stdout) == (1, True)


def test_from_json_to_the_database_and_back(skillrank: Run, tmp_path: Path) -> None:
    path = tmp_path / "skill_metrics.json"
    rows = [
        {
            "skill_name": f"skill-{n % 5}",
            "invoked_at": f"2025-01-01T10:{n:02}:00",
            "completed": True,
            "duration_seconds": n,
        }
        for n in range(60)
    ]
    path.write_text(json.dumps({"invocations": [*rows, {"skill_name": "broken"}]}), "utf-8")
    dry = skillrank("import-json", path, "--dry-run", "--json", "--timezone", "UTC")
    assert (dry.returncode, json.loads(dry.stdout)["invocations_migrated"]) == (1, 60)
    shown = skillrank("import-json", path, "--timezone", "UTC")
    assert "invocations[60]: has no start time" in shown.stdout
    refused = skillrank("cutover", path, "--timezone", "UTC")
    assert (refused.returncode, "--accept-losses" in refused.stderr) == (1, True)
    over = told(skillrank("cutover", path, "--timezone", "UTC", "--accept-losses", "--json"))
    assert (over["stats"]["duplicates"], over["stats"]["invocations_migrated"]) == (60, 0)
    assert not path.exists()
    assert told(skillrank("cutover", "--status", "--json"))["phase"] == "database"
    skillrank("track", "start", "skill-1", "--id", "since")
    back = told(skillrank("rollback-cutover", "--json"))
    assert (back["rows_brought_back"], path.exists()) == (1, True)
    assert skillrank("metrics", "rebuild", "--verify").returncode == 0


def test_an_unknown_time_zone_is_named(skillrank: Run, tmp_path: Path) -> None:
    done = skillrank("import-json", tmp_path / "none.json", "--timezone", "Mars/Olympus")
    assert (done.returncode, "Mars/Olympus" in done.stderr) == (2, True)


def test_the_status_of_a_cut_over_shows_counts_the_next_step_and_a_file_that_came_back(
    skillrank: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "skill_metrics.json"
    program = "from skillrank import get_store; get_store().track_invocation('lint').completer()"
    settings = {"SKILLRANK_METRICS_MODE": "dual-write", "SKILLRANK_JSON_METRICS": str(path)}
    subprocess.run([sys.executable, "-c", program], env=environment | settings, check=True)
    status = told(skillrank("cutover", "--status", "--json"))
    assert (status["phase"], status["counts"]["dual_write"]["agreements"]) == ("dual_write", 2)
    assert (status["gate"]["open"], status["problems"]) == (False, [])
    shown = skillrank("cutover", "--status").stdout
    assert "2 operations, 2 without an error or a difference, 0 mismatches" in shown
    assert "next: skillrank import-json PATH" in shown
    told(skillrank("cutover", path, "--json"))
    path.write_text("{}", "utf-8")
    assert "exists again" in skillrank("cutover", "--status").stdout
    examined = json.loads(skillrank("doctor", "--quick", "--json").stdout)
    assert [each for each in examined["problems"] if "exists again" in each]
