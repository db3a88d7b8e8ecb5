"""Dual trackers take the place of the plain store, and their counts outlive the process."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.clock import format_time
from store.errors import InvalidRecord, NotFound, StoreUnavailable
from store.legacy.counts import COUNTS_NAME, DualReport, read_counts
from store.legacy.dual import DualReadMetricsTracker, DualTracker, DualWriteMetricsTracker
from store.legacy.gates import next_gate
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.migrator import DataMigrator
from store.legacy.state import CutoverState, enter_phase, read_state, record_event, state_problems
from store.metrics_store import SkillInvocationResult, SkillMetricsStore

NOW = "2026-03-04T12:00:00.000000Z"


@pytest.fixture
def db(tmp_path: Path, migrated_file: Path) -> Iterator[SkillMetricsStore]:
    (tmp_path / "data").mkdir()
    store = SkillMetricsStore(shutil.copyfile(migrated_file, tmp_path / "data" / "skillrank.db"))
    yield store
    store.close()


@pytest.fixture
def folder(db: SkillMetricsStore) -> Path:
    return db.db_path.parent


@pytest.fixture
def json_path(tmp_path: Path) -> Path:
    return tmp_path / "skill_metrics.json"


def writes_json(path: Path, db: SkillMetricsStore) -> DualTracker:
    return DualWriteMetricsTracker(LegacyJsonTracker(path, timezone=UTC), db)


def writes_database(path: Path, db: SkillMetricsStore) -> DualTracker:
    return DualWriteMetricsTracker(LegacyJsonTracker(path, timezone=UTC), db, serve="database")


def reads(path: Path, db: SkillMetricsStore) -> DualTracker:
    return DualReadMetricsTracker(LegacyJsonTracker(path, timezone=UTC), db)


@pytest.fixture(params=[writes_json, writes_database, reads])
def dual(request: pytest.FixtureRequest, json_path: Path, db: SkillMetricsStore) -> DualTracker:
    make: Callable[[Path, SkillMetricsStore], DualTracker] = request.param
    return make(json_path, db)


def differences(json_path: Path, db: SkillMetricsStore) -> tuple[int, int]:
    """Return how many invocations only the file has, and in how many fields the sides differ."""
    stats = DataMigrator(json_path, db, timezone=UTC).plan()
    return stats.invocations_migrated, stats.validation_errors


# --- in the place of the plain store ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["track_invocation", "track_invocation_concurrent", "get_skill_metrics", "get_all_metrics", "get_summary"]
)
@pytest.mark.parametrize("kind", [DualWriteMetricsTracker, DualReadMetricsTracker])
def test_every_method_takes_the_arguments_of_the_plain_one(kind: type, name: str) -> None:
    plain, mine = (inspect.signature(getattr(each, name)) for each in (SkillMetricsStore, kind))
    assert list(mine.parameters.values()) == list(plain.parameters.values())


def test_a_handle_has_a_completer_and_can_be_called_or_left(dual: DualTracker, json_path: Path) -> None:
    handle = dual.track_invocation("lint", "quick", "s", "/project", workflow_phase="check", search_id="q")
    assert isinstance(handle, SkillInvocationResult)
    handle.completer(True, ["git commit"])
    dual.track_invocation("lint")(completed=False, error_type="ValueError")
    with pytest.raises(KeyError), dual.track_invocation("lint"):
        raise KeyError
    with dual.track_invocation("test"):
        pass
    metrics = dual.get_skill_metrics("lint")
    assert metrics is not None
    assert (metrics["total_invocations"], metrics["completed_invocations"]) == (3, 1)
    assert metrics["common_errors"] == {"KeyError": 1, "ValueError": 1}
    assert differences(json_path, dual.db_store) == (0, 0)
    rows = json.loads(json_path.read_text("utf-8"))["invocations"]
    assert (rows[0]["workflow_phase"], rows[0]["search_id"]) == ("check", "q")


def test_every_reading_method_answers(dual: DualTracker) -> None:
    for completed in (True, False):
        dual.track_invocation("lint", "quick", "s").completer(completed)
    dual.track_invocation("test", "full", "s")
    assert list(dual.get_all_metrics()) == ["lint", "test"]
    summary = dual.get_summary()
    assert (summary["total_skills"], summary["total_invocations"], summary["overall_completion_rate"]) == (2, 3, 50.0)
    assert (summary["most_used_skill"], summary["most_used_count"], summary["running_invocations"]) == ("lint", 2, 1)
    assert summary["top_workflow_paths"] == [{"value": "quick", "n": 2}, {"value": "full", "n": 1}]
    assert summary.keys() == dual.db_store.get_summary().keys()
    assert dual.get_skill_timeline("lint")[-1]["invocations"] + dual.get_skill_timeline("lint")[-2]["invocations"] == 2
    assert [path["skill_name"] for path in dual.search_workflow_paths("full")] == ["test"]
    assert [skill["skill_name"] for skill in dual.get_session_skills("s")] == ["lint", "test"]
    assert dual.report().mismatches == 0


def test_ending_a_session_abandons_what_is_open_on_both_sides(dual: DualTracker, json_path: Path) -> None:
    dual.track_invocation("lint", session_id="s")
    dual.end_session_updates("s")
    for metrics in (dual.db_store.get_skill_metrics("lint"), dual.get_skill_metrics("lint")):
        assert metrics is not None
        assert metrics["abandoned_invocations"] == 1
    assert differences(json_path, dual.db_store) == (0, 0)


def test_an_unknown_session_is_the_callers_mistake_and_is_not_counted(dual: DualTracker) -> None:
    with pytest.raises(NotFound):
        dual.end_session_updates("nobody")
    assert dual.report() == DualReport()


def test_an_import_reaches_both_sides_and_leaves_out_what_the_database_refuses(
    dual: DualTracker, json_path: Path
) -> None:
    rows = [
        {"skill_name": "lint", "invoked_at": "2025-01-01T00:00:00Z", "completed": True, "duration_seconds": 2.0},
        {"id": "bad", "skill_name": "lint", "invoked_at": "yesterday"},
    ]
    report = dual.bulk_import_invocations(rows)
    assert (report.imported, [identifier for identifier, _ in report.refused]) == (1, ["bad"])
    assert len(json.loads(json_path.read_text("utf-8"))["invocations"]) == 1
    assert differences(json_path, dual.db_store) == (0, 0)


@pytest.mark.parametrize("kept", [True, False])
def test_the_words_of_queries_reach_the_file_only_where_they_are_kept(
    json_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setenv("SKILLRANK_KEEP_QUERIES", str(kept).lower())
    store = SkillMetricsStore(tmp_path / "own" / "skillrank.db")
    writes_json(json_path, store).track_invocation("dig", user_query="where to dig").completer()
    assert ("where to dig" in json_path.read_text("utf-8")) == kept
    assert differences(json_path, store) == (0, 0)
    store.close()


# --- counts that outlive the process ---------------------------------------------------------------------------------


def test_counts_are_added_up_over_processes(json_path: Path, folder: Path) -> None:
    program = """
from store.metrics_db import get_store
for _ in range(5):
    get_store().track_invocation("lint").completer()
get_store().close()
"""
    environment = {
        "SKILLRANK_DATA_DIR": str(folder),
        "SKILLRANK_METRICS_MODE": "dual-write",
        "SKILLRANK_JSON_METRICS": str(json_path),
        "PYTHONPATH": str(Path(__file__).parents[4]),
    }
    running = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    counts = read_counts(folder)["dual_write"]
    assert (counts.operations, counts.agreements, counts.mismatches, counts.last_fault_at) == (20, 20, 0, None)
    assert read_state(folder).phase == "dual_write"
    metrics = LegacyJsonTracker(json_path).get_skill_metrics("lint")
    assert metrics is not None
    assert metrics.completed_invocations == 10


def test_an_error_and_a_mismatch_are_kept_with_their_words(
    json_path: Path, db: SkillMetricsStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(db.store, "start_invocation", _unavailable)
        writes_json(json_path, db).track_invocation("lint")
    db.track_invocation("test")
    reads(json_path, db).get_all_metrics()
    counts = read_counts(folder)
    assert (counts["dual_write"].database_errors, counts["dual_write"].agreements) == (1, 0)
    assert "away" in counts["dual_write"].problems[0]
    assert {each.key for each in counts["dual_read"].differences} == {"lint", "test"}
    assert counts["dual_read"].mismatches == 1
    assert counts["dual_read"].last_fault_at is not None


def test_counts_that_cannot_be_written_keep_nobody_from_tracking(
    json_path: Path, db: SkillMetricsStore, folder: Path
) -> None:
    (folder / COUNTS_NAME).write_text("{", "utf-8")
    tracker = writes_json(json_path, db)
    tracker.track_invocation("lint").completer()
    assert tracker.report().agreements == 2
    with pytest.raises(InvalidRecord, match="remove it to count anew"):
        read_counts(folder)


def test_what_differs_only_while_somebody_writes_is_no_mismatch(
    json_path: Path, db: SkillMetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = reads(json_path, db)
    late = LegacyJsonTracker(json_path)
    use = db.track_invocation("lint")
    row = open_row(db, use.invocation_id)
    read = LegacyJsonTracker.get_skill_metrics
    asked: list[str] = []

    def slowly(self: LegacyJsonTracker, name: str) -> Any:
        found = read(self, name)
        if not asked:
            late.add_rows([row])
        asked.append(name)
        return found

    monkeypatch.setattr(LegacyJsonTracker, "get_skill_metrics", slowly)
    tracker.get_skill_metrics("lint")
    assert (len(asked), tracker.report().mismatches, tracker.report().agreements) == (2, 0, 1)


def open_row(db: SkillMetricsStore, identifier: str) -> dict[str, Any]:
    use = db.store.invocation(identifier)
    return {"id": use.id, "skill_name": use.skill_name, "invoked_at": use.invoked_at}


# --- gates -----------------------------------------------------------------------------------------------------------


def state(phase: Any, **fields: Any) -> CutoverState:
    return CutoverState(phase=phase, updated_at=NOW, **fields)


def after(days: float, clock: Any) -> Any:
    return clock.moment + timedelta(days=days)


def test_dual_writing_waits_for_a_week_without_a_fault(clock: Any) -> None:
    counted = DualReport(operations=5, agreements=5, since=NOW)
    assert next_gate(state("dual_write"), {}, after(30, clock)).waits_for == ["the first write on both sides"]
    assert not next_gate(state("dual_write"), {"dual_write": counted}, after(6.9, clock)).open
    gate = next_gate(state("dual_write"), {"dual_write": counted}, after(7, clock))
    assert (gate.open, gate.next_step) == (True, "skillrank import-json PATH")
    fault = DualReport(operations=9, since=NOW, last_fault_at=format_time(after(5, clock)))
    assert next_gate(state("dual_write"), {"dual_write": fault}, after(7, clock)).waits_for == [
        "7 days without an error or a difference; 2 days have passed"
    ]


@pytest.mark.parametrize(
    ("report", "waits"),
    [
        ({"validation_errors": 0, "aggregates_without_uses": {}, "aggregate_differences": []}, ""),
        ({"validation_errors": 3}, "3 validation errors"),
        ({"aggregates_without_uses": {"ghost": 12}}, "1 skill with totals"),
    ],
)
def test_comparing_waits_for_an_import_without_losses(clock: Any, report: dict[str, Any], waits: str) -> None:
    events = [{"at": NOW, "phase": "migrated", "report": {"validation_errors": 9}}]
    events.append({"at": NOW, "phase": "migrated", "report": report})
    gate = next_gate(state("migrated", events=events), {}, clock())
    assert gate.open == (not waits)
    assert waits in " ".join(gate.waits_for)


def test_the_cut_over_waits_for_an_import_and_for_comparisons(clock: Any) -> None:
    gate = next_gate(state("dual_read"), {}, clock())
    assert (gate.open, len(gate.waits_for), gate.next_step) == (False, 2, "skillrank cutover PATH")


def test_the_kept_file_may_go_a_week_after_the_cut_over(clock: Any) -> None:
    over = state("database", kept_json="kept.json")
    assert [next_gate(over, {}, after(days, clock)).open for days in (0, 6, 7)] == [False, False, True]


def test_the_phase_only_moves_forward_until_it_is_rolled_back(tmp_path: Path, json_path: Path) -> None:
    record_event(tmp_path, "dual_read", {})
    enter_phase(tmp_path, "dual_write", json_path)
    record_event(tmp_path, "migrated", {})
    assert (read_state(tmp_path).phase, len(read_state(tmp_path).events)) == ("dual_read", 2)
    record_event(tmp_path, "json", {})
    assert read_state(tmp_path).phase == "json"


def test_a_json_file_that_comes_back_is_a_problem_until_it_is_gone(tmp_path: Path, json_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{}", "utf-8")
    record_event(tmp_path, "database", {}, json_path=str(json_path), kept_json=str(kept), json_sha256="0")
    assert state_problems(tmp_path) == []
    LegacyJsonTracker(json_path).track_invocation("late")
    (problem,) = state_problems(tmp_path)
    assert "exists again" in problem
    assert "import-json" in problem
    json_path.unlink()
    assert state_problems(tmp_path) == []


def test_a_state_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "cutover.json").write_text("{", "utf-8")
    (problem,) = state_problems(tmp_path)
    assert "cannot be read" in problem


def _unavailable(_: Any) -> Any:
    raise StoreUnavailable("the database is away", cause="io")
