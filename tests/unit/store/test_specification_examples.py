"""Every Python example of the specification's three documents, as it is printed there but for the import path.

Left out is what the documents show of an implementation's insides: `_transaction`, `_skill_lock`,
`_isolated_transaction` and schemas. ``store.conn`` is read-only here, so that every write keeps the log and the metrics
consistent.
"""
# ruff: noqa: T201, BLE001, TRY301  the examples print, and catch what they raise

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrations import MigrationRunner
from migrations.files import SQLITE_MIGRATIONS
from store import metrics_db
from store.legacy.dual import DualReadMetricsTracker, DualWriteMetricsTracker
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.migrator import DataMigrator
from store.metrics_db import (
    SkillInvocationResult,
    SkillMetricsData,
    SkillMetricsStore,
    check_database_health,
    get_store,
    track_skill,
)

logger = logging.getLogger(__name__)


@pytest.fixture
def temp_db(tmp_path: Path) -> Iterator[SkillMetricsStore]:
    db_path = tmp_path / "test_metrics.db"
    store = SkillMetricsStore(db_path)
    yield store
    store.close()


@pytest.fixture
def store(temp_db: SkillMetricsStore) -> SkillMetricsStore:
    return temp_db


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(tmp_path / "data"))
    yield
    if metrics_db._shared is not None:
        metrics_db._shared.close()


@pytest.fixture
def json_path(tmp_path: Path) -> Path:
    path = tmp_path / "skill_metrics.json"
    row = {"skill_name": "crackerjack-run", "invoked_at": "2025-02-10T09:30:00", "completed": True}
    path.write_text(json.dumps({"invocations": [row]}), "utf-8")
    return path


# --- quick reference ------------------------------------------------------------------------------------------


def test_quick_reference_pattern_1_track_invocation() -> None:
    store = get_store()

    # Start tracking
    result = store.track_invocation(
        skill_name="crackerjack-run", workflow_path="comprehensive", session_id="session-abc123"
    )

    # Complete (atomic update + metric recalculation)
    result.completer(completed=True, follow_up_actions=["git commit", "git push"])


def test_quick_reference_pattern_2_concurrent_access(store: SkillMetricsStore) -> None:
    result = store.track_invocation_concurrent("crackerjack-run")
    result.completer(completed=True)


@pytest.mark.parametrize("tracked", [True, False])
def test_quick_reference_pattern_3_analytical_queries(
    store: SkillMetricsStore, capsys: pytest.CaptureFixture[str], tracked: bool
) -> None:
    result = store.track_invocation("crackerjack-run")
    if tracked:
        result.completer(completed=True)

    # Get skill metrics
    metrics: Any = store.get_skill_metrics("crackerjack-run")
    print(f"Completion: {metrics['completion_rate']:.1f}%")

    # Get all skills
    all_metrics = store.get_all_metrics()

    # Get summary
    summary = store.get_summary()
    print(f"Total skills: {summary['total_skills']}")
    print(f"Overall completion: {summary['overall_completion_rate']:.1f}%")

    # Timeline analysis
    timeline = store.get_skill_timeline("crackerjack-run", time_window="7 days")

    # Full-text search
    results = store.search_workflow_paths("comprehensive")

    rate = "100.0" if tracked else "0.0"
    assert capsys.readouterr().out == f"Completion: {rate}%\nTotal skills: 1\nOverall completion: {rate}%\n"
    assert (list(all_metrics), len(timeline), results) == (["crackerjack-run"], 169, [])


def test_quick_reference_phase_1_dual_write(json_path: Path, store: SkillMetricsStore) -> None:
    dual = DualWriteMetricsTracker(LegacyJsonTracker(json_path), store)
    dual_complete = dual.track_invocation("crackerjack-run", "daily")
    dual_complete(completed=True, follow_up_actions=["git commit"])
    assert dual.report().agreements == 2


def test_quick_reference_phase_2_data_migration(
    json_path: Path, store: SkillMetricsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    # Bulk migrate historical data
    migrator = DataMigrator(json_path=json_path, db_store=store)

    stats = migrator.migrate_all_data()
    print(f"Migrated {stats['invocations_migrated']} invocations")
    assert capsys.readouterr().out == "Migrated 1 invocations\n"


def test_quick_reference_phase_3_dual_read_validation(json_path: Path, store: SkillMetricsStore) -> None:
    json_tracker = LegacyJsonTracker(json_path)
    DataMigrator(json_path, store).migrate_all_data()
    db_metrics: Any = DualReadMetricsTracker(json_tracker, store).get_skill_metrics("crackerjack-run")
    json_metrics = json_tracker.get_skill_metrics("crackerjack-run")

    # Validate consistency
    assert isinstance(json_metrics, SkillMetricsData)
    assert db_metrics["total_invocations"] == json_metrics.total_invocations


def test_quick_reference_migration_runner(tmp_path: Path) -> None:
    runner = MigrationRunner(db_path=tmp_path / "skill_metrics.db", migrations_dir=SQLITE_MIGRATIONS)

    # Run pending migrations
    runner.run_migrations()

    # Rollback if needed; every version above 2 first, for versions are taken back newest first
    for version in range(runner.current_version(), 2, -1):
        runner.rollback_migration(version=version)
    runner.rollback_migration(version=2)
    assert runner.current_version() == 1


def test_quick_reference_sqlite_pragmas(tmp_path: Path) -> None:
    # The database on its own, while no program has it open.
    db_path = tmp_path / "skill_metrics.db"
    SkillMetricsStore(db_path).close()
    conn = sqlite3.connect(db_path)
    conn.execute("PRAGMA journal_mode=WAL")  # Better concurrency
    conn.execute("PRAGMA synchronous=NORMAL")  # Balance safety/performance
    conn.execute("PRAGMA busy_timeout=5000")  # Wait 5s on lock
    conn.execute("PRAGMA temp_store=MEMORY")  # Use RAM for temp tables
    conn.close()


def test_quick_reference_good_query(store: SkillMetricsStore) -> None:
    store.track_invocation("crackerjack-run")
    cursor = store.conn.execute("""
SELECT * FROM skill_invocation
WHERE skill_name = 'crackerjack-run'
ORDER BY invoked_at DESC
LIMIT 100;
""")
    assert len(cursor.fetchall()) == 1


def test_quick_reference_unit_test(temp_db: SkillMetricsStore) -> None:
    result = temp_db.track_invocation("test-skill")
    result.completer(completed=True)

    metrics: Any = temp_db.get_skill_metrics("test-skill")
    assert metrics["total_invocations"] == 1
    assert metrics["completion_rate"] == 100.0


def test_quick_reference_migration_test(json_path: Path, temp_db: SkillMetricsStore) -> None:
    migrator = DataMigrator(json_path, temp_db)
    stats = migrator.migrate_all_data()

    assert stats["validation_errors"] == 0
    assert stats["invocations_migrated"] > 0


def test_quick_reference_health_check(store: SkillMetricsStore) -> None:
    store.track_invocation("crackerjack-run")

    def as_documented(store: SkillMetricsStore) -> dict[str, Any]:
        """Check database health and performance."""
        return {
            "database_size_mb": store.db_path.stat().st_size / (1024 * 1024),
            "total_invocations": store.conn.execute("SELECT COUNT(*) FROM skill_invocation").fetchone()[0],  # type: ignore[index]
            "total_skills": store.conn.execute("SELECT COUNT(*) FROM skill_metrics").fetchone()[0],  # type: ignore[index]
            "schema_version": store.conn.execute("SELECT MAX(version) FROM schema_migrations").fetchone()[0],  # type: ignore[index]
        }

    health: Any = check_database_health(store)
    assert isinstance(health, dict)
    assert as_documented(store).items() <= health.items()


def test_quick_reference_performance_metrics(store: SkillMetricsStore) -> None:
    start = time.time()
    store.get_skill_metrics("crackerjack-run")
    duration_ms = (time.time() - start) * 1000

    if duration_ms > 100:
        logger.warning("Slow query: get_skill_metrics took %.0fms", duration_ms)


# --- implementation guide -------------------------------------------------------------------------------------


def test_implementation_store_docstring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SkillMetricsStore(str(tmp_path / "metrics.db"), True, 5000)
    result = store.track_invocation("crackerjack-run", "daily")
    # ... skill logic ...
    result.completer(completed=True, follow_up_actions=["git commit"])

    # Get metrics
    metrics: Any = store.get_skill_metrics("crackerjack-run")
    print(f"Completion rate: {metrics['completion_rate']:.1f}%")

    all_metrics = store.get_all_metrics()
    for skill_name, each in all_metrics.items():
        print(f"{skill_name}: {each['completion_rate']:.1f}% complete")
    store.close()
    assert capsys.readouterr().out == "Completion rate: 100.0%\ncrackerjack-run: 100.0% complete\n"


def test_implementation_track_skill_docstring() -> None:
    complete = track_skill("crackerjack-run", "daily")
    # ... skill logic ...
    complete(completed=True, follow_up_actions=["git commit"])
    metrics: Any = get_store().get_skill_metrics("crackerjack-run")
    assert metrics["follow_up_actions"] == {"git commit": 1}


@pytest.mark.parametrize("completed", [True, False])
def test_implementation_example_1_basic_usage(capsys: pytest.CaptureFixture[str], completed: bool) -> None:
    # Get store (auto-creates database)
    store = get_store()

    # Track a skill invocation
    result = store.track_invocation("crackerjack-run", workflow_path="comprehensive")

    # ... skill logic ...

    # Complete the invocation
    if completed:
        result.completer(completed=True, follow_up_actions=["git commit", "git push"])

    # Get metrics
    metrics: Any = store.get_skill_metrics("crackerjack-run")
    print(f"Completion rate: {metrics['completion_rate']:.1f}%")
    print(f"Average duration: {metrics['avg_duration_seconds']:.1f}s")
    rate = "100.0" if completed else "0.0"
    assert capsys.readouterr().out == f"Completion rate: {rate}%\nAverage duration: 0.0s\n"


def test_implementation_example_2_error_tracking(store: SkillMetricsStore) -> None:
    result = store.track_invocation("crackerjack-run")

    try:
        # ... skill logic that fails ...
        raise ValueError("Invalid configuration")
    except Exception as e:
        result.completer(completed=False, error_type=type(e).__name__)

    metrics: Any = store.get_skill_metrics("crackerjack-run")
    assert metrics["common_errors"] == {"ValueError": 1}


def test_implementation_example_3_session_based_tracking(
    store: SkillMetricsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    # Track invocations within a session
    session_id = "session-abc123"

    result1 = store.track_invocation("crackerjack-run", session_id=session_id)
    result1.completer(completed=True)

    result2 = store.track_invocation("pytest-runner", session_id=session_id)
    result2.completer(completed=True)

    # Query session skill usage
    cursor: Any = store.conn.execute(
        """
    SELECT skill_name, invocation_count, total_duration_seconds
    FROM session_skill
    WHERE session_id = ?
    ORDER BY invocation_count DESC
    """,
        (session_id,),
    )

    for row in cursor.fetchall():
        print(f"{row[0]}: {row[1]} invocations, {row[1]:.1f}s total")
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "crackerjack-run: 1 invocations, 1.0s total",
        "pytest-runner: 1 invocations, 1.0s total",
    ]


def test_implementation_example_4_analytics_queries(
    store: SkillMetricsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.track_invocation("crackerjack-run", "comprehensive")

    # Timeline analysis
    timeline = store.get_skill_timeline("crackerjack-run", time_window="7 days")
    for bucket in timeline:
        print(f"{bucket['time_bucket']}: {bucket['invocations']} invocations")

    # Workflow path search
    results = store.search_workflow_paths("comprehensive")
    for result in results:
        print(f"{result['skill_name']} / {result['workflow_path']}: {result['invocation_count']} uses")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "crackerjack-run / comprehensive: 1 uses"
    assert lines[-2].endswith(": 1 invocations")


def test_implementation_test_track_invocation(temp_db: SkillMetricsStore) -> None:
    """Test basic invocation tracking."""
    result = temp_db.track_invocation("test-skill", workflow_path="quick")
    result.completer(completed=True, follow_up_actions=["action1"])

    metrics = temp_db.get_skill_metrics("test-skill")
    assert metrics is not None
    assert metrics["total_invocations"] == 1
    assert metrics["completed_invocations"] == 1
    assert metrics["completion_rate"] == 100.0


def test_implementation_test_failed_invocation(temp_db: SkillMetricsStore) -> None:
    """Test failed invocation tracking."""
    result = temp_db.track_invocation("test-skill")
    result.completer(completed=False, error_type="ValueError")

    metrics: Any = temp_db.get_skill_metrics("test-skill")
    assert metrics["abandoned_invocations"] == 1
    assert metrics["completion_rate"] == 0.0


def test_implementation_test_workflow_path_aggregation(temp_db: SkillMetricsStore) -> None:
    """Test workflow path aggregation."""
    # Track multiple invocations with different paths
    for _ in range(3):
        result = temp_db.track_invocation("test-skill", workflow_path="quick")
        result.completer(completed=True)

    for _ in range(2):
        result = temp_db.track_invocation("test-skill", workflow_path="comprehensive")
        result.completer(completed=True)

    metrics: Any = temp_db.get_skill_metrics("test-skill")
    assert metrics["workflow_paths"]["quick"] == 3
    assert metrics["workflow_paths"]["comprehensive"] == 2


def test_implementation_test_concurrent_access(temp_db: SkillMetricsStore) -> None:
    """Test concurrent access to same skill."""

    def track_skill() -> None:
        result = temp_db.track_invocation("test-skill")
        result.completer(completed=True)

    threads = [threading.Thread(target=track_skill) for _ in range(10)]

    for t in threads:
        t.start()
    for t in threads:
        t.join()

    metrics: Any = temp_db.get_skill_metrics("test-skill")
    assert metrics["total_invocations"] == 10


# --- transaction patterns -------------------------------------------------------------------------------------


def test_transaction_pattern_1_docstring(tmp_path: Path) -> None:
    store = SkillMetricsStore(str(tmp_path / "metrics.db"))
    result = store.track_invocation("crackerjack-run", "daily")
    # ... skill logic ...
    result.completer(completed=True, follow_up_actions=["git commit"])
    store.close()


def test_transaction_pattern_1_result_has_the_documented_fields() -> None:
    told: list[Any] = []
    result = SkillInvocationResult(invocation_id="one", completer=lambda *given: told.append(given))
    result.completer(True, None, None)
    assert (result.invocation_id, told) == ("one", [(True, None, None)])


def test_transaction_pattern_2_session_end(store: SkillMetricsStore) -> None:
    for _ in range(2):  # a median needs two durations here
        store.track_invocation("crackerjack-run", session_id="session-abc123").completer(completed=True)
    store.end_session_updates("session-abc123")
    metrics: Any = store.get_skill_metrics("crackerjack-run")
    assert metrics["p50_duration_seconds"] is not None


def test_transaction_pattern_3_concurrent_skill_usage(store: SkillMetricsStore) -> None:
    result = store.track_invocation_concurrent("crackerjack-run", "daily", "session-abc123")
    assert isinstance(result, SkillInvocationResult)


def test_transaction_pattern_4_summary_of_an_empty_store(store: SkillMetricsStore) -> None:
    documented = {
        "total_skills": 0,
        "total_invocations": 0,
        "overall_completion_rate": 0.0,
        "most_used_skill": None,
        "most_used_count": 0,
        "avg_duration_seconds": 0.0,
    }
    assert documented.items() <= store.get_summary().items()


@pytest.mark.parametrize("time_window", ["7 days", "30 days", "1 hour"])
def test_transaction_pattern_4_timeline_windows(store: SkillMetricsStore, time_window: str) -> None:
    store.track_invocation("crackerjack-run").completer(completed=True)
    last = store.get_skill_timeline("crackerjack-run", time_window=time_window)[-1]
    assert {"time_bucket", "invocations", "completed", "avg_duration"} <= last.keys()
    assert (last["invocations"], last["completed"]) == (1, 1)


def test_transaction_pattern_6_bulk_import(store: SkillMetricsStore) -> None:
    store.bulk_import_invocations(
        [{"id": "one", "skill_name": "crackerjack-run", "invoked_at": "2025-02-10T09:30:00", "completed": True}]
    )
    metrics: Any = store.get_skill_metrics("crackerjack-run")
    assert metrics["total_invocations"] == 1


def test_sql_of_programs_cannot_write_past_the_store(store: SkillMetricsStore) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        store.conn.execute("DELETE FROM skill_metrics")


# --- the documented records -------------------------------------------------------------------------------------------


def test_skill_metrics_data_has_the_documented_fields_and_defaults() -> None:
    assert asdict(SkillMetricsData("test-skill")) == {
        "skill_name": "test-skill",
        "total_invocations": 0,
        "completed_invocations": 0,
        "abandoned_invocations": 0,
        "total_duration_seconds": 0.0,
        "workflow_paths": {},
        "common_errors": {},
        "follow_up_actions": {},
        "first_invoked": None,
        "last_invoked": None,
        "completion_rate": 0.0,
        "avg_duration_seconds": 0.0,
    }


def test_metrics_and_their_record_have_the_same_keys(store: SkillMetricsStore) -> None:
    store.track_invocation("test-skill", "quick").completer(completed=True)
    metrics = store.get_skill_metrics("test-skill")
    assert metrics is not None
    known = {field.name: metrics[field.name] for field in fields(SkillMetricsData)}
    assert SkillMetricsData(**known).workflow_paths == {"quick": 1}


def test_skill_invocation_result_has_the_documented_fields() -> None:
    assert [field.name for field in fields(SkillInvocationResult)] == ["invocation_id", "completer"]
