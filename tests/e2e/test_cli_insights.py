"""Aggregation and insights on the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store

Run = Callable[..., subprocess.CompletedProcess[str]]


def database(folder: Path, *, good: bool) -> Path:
    """Make a data folder with sixty uses of one skill, and as many of another that mostly works."""
    store = open_store(folder / "skillrank.db")
    uses = []
    for day in range(60):
        at = (datetime.now(UTC) - timedelta(days=60 - day)).isoformat()
        for skill, works in (("lint", good), ("test", True)):
            outcome = NewOutcome(outcome="completed" if works == (day % 5 > 0) else "failed", duration_seconds=1.0)
            uses.append((NewInvocation(id=f"{skill}-{day}", skill_name=skill, invoked_at=at), outcome))
    store.import_invocations(uses)
    store.close()
    return folder


def test_several_databases_are_aggregated_into_one(skillrank: Run, tmp_path: Path) -> None:
    web, data = database(tmp_path / "web", good=True), database(tmp_path / "data", good=False)
    counted = skillrank("aggregate", "--source", web, "--source", data / "skillrank.db", "--json")
    assert counted.returncode == 0, counted.stderr
    assert json.loads(counted.stdout)["rows_read"] == 480
    shown = skillrank("insights", "--kind", "mixed_results")
    assert "lint does well in no project (web)" in " ".join(shown.stdout.split())
    told = json.loads(skillrank("insights", "--skill", "lint", "--kind", "mixed_results", "--json").stdout)
    assert [insight["skill_name"] for insight in told["insights"]] == ["lint"]
    everything = skillrank("insights").stdout
    assert "not enough data" in everything
    assert "Skills worth writing" in everything
    projects = json.loads(skillrank("insights", "projects", "--json").stdout)
    assert [project["project"] for project in projects] == ["no project (data)", "no project (web)"]
    assert "no project (web)" in skillrank("insights", "projects").stdout


def test_without_a_source_the_own_database_is_aggregated(skillrank: Run, tmp_path: Path) -> None:
    database(tmp_path / "data", good=True)
    assert "120 new uses, 120 new outcomes and 0 new searches on 60 days" in " ".join(
        skillrank("aggregate").stdout.split()
    )
    assert "0 rows read" in skillrank("aggregate").stdout


def test_a_skipped_source_is_reported_and_sets_the_exit_code(skillrank: Run, tmp_path: Path) -> None:
    good = database(tmp_path / "web", good=True)
    (tmp_path / "bad.db").write_text("no database")
    found = skillrank("aggregate", "--source", tmp_path / "bad.db", "--source", good)
    assert found.returncode == 1
    assert "skipped: " in found.stdout
    assert "240 rows read" in found.stdout


def test_an_unknown_kind_is_refused_with_the_known_ones(skillrank: Run) -> None:
    refused = skillrank("insights", "--kind", "gossip")
    assert refused.returncode == 1
    assert "mixed_results" in refused.stderr
