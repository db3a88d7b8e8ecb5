"""The phases of the cut-over from JSON to the database, and its rollback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.errors import Conflict, InvalidRecord, StoreUnavailable
from store.legacy.cutover import cut_over, roll_back
from store.legacy.dual import DualReadMetricsTracker, DualWriteMetricsTracker
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.migrator import DataMigrator
from store.legacy.state import read_state
from store.metrics_db import SkillMetricsStore

ROWS: list[dict[str, Any]] = [
    {
        "id": f"old-{n}",
        "skill_name": ("lint", "test")[n % 2],
        "invoked_at": f"2025-02-{1 + n:02}T09:30:00",
        "workflow_path": "quick",
        "completed": n % 3 > 0,
        "duration_seconds": 1.5 * n,
        "error_type": None if n % 3 else "ValueError",
        "follow_up_actions": ["git commit"] * (n % 2),
        "session_id": "old session",
    }
    for n in range(10)
]


@pytest.fixture
def folder(tmp_path: Path, migrated_file: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copyfile(migrated_file, data / "skillrank.db")
    return data


@pytest.fixture
def db(folder: Path) -> Iterator[SkillMetricsStore]:
    store = SkillMetricsStore(folder / "skillrank.db")
    yield store
    store.close()


@pytest.fixture
def json_path(tmp_path: Path) -> Path:
    path = tmp_path / "skill_metrics.json"
    path.write_text(json.dumps({"invocations": ROWS}), "utf-8")
    return path


def migrate(json_path: Path, db: SkillMetricsStore) -> dict[str, Any]:
    return DataMigrator(json_path, db, timezone=UTC).migrate_all_data()


def write(json_path: Path, *rows: dict[str, Any], **more: Any) -> None:
    json_path.write_text(json.dumps({"invocations": list(rows), **more}), "utf-8")


# --- phase two: history -------------------------------------------------------------------------------------


def test_history_is_imported_without_errors(json_path: Path, db: SkillMetricsStore) -> None:
    stats = migrate(json_path, db)
    assert (stats["invocations_migrated"], stats["duplicates"], stats["validation_errors"]) == (10, 0, 0)
    assert stats["skills_checked"] == 2
    assert db.store.first_difference() is None


def test_importing_it_again_adds_nothing(json_path: Path, db: SkillMetricsStore) -> None:
    write(json_path, *({k: v for k, v in row.items() if k != "id"} for row in ROWS))
    migrate(json_path, db)
    before = db.get_all_metrics()
    again = migrate(json_path, db)
    assert (again["invocations_migrated"], again["duplicates"], again["validation_errors"]) == (0, 10, 0)
    assert db.get_all_metrics() == before


def test_a_dry_run_reports_the_same_and_changes_nothing(json_path: Path, db: SkillMetricsStore) -> None:
    write(json_path, *ROWS, {"skill_name": "lint"})
    plan = DataMigrator(json_path, db, timezone=UTC).plan()
    assert (plan.dry_run, plan.invocations_migrated, plan.validation_errors) == (True, 10, 1)
    assert db.get_all_metrics() == {}
    done = migrate(json_path, db)
    assert (done["invocations_migrated"], done["validation_errors"]) == (10, 1)


def test_an_open_invocation_with_an_outcome_in_the_file_is_finished(json_path: Path, db: SkillMetricsStore) -> None:
    started = {
        k: v for k, v in ROWS[1].items() if k in {"id", "skill_name", "invoked_at", "workflow_path", "session_id"}
    }
    write(json_path, started)
    migrate(json_path, db)
    write(json_path, ROWS[1])
    stats = migrate(json_path, db)
    assert (stats["outcomes_added"], stats["validation_errors"]) == (1, 0)
    use = db.store.invocation("old-1")
    assert (use.outcome, use.duration_seconds) == ("completed", 1.5)


def test_an_invocation_that_differs_in_the_database_is_reported_and_left_alone(
    json_path: Path, db: SkillMetricsStore
) -> None:
    migrate(json_path, db)
    write(json_path, ROWS[0] | {"workflow_path": "full", "completed": True, "error_type": None}, *ROWS[1:])
    stats = migrate(json_path, db)
    fields = {(each["key"], each["field"]) for each in stats["differences"]}
    assert fields == {("old-0", "workflow_path"), ("old-0", "outcome"), ("old-0", "error_type")}
    assert stats["validation_errors"] == 3
    assert db.store.invocation("old-0").workflow_path == "quick"


def test_totals_without_invocations_are_reported_and_nothing_is_invented(
    json_path: Path, db: SkillMetricsStore
) -> None:
    write(json_path, skills={"ghost": {"total_invocations": 12, "completed_invocations": 9}})
    stats = migrate(json_path, db)
    assert stats["aggregates_without_uses"] == {"ghost": 12}
    assert db.get_skill_metrics("ghost") is None


def test_totals_that_differ_from_their_invocations_are_reported(json_path: Path, db: SkillMetricsStore) -> None:
    write(json_path, *ROWS, skills={"lint": {"total_invocations": 5, "completed_invocations": 4}})
    ((difference),) = migrate(json_path, db)["aggregate_differences"]
    assert (difference["key"], difference["field"], difference["json"]) == ("lint", "completed_invocations", 4)


# --- phase one: both are written ----------------------------------------------------------------------------


@pytest.fixture
def dual(json_path: Path, db: SkillMetricsStore) -> DualWriteMetricsTracker:
    return DualWriteMetricsTracker(LegacyJsonTracker(json_path, timezone=UTC), db)


def test_both_sides_record_the_same_invocation(
    dual: DualWriteMetricsTracker, json_path: Path, db: SkillMetricsStore
) -> None:
    migrate(json_path, db)
    dual.track_invocation("lint", "quick", "session", "/project")(completed=False, error_type="ValueError")
    dual.track_invocation("test")(follow_up_actions=["git push"])
    dual.track_invocation("test")
    again = migrate(json_path, db)
    assert (again["duplicates"], again["invocations_migrated"], again["validation_errors"]) == (13, 0, 0)
    assert (dual.report().operations, dual.report().mismatches) == (5, 0)


def test_an_error_on_the_other_side_is_counted_and_repaired_when_the_invocation_ends(
    dual: DualWriteMetricsTracker, db: SkillMetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(db.store, "start_invocation", _unavailable)
        completer = dual.track_invocation("new")
    completer()
    report = dual.report()
    assert (report.database_errors, report.json_errors) == (1, 0)
    assert "away" in report.problems[0]
    metrics = db.get_skill_metrics("new")
    assert metrics is not None
    assert metrics["completed_invocations"] == 1


def test_an_error_on_the_served_side_reaches_the_caller(
    json_path: Path, db: SkillMetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dual = DualWriteMetricsTracker(LegacyJsonTracker(json_path), db, serve="database")
    monkeypatch.setattr(db.store, "start_invocation", _unavailable)
    with pytest.raises(StoreUnavailable):
        dual.track_invocation("new")
    assert dual.report().database_errors == 1


def test_the_chosen_side_is_served(json_path: Path, db: SkillMetricsStore) -> None:
    tracker = LegacyJsonTracker(json_path)
    served_by_json = DualWriteMetricsTracker(tracker, db).get_skill_metrics("lint")
    assert served_by_json == asdict(tracker.get_skill_metrics("lint"))  # type: ignore[arg-type]
    assert DualWriteMetricsTracker(tracker, db, serve="database").get_skill_metrics("lint") is None


def test_finishing_twice_changes_nothing_or_is_a_conflict(dual: DualWriteMetricsTracker, db: SkillMetricsStore) -> None:
    completer = dual.track_invocation("new")
    completer()
    completer()
    with pytest.raises(Conflict):
        completer(completed=False)
    metrics = db.get_skill_metrics("new")
    assert metrics is not None
    assert (metrics["completed_invocations"], dual.report().mismatches) == (1, 0)


# --- phase three: one is read, the other compared -----------------------------------------------------------


def test_equal_sides_have_no_mismatch(json_path: Path, db: SkillMetricsStore) -> None:
    migrate(json_path, db)
    reader = DualReadMetricsTracker(LegacyJsonTracker(json_path, timezone=UTC), db)
    assert reader.get_skill_metrics("lint") == db.get_skill_metrics("lint")
    assert reader.get_all_metrics().keys() == {"lint", "test"}
    assert reader.get_skill_metrics("nobody") is None
    assert (reader.report().operations, reader.report().mismatches) == (3, 0)


def test_every_field_that_differs_is_reported_and_the_database_is_served(
    json_path: Path, db: SkillMetricsStore
) -> None:
    migrate(json_path, db)
    db.track_invocation("lint", "full").completer(completed=False, error_type="KeyError")
    reader = DualReadMetricsTracker(LegacyJsonTracker(json_path, timezone=UTC), db)
    served = reader.get_skill_metrics("lint")
    assert served is not None
    assert served["total_invocations"] == 6
    assert {each.field for each in reader.report().differences} == {
        "total_invocations",
        "abandoned_invocations",
        "workflow_paths",
        "common_errors",
        "last_invoked",
        "completion_rate",
    }


def test_a_json_side_that_cannot_be_read_is_counted(json_path: Path, db: SkillMetricsStore) -> None:
    json_path.write_text("{", "utf-8")
    reader = DualReadMetricsTracker(LegacyJsonTracker(json_path), db)
    assert reader.get_all_metrics() == {}
    assert (reader.report().json_errors, reader.report().mismatches) == (1, 0)


# --- cut-over and rollback ---------------------------------------------------------------------------------


def test_a_cut_over_leaves_the_database_as_the_only_source(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    report = cut_over(json_path, db, folder, timezone=UTC)
    assert (report.stats.invocations_migrated, report.database_backup.total_invocations) == (10, 0)
    assert not json_path.exists()
    assert json.loads(Path(report.kept_json).read_text("utf-8")) == {"invocations": ROWS}
    assert read_state(folder).phase == "database"


def test_a_second_cut_over_is_refused(json_path: Path, db: SkillMetricsStore, folder: Path) -> None:
    cut_over(json_path, db, folder, timezone=UTC)
    write(json_path, *ROWS)
    with pytest.raises(InvalidRecord, match="already"):
        cut_over(json_path, db, folder, timezone=UTC)


def test_a_cut_over_that_would_lose_something_is_refused_unless_that_is_accepted(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    write(json_path, *ROWS, {"skill_name": "lint"})
    with pytest.raises(InvalidRecord, match="1 row unusable"):
        cut_over(json_path, db, folder, timezone=UTC)
    assert (json_path.exists(), db.get_all_metrics(), read_state(folder).phase) == (True, {}, "json")
    cut_over(json_path, db, folder, timezone=UTC, accept_losses=True)
    assert read_state(folder).phase == "database"


def test_a_rollback_brings_the_file_back_with_what_was_tracked_since(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    write(json_path, *ROWS, {"id": "open", "skill_name": "lint", "invoked_at": "2025-03-01T00:00:00Z"})
    cut_over(json_path, db, folder, timezone=UTC)
    db.track_invocation("new", "after").completer(follow_up_actions=["git push"])
    db.store.abandon_stale(timedelta(0))
    report = roll_back(db, folder, timezone=UTC)
    assert (report.rows_brought_back, read_state(folder).phase) == (2, "json")
    again = migrate(json_path, db)
    assert (again["duplicates"], again["invocations_migrated"], again["validation_errors"]) == (12, 0, 0)


def test_a_rollback_without_a_cut_over_is_refused(db: SkillMetricsStore, folder: Path) -> None:
    with pytest.raises(InvalidRecord, match="no cut-over"):
        roll_back(db, folder)


def test_a_rollback_never_overwrites_a_file_that_was_written_since(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    cut_over(json_path, db, folder, timezone=UTC)
    LegacyJsonTracker(json_path).track_invocation("late")
    with pytest.raises(InvalidRecord, match="written to since"):
        roll_back(db, folder)
    assert read_state(folder).phase == "database"


def test_a_rollback_refuses_a_kept_file_that_was_changed(json_path: Path, db: SkillMetricsStore, folder: Path) -> None:
    report = cut_over(json_path, db, folder, timezone=UTC)
    Path(report.kept_json).write_text("{}", "utf-8")
    with pytest.raises(InvalidRecord, match="changed"):
        roll_back(db, folder)


def test_a_cut_over_that_stopped_before_its_last_step_can_be_rolled_back(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    report = cut_over(json_path, db, folder, timezone=UTC)
    Path(report.kept_json).rename(json_path)
    roll_back(db, folder, timezone=UTC)
    assert (json_path.exists(), read_state(folder).phase) == (True, "json")


def _unavailable(_: Any) -> Any:
    raise StoreUnavailable("the database is away", cause="io")
