"""Bringing a database to a schema version and back, and refusing every state that the files cannot explain."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrations import MigrationFailed, MigrationRunner, SchemaMismatch
from migrations.files import SQLITE_MIGRATIONS
from store.contract.tracking import NewInvocation, NewOutcome
from store.contract.workflows import NewWorkflowEvent
from store.sqlite import SqliteStore, open_store

NEWEST = len(list(SQLITE_MIGRATIONS.glob("V*.rollback.sql")))
COMMITTED_V1 = Path(__file__).parent / "v1.db"

Execute = Callable[..., list[Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database.db"


@pytest.fixture
def runner(path: Path) -> MigrationRunner:
    return MigrationRunner(path)


@pytest.fixture
def execute(path: Path) -> Execute:
    """Run SQL on the database from outside the project."""

    def run(sql: str, bindings: Any = ()) -> list[Any]:
        with closing(apsw.Connection(str(path))) as connection:
            return connection.execute(sql, bindings).fetchall()

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the real migrations, to be broken."""
    return shutil.copytree(SQLITE_MIGRATIONS, tmp_path / "files")


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], SqliteStore]]:
    stores: list[SqliteStore] = []

    def open_one() -> SqliteStore:
        stores.append(open_store(path))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def schema(path: Path) -> dict[str, str]:
    """Read everything SQLite says of the schema, its own internal names and the quotes of a renamed table left out."""
    with closing(apsw.Connection(str(path))) as connection:
        listed = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {name: " ".join(sql.replace('"', "").split()) for name, sql in listed}


def columns(path: Path, table: str) -> list[Any]:
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(f"SELECT * FROM pragma_table_xinfo('{table}')").fetchall()


# --- up ------------------------------------------------------------------------------------------------------


def test_a_new_database_is_brought_to_the_newest_version(runner: MigrationRunner) -> None:
    assert runner.run_migrations() == list(range(1, NEWEST + 1))
    assert runner.current_version() == NEWEST


def test_the_folder_of_a_new_database_is_made(tmp_path: Path) -> None:
    runner = MigrationRunner(tmp_path / "deep" / "down" / "database.db")
    runner.run_migrations()
    assert runner.current_version() == NEWEST


def test_running_again_applies_nothing(runner: MigrationRunner) -> None:
    runner.run_migrations()
    assert runner.run_migrations() == []


def test_a_target_stops_the_run(runner: MigrationRunner) -> None:
    assert runner.run_migrations(target=1) == [1]
    assert runner.run_migrations() == list(range(2, NEWEST + 1))


@pytest.mark.parametrize("target", [-1, NEWEST + 1])
def test_a_target_that_does_not_exist_is_refused(runner: MigrationRunner, path: Path, target: int) -> None:
    with pytest.raises(SchemaMismatch, match=f"V{target}"):
        runner.run_migrations(target=target)
    assert not path.exists()


def test_each_version_is_recorded_with_its_checksum_rollback_and_time(
    runner: MigrationRunner, execute: Execute
) -> None:
    runner.run_migrations()
    recorded = execute("SELECT version, description, checksum, rollback_sql FROM schema_migrations ORDER BY version")
    assert recorded == [(m.version, m.description, m.checksum, m.rollback_sql) for m in runner.migrations]
    assert all(took >= 0 for (took,) in execute("SELECT took_ms FROM schema_migrations"))


def test_status_shows_what_is_applied_and_what_is_pending(runner: MigrationRunner) -> None:
    runner.run_migrations(target=1)
    assert [(each.version, each.applied_at is not None) for each in runner.status()] == [
        (version, version == 1) for version in range(1, NEWEST + 1)
    ]


@pytest.mark.parametrize("look", ["status", "current_version", "verify"])
def test_looking_at_a_database_that_does_not_exist_does_not_make_it(
    runner: MigrationRunner, path: Path, look: str
) -> None:
    getattr(runner, look)()
    assert not path.exists()


def test_a_failing_version_leaves_the_versions_before_it_and_nothing_of_itself(folder: Path, path: Path) -> None:
    (folder / f"V{NEWEST + 1}__break.sql").write_text("CREATE TABLE fresh (a); INSERT INTO nowhere VALUES (1);")
    (folder / f"V{NEWEST + 1}__break.rollback.sql").write_text("DROP TABLE fresh;")
    runner = MigrationRunner(path, folder)
    with pytest.raises(MigrationFailed, match="as it was before") as failed:
        runner.run_migrations()
    assert (failed.value.version, failed.value.direction) == (NEWEST + 1, "up")
    assert runner.current_version() == NEWEST
    assert "table fresh" not in schema(path)


def test_the_newest_schema_opens_without_waiting_for_a_writer(
    runner: MigrationRunner, path: Path, opened: Callable[[], SqliteStore]
) -> None:
    runner.run_migrations()
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert opened().all_metrics() == []


# --- equal schemas -------------------------------------------------------------------------------------------


def test_a_migrated_schema_equals_a_fresh_one(tmp_path: Path) -> None:
    fresh, stepwise = tmp_path / "fresh.db", tmp_path / "stepwise.db"
    MigrationRunner(fresh).run_migrations()
    for version in range(1, NEWEST + 1):
        MigrationRunner(stepwise).run_migrations(target=version)
    assert schema(stepwise) == schema(fresh)
    assert MigrationRunner(stepwise).verify() is None


@pytest.mark.parametrize("down_to", range(NEWEST))
def test_up_down_up_equals_up(runner: MigrationRunner, path: Path, down_to: int) -> None:
    runner.run_migrations()
    before, metrics = schema(path), columns(path, "skill_metrics")
    for version in range(NEWEST, down_to, -1):
        runner.rollback_migration(version)
    assert runner.current_version() == down_to
    runner.run_migrations()
    assert (schema(path), columns(path, "skill_metrics")) == (before, metrics)
    assert runner.verify() is None


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_down_equals_never_having_gone_up(tmp_path: Path, version: int) -> None:
    been, never = tmp_path / "been.db", tmp_path / "never.db"
    MigrationRunner(been).run_migrations(target=version)
    MigrationRunner(been).rollback_migration(version)
    MigrationRunner(never).run_migrations(target=version - 1)
    with closing(apsw.Connection(str(never))) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version)")
    record = "table schema_migrations"
    assert schema(been).keys() == schema(never).keys() | {record}
    assert {k: v for k, v in schema(been).items() if k != record} == {
        k: v for k, v in schema(never).items() if k != record
    }


def test_verify_finds_no_difference_after_vectors_were_made(
    opened: Callable[[], SqliteStore], runner: MigrationRunner
) -> None:
    opened().open_generation("model", 4, 1)
    assert runner.verify() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP INDEX idx_skills_seq", "idx_skills_seq.* is missing"),
        ("CREATE TABLE extra (a)", "extra.* is not part of"),
        ("DROP TRIGGER skill_outcome_no_delete", "skill_outcome_no_delete.* is missing"),
        (
            "DROP VIEW skill_invocation_log; CREATE VIEW skill_invocation_log AS SELECT 1",
            "skill_invocation_log.* differs",
        ),
    ],
)
def test_verify_names_what_differs(runner: MigrationRunner, execute: Execute, change: str, said: str) -> None:
    runner.run_migrations()
    execute(change)
    assert re.search(said, runner.verify() or "")


# --- down ----------------------------------------------------------------------------------------------------


def track_a_little(store: SqliteStore) -> None:
    for number, outcome in enumerate(("completed", "completed", "failed", None)):
        use = store.start_invocation(NewInvocation(skill_name="lint", session_id="s", workflow_path="quick"))
        if outcome is not None:
            store.finish_invocation(use.id, NewOutcome(outcome=outcome, duration_seconds=number + 0.5))  # type: ignore[arg-type]
    store.refresh_percentiles(["lint"])


def test_down_keeps_what_was_tracked(
    runner: MigrationRunner, opened: Callable[[], SqliteStore], execute: Execute
) -> None:
    store = opened()
    track_a_little(store)
    store.close()
    runner.rollback_migration(NEWEST)
    assert execute("SELECT total_invocations, completed_invocations FROM skill_metrics") == [(4, 2)]
    again = opened()
    assert again.first_difference() is None
    assert again.all_metrics()[0].total_invocations == 4


def test_down_from_workflow_events_keeps_uses_and_the_words_that_were_kept(
    runner: MigrationRunner, opened: Callable[[], SqliteStore], execute: Execute
) -> None:
    store = opened()
    store.start_invocation(NewInvocation(id="asked", skill_name="lint", session_id="s", user_query="why"))
    store.start_invocation(NewInvocation(id="forgotten", skill_name="lint", user_query="how"))
    store.record_event(NewWorkflowEvent(session_id="s", workflow="ci", step="unit", status="passed"))
    store.end_session("s", lambda _: {})
    store.close()
    execute("UPDATE skill_invocation SET user_query = NULL, user_query_hash = '' WHERE id = 'forgotten'")
    for version in range(NEWEST, 4, -1):
        runner.rollback_migration(version)
    assert execute("SELECT id, user_query FROM skill_invocation ORDER BY id") == [("asked", "why"), ("forgotten", None)]
    again = opened()
    assert again.check() == []
    assert again.session_story("s").events == []
    assert again.invocation("asked").user_query == "why"


def test_searches_from_before_are_counted_like_those_after(
    runner: MigrationRunner, opened: Callable[[], SqliteStore], execute: Execute
) -> None:
    runner.run_migrations(5)
    for search_id, moment in (("later", "2026-03-02"), ("first", "2026-03-01")):
        execute(
            "INSERT INTO search(id, searched_at, query_hash, weights_version, confidence, elapsed_ms) "
            f"VALUES ('{search_id}', '{moment}T00:00:00.000000Z', 'h', 'w', 'none', 0)"
        )
        execute(f"INSERT INTO search_result VALUES ('{search_id}', 1, 'lint', 0.0, '{{}}')")
    store = opened()
    assert store.aggregate().searches == 2
    assert execute("SELECT search_id FROM search_order ORDER BY seq") == [("first",), ("later",)]
    store.close()
    for version in range(NEWEST, 5, -1):
        runner.rollback_migration(version)
    # Going back forgets what was counted; it is counted again.
    assert opened().aggregate().searches == 2


def test_down_from_chunk_vectors_leaves_an_index_that_is_completed_when_it_comes_up_again(
    runner: MigrationRunner, opened: Callable[[], SqliteStore]
) -> None:
    store = opened()
    before = store.open_generation("model", 4, 2)
    store.close()
    for version in range(NEWEST, 6, -1):
        runner.rollback_migration(version)
    again = opened()
    live = again.live_generation()
    assert live is not None
    # What was made without chunks says so: the next index run builds it anew.
    assert (live.generation, live.chunks_schema) == (before.generation, 1)


def test_down_to_nothing_works_with_data_and_vectors(
    runner: MigrationRunner, opened: Callable[[], SqliteStore]
) -> None:
    store = opened()
    track_a_little(store)
    store.open_generation("model", 4, 1)
    store.close()
    for version in range(NEWEST, 0, -1):
        runner.rollback_migration(version)
    assert runner.current_version() == 0
    assert opened().all_metrics() == []


def test_a_backup_of_everything_is_taken_before_down(
    runner: MigrationRunner, opened: Callable[[], SqliteStore], path: Path
) -> None:
    store = opened()
    track_a_little(store)
    before = store.all_metrics()
    store.close()
    backup = runner.rollback_migration(NEWEST)
    assert MigrationRunner(backup).current_version() == NEWEST
    assert backup.parent == path.parent
    with closing(open_store(backup)) as copy:
        assert copy.all_metrics() == before


@pytest.mark.parametrize("version", [0, NEWEST - 1, NEWEST + 1, -1])
def test_only_the_newest_version_goes_down_and_no_backup_is_left_otherwise(
    runner: MigrationRunner, path: Path, version: int
) -> None:
    runner.run_migrations()
    with pytest.raises(SchemaMismatch, match=f"V{NEWEST}"):
        runner.rollback_migration(version)
    assert list(path.parent.glob("*before-down*")) == []


def test_nothing_goes_down_where_nothing_is_applied(runner: MigrationRunner, path: Path) -> None:
    with pytest.raises(SchemaMismatch):
        runner.rollback_migration(0)
    assert not path.exists()


def newest_rollback(folder: Path) -> Path:
    (rollback,) = folder.glob(f"V{NEWEST}__*.rollback.sql")
    return rollback


def test_down_uses_the_rollback_that_was_recorded_when_it_was_applied(folder: Path, path: Path) -> None:
    MigrationRunner(path, folder).run_migrations()
    newest_rollback(folder).write_text("SELECT 1;")
    MigrationRunner(path, folder).rollback_migration(NEWEST)
    assert MigrationRunner(path, folder).verify() is None


def test_a_failing_rollback_changes_nothing(folder: Path, path: Path) -> None:
    newest_rollback(folder).write_text("DROP VIEW skill_invocation_log; DROP TABLE none;")
    runner = MigrationRunner(path, folder)
    runner.run_migrations()
    before = schema(path)
    with pytest.raises(MigrationFailed) as failed:
        runner.rollback_migration(NEWEST)
    assert (failed.value.version, failed.value.direction) == (NEWEST, "down")
    assert (schema(path), runner.current_version()) == (before, NEWEST)


# --- refusals, each with the way out -------------------------------------------------------------------------


def refused(runner: MigrationRunner, way_out: str) -> SchemaMismatch:
    with pytest.raises(SchemaMismatch, match=way_out) as refusal:
        runner.run_migrations()
    return refusal.value


def test_a_changed_file_is_refused(folder: Path, path: Path) -> None:
    MigrationRunner(path, folder).run_migrations()
    changed = folder / "V1__initial_schema.sql"
    changed.write_text(changed.read_text() + "\n-- a change\n")
    assert refused(MigrationRunner(path, folder), "reinstall skillrank").version == 1


def test_a_newer_database_is_refused(folder: Path, path: Path) -> None:
    (folder / f"V{NEWEST + 1}__add_words.sql").write_text("CREATE TABLE words (a);")
    (folder / f"V{NEWEST + 1}__add_words.rollback.sql").write_text("DROP TABLE words;")
    MigrationRunner(path, folder).run_migrations()
    assert refused(MigrationRunner(path), "upgrade skillrank").version == NEWEST + 1


def test_a_gap_in_the_record_is_refused(runner: MigrationRunner, execute: Execute) -> None:
    runner.run_migrations()
    execute("DELETE FROM schema_migrations WHERE version = 1")
    assert refused(runner, "restore a backup").version == 1


def test_tables_of_a_version_that_is_not_recorded_are_refused(runner: MigrationRunner, execute: Execute) -> None:
    runner.run_migrations()
    execute("DELETE FROM schema_migrations")
    refused(runner, "restore a backup")


def test_another_programs_database_is_refused_and_left_as_it_was(
    runner: MigrationRunner, execute: Execute, path: Path
) -> None:
    execute("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
    before = path.read_bytes()
    refused(runner, "use another file")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("broken", ["changed", "gap"])
def test_a_refused_database_is_left_as_it_was(runner: MigrationRunner, execute: Execute, broken: str) -> None:
    runner.run_migrations(target=1)
    execute(
        {
            "changed": "UPDATE schema_migrations SET checksum = 'other'",
            "gap": "UPDATE schema_migrations SET version = 2",
        }[broken]
    )
    before = execute("SELECT * FROM schema_migrations")
    refused(runner, "skillrank")
    assert execute("SELECT * FROM schema_migrations") == before


@pytest.mark.parametrize("look", ["status", "current_version", "verify"])
def test_looking_refuses_the_same_states(runner: MigrationRunner, execute: Execute, look: str) -> None:
    execute("CREATE TABLE theirs (a)")
    with pytest.raises(SchemaMismatch):
        getattr(runner, look)()


# --- racing --------------------------------------------------------------------------------------------------

OPEN_AND_TRACK = """
import sys, time
from pathlib import Path
from store.contract.tracking import NewInvocation
from store.sqlite import open_store
print("ready", flush=True)
sys.stdin.readline()
store = open_store(Path(sys.argv[1]))
store.start_invocation(NewInvocation(skill_name="lint"))
store.close()
"""


def test_eight_processes_that_open_a_new_database_at_once_all_succeed(
    path: Path, opened: Callable[[], SqliteStore]
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_TRACK, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert ([process.returncode for process in processes], said) == ([0] * 8, [""] * 8)
    assert opened().all_metrics()[0].total_invocations == 8
    assert MigrationRunner(path).verify() is None


# --- a database of V1 with data ------------------------------------------------------------------------------


def make_v1(path: Path) -> None:
    """Make a database of the first schema as its users left it: a document, a search, finished and open uses."""
    MigrationRunner(path).run_migrations(target=1)
    moment = "2026-01-01T00:00:00.000000Z"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON")
        connection.execute(
            "INSERT INTO skills(id, skill_name, document_path, root, content_hash, index_seq, first_indexed_at,"
            " last_indexed_at) VALUES (1, 'lint', '/skills/lint/SKILL.md', '/skills', 'hash', 1, ?1, ?1)",
            (moment,),
        )
        connection.execute(
            "INSERT INTO skill_fts(rowid, name, description, body) VALUES (1, 'lint', 'finds', 'faults')"
        )
        connection.execute("INSERT INTO session(id, started_at) VALUES ('s', ?)", (moment,))
        for number in range(30):
            connection.execute(
                "INSERT INTO skill_invocation(id, skill_name, invoked_at, session_id, workflow_path)"
                " VALUES (?, 'lint', ?, 's', 'quick')",
                (f"use-{number}", moment),
            )
            if number < 25:
                connection.execute(
                    "INSERT INTO skill_outcome(invocation_id, skill_name, outcome, finished_at, duration_seconds,"
                    " error_type, source) VALUES (?, 'lint', ?, ?, ?, ?, 'client')",
                    (
                        f"use-{number}",
                        "completed" if number < 21 else "failed",
                        moment,
                        float(number),
                        None if number < 21 else "ValueError",
                    ),
                )


@pytest.fixture(params=["made now", "committed"])
def version_1(request: pytest.FixtureRequest, path: Path) -> Path:
    if request.param == "made now":
        make_v1(path)
    elif COMMITTED_V1.exists():
        shutil.copyfile(COMMITTED_V1, path)
    else:
        pytest.skip("tests/migrations/v1.db is made when V1 is final: make_v1(Path('tests/migrations/v1.db'))")
    return path


def test_a_database_of_v1_is_upgraded_with_all_its_data(version_1: Path, opened: Callable[[], SqliteStore]) -> None:
    assert MigrationRunner(version_1).current_version() == 1
    store = opened()
    (metrics,) = store.all_metrics()
    assert (metrics.total_invocations, metrics.completed_invocations, metrics.failed_invocations) == (30, 21, 4)
    assert (metrics.workflow_paths, metrics.common_errors) == ({"quick": 30}, {"ValueError": 4})
    assert store.first_difference() is None
    assert [found.skill_name for found in store.candidates("faults", None, depth=5)] == ["lint"]
    assert MigrationRunner(version_1).verify() is None


@pytest.mark.usefixtures("version_1")
def test_percentiles_of_an_upgraded_database_are_unknown_until_they_are_computed(
    opened: Callable[[], SqliteStore],
) -> None:
    store = opened()
    assert store.all_metrics()[0].p50_duration_seconds is None
    store.end_session("s")
    metrics = store.all_metrics()[0]
    assert (metrics.p50_duration_seconds, metrics.p95_duration_seconds, metrics.p99_duration_seconds) == (10, 19, None)
