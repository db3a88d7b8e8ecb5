"""The specification's names in process; its own examples are in test_specification_examples.py."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from store import metrics_db
from store.errors import Conflict, InvalidRecord, NotFound, StoreUnavailable
from store.legacy.dual import DualReadMetricsTracker, DualWriteMetricsTracker
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.state import read_state, record_event
from store.metrics_db import SkillMetricsStore, check_database_health, get_store, track_skill


@pytest.fixture
def tracker(tmp_path: Path, migrated_file: Path) -> Iterator[SkillMetricsStore]:
    store = SkillMetricsStore(shutil.copyfile(migrated_file, tmp_path / "metrics.db"))
    yield store
    store.close()


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this process's shared store lies; closed again at the end."""
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(tmp_path / "data"))
    yield tmp_path / "data" / "skillrank.db"
    if metrics_db._shared is not None:
        metrics_db._shared.close()


# --- the specification's four tests --------------------------------------------------------------------------------


def test_track_invocation(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("test-skill", workflow_path="quick")
    handle.completer(completed=True, follow_up_actions=["action1"])
    metrics = tracker.get_skill_metrics("test-skill")
    assert metrics is not None
    assert metrics["total_invocations"] == 1
    assert metrics["completed_invocations"] == 1
    assert metrics["completion_rate"] == 100.0


def test_failed_invocation(tracker: SkillMetricsStore) -> None:
    tracker.track_invocation("test-skill").completer(completed=False, error_type="ValueError")
    metrics = tracker.get_skill_metrics("test-skill")
    assert metrics is not None
    assert metrics["abandoned_invocations"] == 1
    assert metrics["completion_rate"] == 0.0
    assert metrics["common_errors"] == {"ValueError": 1}


def test_workflow_path_aggregation(tracker: SkillMetricsStore) -> None:
    for path in ("quick", "quick", "quick", "comprehensive", "comprehensive"):
        tracker.track_invocation("test-skill", workflow_path=path).completer(completed=True)
    metrics = tracker.get_skill_metrics("test-skill")
    assert metrics is not None
    assert metrics["workflow_paths"] == {"quick": 3, "comprehensive": 2}


@pytest.mark.parametrize("threads", [10, 200])
@pytest.mark.parametrize("name", ["track_invocation", "track_invocation_concurrent"])
def test_concurrent_access(tracker: SkillMetricsStore, threads: int, name: str) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(threads)

    def track() -> None:
        try:
            together.wait(30)
            getattr(tracker, name)("test-skill").completer(completed=True)
        except BaseException as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    running = [threading.Thread(target=track) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    metrics = tracker.get_skill_metrics("test-skill")
    assert failures == []
    assert metrics is not None
    assert (metrics["total_invocations"], metrics["completed_invocations"]) == (threads, threads)
    assert tracker.store.first_difference() is None


# --- the handle ----------------------------------------------------------------------------------------------


def recorded(tracker: SkillMetricsStore, handle: metrics_db.SkillInvocationResult) -> Any:
    return tracker.store.invocation(handle.invocation_id)


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ((), "completed"),
        ((True,), "completed"),
        ((True, ["commit"]), "completed"),
        ((True, None, None), "completed"),
        ((False, None, "ValueError"), "failed"),
        ((False, ["retry"], "ValueError"), "failed"),
        ((False,), "abandoned"),
        ((False, None, None), "abandoned"),
    ],
)
def test_the_completer_takes_completed_actions_and_error_by_position(
    tracker: SkillMetricsStore, arguments: tuple[Any, ...], outcome: str
) -> None:
    handle = tracker.track_invocation("lint")
    handle.completer(*arguments)
    use = recorded(tracker, handle)
    actions, error = (*arguments, None, None, None)[1:3]
    assert (use.outcome, use.follow_up_actions, use.error_type) == (outcome, actions or [], error)


def test_the_handle_itself_can_be_called(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("lint")
    handle(completed=True)
    assert recorded(tracker, handle).outcome == "completed"


def test_repeating_the_same_outcome_changes_nothing(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("lint")
    handle.completer(True, ["commit"])
    before = recorded(tracker, handle)
    handle.completer(True, ["commit"])
    assert recorded(tracker, handle) == before


def test_a_different_outcome_is_a_conflict(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("lint")
    handle.completer(True)
    with pytest.raises(Conflict):
        handle.completer(False, None, "ValueError")
    assert recorded(tracker, handle).outcome == "completed"


def test_leaving_the_block_completes_the_invocation(tracker: SkillMetricsStore) -> None:
    with tracker.track_invocation("lint") as handle:
        assert recorded(tracker, handle).outcome is None
    assert recorded(tracker, handle).outcome == "completed"


def test_an_error_in_the_block_is_recorded_as_a_failure_and_raised(tracker: SkillMetricsStore) -> None:
    with pytest.raises(ZeroDivisionError), tracker.track_invocation("lint") as handle:
        raise ZeroDivisionError
    use = recorded(tracker, handle)
    assert (use.outcome, use.error_type) == ("failed", "ZeroDivisionError")


def test_an_outcome_given_in_the_block_is_kept(tracker: SkillMetricsStore) -> None:
    with tracker.track_invocation("lint") as handle:
        handle.completer(False, ["ask"])
    use = recorded(tracker, handle)
    assert (use.outcome, use.follow_up_actions, use.error_type) == ("abandoned", ["ask"], None)


def test_the_duration_is_that_of_the_work_even_when_the_wall_clock_jumps(tmp_path: Path, clock: Any) -> None:
    tracker = SkillMetricsStore(tmp_path / "metrics.db", clock=clock)
    handle = tracker.track_invocation("lint")
    clock.advance(hours=5)
    handle.completer()
    assert 0 <= recorded(tracker, handle).duration_seconds < 60
    tracker.close()


def test_an_invocation_is_tracked_with_any_field_of_its_record(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("lint", "quick", "s", "/project", search_id="q", workflow_phase="check")
    use = recorded(tracker, handle)
    assert (use.workflow_path, use.session_id, use.project_path) == ("quick", "s", "/project")
    assert (use.search_id, use.workflow_phase) == ("q", "check")


# --- reading -------------------------------------------------------------------------------------------------


def test_an_unused_skill_has_no_metrics(tracker: SkillMetricsStore) -> None:
    assert (tracker.get_skill_metrics("nobody"), tracker.get_all_metrics()) == (None, {})


def test_all_metrics_come_most_used_first(tracker: SkillMetricsStore) -> None:
    for skill in ("a", "b", "b"):
        tracker.track_invocation(skill)
    assert list(tracker.get_all_metrics()) == ["b", "a"]


def test_the_summary_has_the_fields_of_the_specification(tracker: SkillMetricsStore) -> None:
    tracker.track_invocation("lint", "quick").completer(False, None, "ValueError")
    summary = tracker.get_summary()
    assert (summary["total_skills"], summary["total_invocations"], summary["overall_completion_rate"]) == (1, 1, 0.0)
    assert (summary["most_used_skill"], summary["most_used_count"]) == ("lint", 1)
    assert summary["top_errors"] == [{"value": "ValueError", "n": 1}]
    assert summary["top_workflow_paths"] == [{"value": "quick", "n": 1}]


@pytest.mark.parametrize(("window", "buckets"), [("7 days", 169), ("24h", 25), ("1 week", 169), (" 2 Hours ", 3)])
def test_a_timeline_of_a_window_as_people_write_it(tracker: SkillMetricsStore, window: str, buckets: int) -> None:
    tracker.track_invocation("lint")
    timeline = tracker.get_skill_timeline("lint", window)
    assert len(timeline) == buckets
    assert sum(bucket["invocations"] for bucket in timeline) == 1


@pytest.mark.parametrize("window", ["", "7", "days", "-1 days", "0h", "7 days; DROP TABLE skills", "start of 7 days"])
def test_a_window_in_another_form_is_refused(tracker: SkillMetricsStore, window: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        tracker.get_skill_timeline("lint", window)
    assert refused.value.field == "window"


def test_a_path_with_a_hyphen_is_found_by_its_own_text(tracker: SkillMetricsStore) -> None:
    tracker.track_invocation("lint", "crackerjack-run")
    assert [path["workflow_path"] for path in tracker.search_workflow_paths("crackerjack-run")] == ["crackerjack-run"]


def test_ending_a_session_abandons_what_is_open_and_computes_percentiles(tracker: SkillMetricsStore) -> None:
    for _ in range(2):
        tracker.track_invocation("lint", session_id="s").completer()
    tracker.track_invocation("lint", session_id="s")
    tracker.end_session_updates("s")
    metrics = tracker.get_skill_metrics("lint")
    assert metrics is not None
    assert (metrics["abandoned_invocations"], metrics["running_invocations"]) == (1, 0)
    assert metrics["p50_duration_seconds"] is not None
    (line,) = tracker.get_session_skills("s")
    assert (line["invocation_count"], line["completed_count"], line["abandoned_count"]) == (3, 2, 1)


def test_ending_an_unknown_session_is_not_found(tracker: SkillMetricsStore) -> None:
    with pytest.raises(NotFound):
        tracker.end_session_updates("nobody")


def test_health_has_counts(tracker: SkillMetricsStore) -> None:
    tracker.track_invocation("lint")
    health = check_database_health(tracker)
    assert (health["total_invocations"], health["open_invocations"]) == (1, 1)


# --- importing -----------------------------------------------------------------------------------------------

FULL_ROW = {
    "id": "use",
    "skill_name": "lint",
    "invoked_at": "2026-01-01T10:00:00",
    "session_id": "s",
    "workflow_path": "quick",
    "workflow_phase": "check",
    "completed": True,
    "duration_seconds": 2.5,
    "project_path": "/project",
    "user_query": "which?",
    "selection_rank": 1,
    "alternatives_considered": ["test"],
    "follow_up_actions": ["commit"],
}


def test_an_import_keeps_every_field(tracker: SkillMetricsStore) -> None:
    report = tracker.bulk_import_invocations([FULL_ROW])
    assert (report.imported, report.refused) == (1, [])
    use = tracker.store.invocation("use")
    for field in FULL_ROW.keys() - {"completed", "invoked_at"}:
        assert getattr(use, field) == FULL_ROW[field], field
    assert (use.invoked_at, use.outcome, use.source) == ("2026-01-01T10:00:00.000000Z", "completed", "import")


def test_importing_again_counts_duplicates(tracker: SkillMetricsStore) -> None:
    tracker.bulk_import_invocations([FULL_ROW])
    report = tracker.bulk_import_invocations([FULL_ROW, FULL_ROW | {"id": "new"}])
    assert (report.imported, report.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"completed": True}, "completed"),
        ({"completed": False}, "abandoned"),
        ({"completed": False, "error_type": "ValueError"}, "failed"),
        ({"outcome": "cancelled"}, "cancelled"),
        ({"outcome": "cancelled", "completed": True}, "cancelled"),
        ({"completed": None}, None),
        ({}, None),
    ],
)
def test_a_row_gives_its_outcome_in_either_field(
    tracker: SkillMetricsStore, told: dict[str, Any], outcome: str | None
) -> None:
    tracker.bulk_import_invocations([{"id": "use", "skill_name": "lint"} | told])
    assert tracker.store.invocation("use").outcome == outcome


def test_a_row_without_a_duration_gets_none(tracker: SkillMetricsStore) -> None:
    row = {"id": "use", "skill_name": "lint", "invoked_at": "2020-01-01T00:00:00Z", "completed": True}
    tracker.bulk_import_invocations([row])
    assert tracker.store.invocation("use").duration_seconds is None


@pytest.mark.parametrize(
    "broken",
    [
        {"skill_name": None},
        {"skill_name": 7},
        {"invoked_at": "yesterday"},
        {"invoked_at": 1_700_000_000},
        {"duration_seconds": -1},
        {"duration_seconds": "long"},
        {"outcome": "splendid"},
        {"selection_rank": 0},
        {"follow_up_actions": "commit"},
        {"user_context": []},
    ],
    ids=repr,
)
def test_a_row_that_cannot_be_used_is_reported_and_the_others_are_imported(
    tracker: SkillMetricsStore, broken: dict[str, Any]
) -> None:
    report = tracker.bulk_import_invocations([FULL_ROW | {"id": "bad"} | broken, FULL_ROW])
    assert report.imported == 1
    ((row_id, reason),) = report.refused
    assert row_id == "bad"
    assert reason
    with pytest.raises(NotFound):
        tracker.store.invocation("bad")


# --- the shared store ----------------------------------------------------------------------------------------


def test_the_shared_store_is_in_the_data_folder(shared: Path) -> None:
    assert get_store().db_path == shared
    assert shared.is_file()


@pytest.mark.usefixtures("shared")
def test_the_shared_store_is_one_for_the_process() -> None:
    found: list[SkillMetricsStore] = []
    threads = [threading.Thread(target=lambda: found.append(get_store())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.usefixtures("shared")
def test_another_file_for_the_shared_store_is_refused(tmp_path: Path) -> None:
    get_store()
    with pytest.raises(InvalidRecord, match="SkillMetricsStore"):
        get_store(tmp_path / "other.db")


@pytest.mark.usefixtures("shared")
def test_the_shared_store_is_reopened_after_it_was_closed() -> None:
    get_store().track_invocation("lint")
    get_store().close()
    metrics = get_store().get_skill_metrics("lint")
    assert metrics is not None
    assert metrics["total_invocations"] == 1


@pytest.mark.usefixtures("shared")
def test_track_skill_returns_the_completer() -> None:
    finish: Callable[..., None] = track_skill("lint", "quick", "s")
    finish(False, ["retry"], "ValueError")
    (use,) = get_store().store.session_invocations("s")
    assert (use.outcome, use.workflow_path, use.error_type) == ("failed", "quick", "ValueError")


def test_a_closed_store_says_so(tracker: SkillMetricsStore) -> None:
    tracker.close()
    tracker.close()
    with pytest.raises(StoreUnavailable) as refused:
        tracker.track_invocation("lint")
    assert refused.value.cause == "closed"


def test_times_are_in_utc(tracker: SkillMetricsStore) -> None:
    handle = tracker.track_invocation("lint")
    invoked_at = datetime.fromisoformat(recorded(tracker, handle).invoked_at)
    assert abs((datetime.now(UTC) - invoked_at).total_seconds()) < 60


def test_a_block_whose_session_ended_meanwhile_still_raises_its_own_error(tracker: SkillMetricsStore) -> None:
    with pytest.raises(KeyError), tracker.track_invocation("test-skill", session_id="s"):  # noqa: PT012  two steps
        tracker.end_session_updates("s")
        raise KeyError
    metrics = tracker.get_skill_metrics("test-skill")
    assert metrics is not None
    assert (metrics["abandoned_invocations"], metrics["failed_invocations"]) == (1, 0)


# --- the words of queries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SKILLRANK_KEEP_QUERIES", "SKILLRANK_KEEP_QUESTIONS"])
@pytest.mark.parametrize(("told", "kept"), [("true", "where to dig"), ("false", None), ("0", None)])
def test_the_words_of_queries_are_kept_as_the_setting_says(
    shared: Path, monkeypatch: pytest.MonkeyPatch, variable: str, told: str, kept: str | None
) -> None:
    monkeypatch.setenv(variable, told)
    handle = get_store().track_invocation("dig", user_query="where to dig")
    assert get_store().store.invocation(handle.invocation_id).user_query == kept
    get_store().close()
    assert (b"where to dig" in shared.read_bytes()) == (kept is not None)


def test_no_words_are_kept_when_the_setting_cannot_be_read(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLRANK_KEEP_QUERIES", "perhaps")
    with pytest.raises(InvalidRecord, match="true or false"):
        get_store()
    assert not shared.exists()


# --- without data ----------------------------------------------------------------------------------------------------


def test_rates_and_averages_without_data_are_zero_here_and_unknown_in_the_store(tracker: SkillMetricsStore) -> None:
    tracker.track_invocation("lint", "quick", "s")
    metrics = tracker.get_skill_metrics("lint")
    assert metrics is not None
    shown = [metrics, tracker.get_all_metrics()["lint"], tracker.get_summary()]
    shown += [tracker.get_skill_timeline("lint")[-1], tracker.search_workflow_paths("quick")[0]]
    averages = [cell for each in shown for name, cell in each.items() if name.endswith("rate") or "avg" in name]
    assert [f"{average:.1f}" for average in averages] == ["0.0"] * 8
    recorded_metrics = tracker.store.skill_metrics("lint")
    assert recorded_metrics is not None
    assert (recorded_metrics.completion_rate, recorded_metrics.avg_duration_seconds) == (None, None)


def test_the_summary_of_an_empty_store_can_be_formatted(tracker: SkillMetricsStore) -> None:
    summary = tracker.get_summary()
    assert f"{summary['overall_completion_rate']:.1f} {summary['avg_duration_seconds']:.1f}" == "0.0 0.0"


# --- options of the specification -------------------------------------------------------------------------------------


def test_a_write_waits_for_other_processes_as_long_as_busy_timeout_says(tmp_path: Path, migrated_file: Path) -> None:
    path = shutil.copyfile(migrated_file, tmp_path / "metrics.db")
    tracker = SkillMetricsStore(path, busy_timeout=200)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"for 0\.2 seconds") as refused:
        tracker.track_invocation("lint")
    assert 0.15 < time.monotonic() - began < 5
    assert refused.value.cause == "locked"
    holder.execute("ROLLBACK")
    tracker.track_invocation("lint")
    tracker.close()
    holder.close()


@pytest.mark.parametrize(("options", "field"), [({"enable_wal": False}, "enable_wal"), ({"busy_timeout": -1}, "busy")])
def test_an_option_that_cannot_be_honoured_is_refused_before_anything_is_made(
    tmp_path: Path, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecord, match=field):
        SkillMetricsStore(tmp_path / "new" / "metrics.db", **options)
    assert not (tmp_path / "new").exists()


def test_the_connection_for_sql_is_closed_with_the_store(tracker: SkillMetricsStore) -> None:
    assert tracker.conn is tracker.conn
    tracker.close()
    with pytest.raises(StoreUnavailable):
        _ = tracker.conn


# --- a dual tracker by setting --------------------------------------------------------------------------------------


@pytest.fixture
def json_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "skill_metrics.json"
    monkeypatch.setenv("SKILLRANK_JSON_METRICS", str(path))
    return path


@pytest.mark.parametrize(
    ("mode", "kind"), [("dual-write", DualWriteMetricsTracker), ("dual-read", DualReadMetricsTracker)]
)
def test_a_setting_makes_the_shared_store_a_dual_tracker(
    shared: Path, json_file: Path, monkeypatch: pytest.MonkeyPatch, mode: str, kind: type
) -> None:
    monkeypatch.setenv("SKILLRANK_METRICS_MODE", mode)
    track_skill("lint", "quick")(True, ["git commit"])
    assert isinstance(get_store(), kind)
    assert get_store() is get_store()
    assert get_store().db_path == shared
    metrics = LegacyJsonTracker(json_file).get_skill_metrics("lint")
    assert metrics is not None
    assert metrics.follow_up_actions == {"git commit": 1}
    assert read_state(shared.parent).phase == mode.replace("-", "_")


@pytest.mark.usefixtures("shared")
def test_a_dual_mode_without_a_json_file_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKILLRANK_JSON_METRICS", raising=False)
    monkeypatch.setenv("SKILLRANK_METRICS_MODE", "dual-write")
    with pytest.raises(InvalidRecord, match="SKILLRANK_JSON_METRICS"):
        get_store()


@pytest.mark.usefixtures("shared")
def test_an_unknown_mode_is_refused_with_those_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLRANK_METRICS_MODE", "both")
    with pytest.raises(InvalidRecord, match="SKILLRANK_METRICS_MODE is 'both'; set it to one of sqlite, dual-write"):
        get_store()


def test_a_dual_mode_after_the_cut_over_is_refused_and_makes_no_json_file(
    shared: Path, json_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_event(shared.parent, "database", {})
    monkeypatch.setenv("SKILLRANK_METRICS_MODE", "dual-write")
    with pytest.raises(InvalidRecord, match="unset SKILLRANK_METRICS_MODE"):
        get_store()
    assert not json_file.exists()


def test_a_single_text_is_one_follow_up_action(shared: Path) -> None:  # noqa: ARG001  the store's place
    store = get_store()
    store.track_invocation("dig").completer(completed=True, follow_up_actions="write tests")  # type: ignore[arg-type]
    metrics = store.get_skill_metrics("dig")
    assert metrics is not None
    assert metrics["follow_up_actions"] == {"write tests": 1}
    store.close()
