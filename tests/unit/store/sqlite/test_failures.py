"""What can happen to the file: the cause is named, nothing accepted is lost, and work goes on afterwards."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrations import MigrationRunner
from store.contract.searches import SearchRecord
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import NotFound, SkillrankError, StoreUnavailable
from store.sqlite import SqliteStore, migrate_up, migration_status, open_store, schema_difference
from store.sqlite import database as database_module
from store.sqlite import writer as writer_module

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, migrated_file: Path) -> Iterator[SqliteStore]:
    shutil.copyfile(migrated_file, path)
    with closing(open_store(path)) as store:
        yield store


def track(store: SqliteStore, use_id: str, **fields: Any) -> None:
    store.start_invocation(NewInvocation(skill_name="lint", id=use_id, session_id="s", **fields))
    store.finish_invocation(use_id, NewOutcome(outcome="completed"))


def search_record(search_id: str) -> SearchRecord:
    return SearchRecord(
        id=search_id,
        searched_at="2026-01-01T00:00:00.000000Z",
        query="lint",
        query_hash="x",
        query_vector=None,
        model_id=None,
        session_id=None,
        user_id=None,
        project_id=None,
        filters={},
        weights_version="1",
        explored=False,
        confidence="low",
        degraded=[],
        elapsed_ms=1.0,
        results=[],
    )


def refused(call: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refusal:
        call()
    return refusal.value


def assert_holds_exactly(store: SqliteStore, accepted: set[str]) -> None:
    assert {use.id for use in store.session_invocations("s")} == accepted
    assert store.first_difference() is None


# --- a full disk ---------------------------------------------------------------------------------------------


def limit_pages(store: SqliteStore, spare: int | None) -> None:
    """Let the database grow by `spare` pages, or as it likes."""

    def unit(connection: apsw.Connection) -> None:
        used = connection.pragma("page_count")
        connection.pragma("max_page_count", 1_000_000_000 if spare is None else used + spare)

    store._db.write("limit_pages", unit)


def test_a_full_disk_is_named_keeps_what_was_accepted_and_ends(store: SqliteStore) -> None:
    accepted: set[str] = set()
    limit_pages(store, 20)
    error = None
    for number in range(1000):
        try:
            store.start_invocation(
                NewInvocation(skill_name="lint", id=f"use-{number}", session_id="s", user_query="long " * 400)
            )
        except StoreUnavailable as full:
            error = full
            break
        accepted.add(f"use-{number}")
    assert error is not None
    assert (error.cause, "disk is full" in str(error)) == ("full", True)
    assert accepted
    assert_holds_exactly(store, accepted)
    limit_pages(store, None)
    track(store, "afterwards")
    assert_holds_exactly(store, accepted | {"afterwards"})


def test_on_a_nearly_full_disk_a_small_unit_is_kept_when_a_large_one_of_its_group_is_not(store: SqliteStore) -> None:
    track(store, "before")
    limit_pages(store, 5)
    holding, go_on = threading.Event(), threading.Event()

    def hold(_: apsw.Connection) -> None:
        holding.set()
        assert go_on.wait(20)

    outcomes: dict[str, str] = {}

    def start(use_id: str, text: str) -> None:
        try:
            store.start_invocation(NewInvocation(skill_name="lint", id=use_id, session_id="s", user_query=text))
            outcomes[use_id] = "accepted"
        except StoreUnavailable as error:
            outcomes[use_id] = error.cause

    held = store._db._writer.submit(hold)
    assert holding.wait(20)
    threads = [
        threading.Thread(target=start, args=(use_id, text))
        for use_id, text in (("small-1", ""), ("large", "x" * 100_000), ("small-2", ""))
    ]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(20)
    held.result()
    assert outcomes == {"small-1": "accepted", "large": "full", "small-2": "accepted"}
    assert_holds_exactly(store, {"before", "small-1", "small-2"})


FILE_SIZE_LIMIT = """
import resource, sys
from pathlib import Path
from store.errors import StoreUnavailable
from store.contract.searches import SearchRecord
from store.contract.tracking import NewInvocation
from store.sqlite import open_store

path = Path(sys.argv[1])
store = open_store(path)
track = lambda number: store.start_invocation(
    NewInvocation(skill_name="lint", id=f"use-{number}", session_id="s", user_query="long " * 400))
accepted = {track(number).id for number in range(5)}
wal = path.with_name(path.name + "-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 100_000, resource.RLIM_INFINITY))
causes = []
for number in range(5, 200):
    try:
        accepted.add(track(number).id)
    except StoreUnavailable as error:
        causes.append(error.cause)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert causes, "the limit was never met"
assert set(causes) == {"io"}, set(causes)
accepted.add(track(1000).id)
assert {use.id for use in store.session_invocations("s")} == accepted
assert store.first_difference() is None
store.close()
again = open_store(path)
assert {use.id for use in again.session_invocations("s")} == accepted
again.close()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes")
def test_a_disk_that_fails_at_commit_is_named_keeps_what_was_accepted_and_ends(path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", FILE_SIZE_LIMIT, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_health_names_the_write_that_failed_until_one_succeeds(store: SqliteStore) -> None:
    limit_pages(store, 0)
    assert refused(lambda: track(store, "large", user_query="x" * 100_000)).cause == "full"
    assert any("the disk is full" in problem for problem in store.health().problems)
    limit_pages(store, None)
    assert not any("full" in problem for problem in store.health().problems)


def test_health_names_a_disk_without_room_before_a_write_fails(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "LEAST_FREE_BYTES", 1 << 62)
    assert any("is full" in problem for problem in store.health().problems)


# --- a file that is deleted or replaced -----------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_what_is_written_into_a_file_that_is_no_longer_there_is_never_acknowledged(
    store: SqliteStore, path: Path, ending: str, change: str
) -> None:
    track(store, "before")
    file = path.with_name(path.name + ending)
    content = file.read_bytes()
    file.unlink()
    if change == "replaced":
        path.with_name("another").write_bytes(content)
        path.with_name("another").rename(file)
    error = refused(lambda: track(store, "refused"))
    assert (error.cause, str(file) in str(error)) == ("replaced", True)


@pytest.mark.parametrize("change", ["deleted", "moved", "replaced", "folder removed"])
def test_a_database_that_is_no_longer_there_is_not_read_and_health_says_so(
    tmp_path: Path, migrated_file: Path, change: str
) -> None:
    path = tmp_path / "data" / "store.db"
    path.parent.mkdir()
    shutil.copyfile(migrated_file, path)
    with closing(open_store(path)) as store:
        track(store, "before")
        if change == "deleted":
            path.unlink()
        elif change == "moved":
            path.rename(path.with_name("elsewhere.db"))
        elif change == "replaced":
            shutil.copyfile(migrated_file, path.with_name("new"))
            path.with_name("new").replace(path)
        else:
            shutil.rmtree(path.parent)
        assert refused(store.all_metrics).cause == "replaced"
        health = store.health()
        assert (health.generation, len(health.problems)) == (None, 1)
        assert "while it was in use" in health.problems[0]


def test_a_database_that_is_moved_back_is_used_again(store: SqliteStore, path: Path) -> None:
    track(store, "before")
    path.rename(path.with_name("elsewhere.db"))
    assert refused(store.all_metrics).cause == "replaced"
    path.with_name("elsewhere.db").rename(path)
    track(store, "after")
    assert_holds_exactly(store, {"before", "after"})


# --- a file that may not be written --------------------------------------------------------------------------


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder that this test's user cannot write to unless allowed; permissions do not bind the superuser."""
    folder = Path(tempfile.mkdtemp(prefix="skillrank-"))
    folder.chmod(0o755)
    with closing(open_store(folder / "store.db")) as store:
        track(store, "before")
    superuser = os.geteuid() == 0
    if superuser:
        os.chown(folder, NOBODY, -1)
        os.chown(folder / "store.db", NOBODY, -1)
        os.seteuid(NOBODY)
    yield folder
    if superuser:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_file_is_named_and_writing_goes_on_when_it_is_not(guarded: Path) -> None:
    file = guarded / "store.db"
    file.chmod(0o444)

    def use_it() -> None:
        with closing(open_store(file)) as store:
            track(store, "refused")

    assert refused(use_it).cause == "read_only"
    for each in guarded.iterdir():  # SQLite gives the files beside it the same permissions
        each.chmod(0o644)
    with closing(open_store(file)) as store:
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


def test_in_a_read_only_folder_everything_can_be_read_and_nothing_written(guarded: Path) -> None:
    guarded.chmod(0o555)
    before = sorted(each.name for each in guarded.iterdir())
    with closing(open_store(guarded / "store.db")) as store:
        assert store.all_metrics()[0].total_invocations == 1
        assert refused(lambda: track(store, "refused")).cause == "read_only"
        assert any("nothing is recorded" in problem for problem in store.health().problems)
        assert store.check() == []
        assert store.summary().total_invocations == 1
        with tempfile.TemporaryDirectory() as elsewhere:
            assert store.backup(Path(elsewhere) / "copy.db").total_invocations == 1
    assert sorted(each.name for each in guarded.iterdir()) == before
    assert [status.applied_at is None for status in migration_status(guarded / "store.db")] == [False] * len(
        MigrationRunner(guarded / "store.db").migrations
    )
    assert schema_difference(guarded / "store.db") is None
    assert migrate_up(guarded / "store.db") == []
    guarded.chmod(0o755)
    with closing(open_store(guarded / "store.db")) as store:
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


def test_in_a_read_only_folder_the_log_of_a_killed_process_is_read_too(guarded: Path) -> None:
    file = guarded / "store.db"
    with closing(open_store(file)) as store:
        track(store, "unfolded")
        copies = {ending: file.with_name(file.name + ending).read_bytes() for ending in ("", "-wal")}
    for ending, content in copies.items():
        file.with_name(file.name + ending).write_bytes(content)
    guarded.chmod(0o555)
    with closing(open_store(file)) as store:
        assert {use.id for use in store.session_invocations("s")} == {"before", "unfolded"}


def test_a_search_in_a_read_only_folder_says_that_it_was_not_recorded(guarded: Path) -> None:
    guarded.chmod(0o555)
    with closing(open_store(guarded / "store.db")) as store:
        wait = store.start_recording(search_record("s"))  # must not raise: the answer is still being made
        assert refused(wait).cause == "read_only"


def test_a_schema_that_must_be_migrated_first_is_named_in_a_read_only_folder(guarded: Path) -> None:
    runner = MigrationRunner(guarded / "store.db")
    runner.rollback_migration(runner.current_version())
    guarded.chmod(0o555)
    for call in (lambda: open_store(guarded / "store.db"), lambda: migrate_up(guarded / "store.db")):
        assert refused(call).cause == "read_only"


def test_a_database_that_is_missing_in_a_read_only_folder_is_named(guarded: Path) -> None:
    guarded.chmod(0o555)
    assert refused(lambda: open_store(guarded / "new.db")).cause in {"io", "read_only"}
    assert refused(lambda: migrate_up(guarded / "deeper" / "new.db")).cause == "read_only"


def test_a_read_only_file_can_still_be_read(guarded: Path) -> None:
    (guarded / "store.db").chmod(0o444)
    with closing(open_store(guarded / "store.db")) as store:
        assert store.all_metrics()[0].total_invocations == 1


def test_a_folder_that_cannot_be_made_is_named(guarded: Path) -> None:
    guarded.chmod(0o555)
    error = refused(lambda: open_store(guarded / "deeper" / "store.db"))
    assert (error.cause, "--data-dir" in str(error)) == ("io", True)


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert refused(lambda: open_store(tmp_path)).cause == "io"


# --- a lock ---------------------------------------------------------------------------------------------------


def test_a_lock_held_too_long_is_named_and_work_goes_on_after_it(path: Path) -> None:
    with closing(open_store(path, lock_wait_s=0.3)) as store, closing(apsw.Connection(str(path))) as other:
        track(store, "before")
        other.execute("BEGIN IMMEDIATE")
        error = refused(lambda: track(store, "refused"))
        assert (error.cause, error.retry_after_s) == ("locked", 1.0)
        assert store.all_metrics()[0].total_invocations == 1  # reading does not wait for a writer
        other.execute("ROLLBACK")
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


@pytest.fixture
def other(store: SqliteStore, path: Path) -> Iterator[apsw.Connection]:
    """Another program, which holds the write lock of `store`."""
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")
    assert store.first_difference() is None


def test_while_another_program_holds_the_lock_few_callers_wait_and_reads_go_on(
    store: SqliteStore, other: apsw.Connection
) -> None:
    causes: list[str] = []

    def write(number: int) -> None:
        try:
            track(store, f"use-{number}")
        except StoreUnavailable as error:
            causes.append(error.cause)

    threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(60)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while len(causes) < 60 - writer_module.MOST_WAITING and time.monotonic() < until:
        time.sleep(0.01)
        assert store.all_metrics() == []
    assert causes == ["locked"] * (60 - writer_module.MOST_WAITING)
    began = time.monotonic()
    assert refused(lambda: track(store, "late")).cause == "locked"
    assert refused(store.start_recording(search_record("s"))).cause == "locked"
    assert any("write lock" in problem for problem in store.health().problems)
    assert store.health().lock_waits.longest_ms > 1000
    assert time.monotonic() - began < 0.5
    other.execute("ROLLBACK")
    for thread in threads:
        thread.join(20)


def test_what_waited_for_a_lock_is_written_when_it_is_free_and_the_wait_is_reported(
    store: SqliteStore, other: apsw.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    waiting = threading.Thread(target=track, args=(store, "waited"))
    waiting.start()
    time.sleep(0.4)
    other.execute("ROLLBACK")
    waiting.join(20)
    assert_holds_exactly(store, {"waited"})
    waits = store.health().lock_waits
    assert (waits.count, waits.longest_ms >= 300, waits.last_at is not None) == (1, True, True)
    assert "write lock" in caplog.text


def test_a_search_is_recorded_after_a_short_lock(store: SqliteStore, other: apsw.Connection) -> None:
    wait = store.start_recording(search_record("s"))
    other.execute("ROLLBACK")
    wait()
    assert store.search("s").id == "s"


# --- damage --------------------------------------------------------------------------------------------------


def test_a_damaged_page_is_named_and_nothing_is_half_written(path: Path) -> None:
    with closing(open_store(path)) as store:
        track(store, "before")
    with closing(apsw.Connection(str(path))) as connection:
        page_size = connection.pragma("page_size")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'skill_metrics'").fetchall()[0][0]
    with path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        good = file.read(page_size)
        file.seek((root - 1) * page_size)
        file.write(b"\xff" * page_size)
    with closing(open_store(path)) as store:
        for call in (store.all_metrics, lambda: track(store, "refused"), store.first_difference):
            error = refused(call)
            assert (error.cause, "restore" in str(error)) == ("corrupt", True)
        with pytest.raises(NotFound):
            store.invocation("refused")
        assert store.invocation("before").outcome == "completed"
    with path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(good)
    with closing(open_store(path)) as store:
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\x00" + b"\x00" * 4096])
def test_a_file_that_is_no_database_is_named_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert refused(lambda: open_store(path)).cause == "corrupt"
    assert path.read_bytes() == content


@pytest.mark.parametrize("change", ["DROP TABLE skill_metric_count", "migrate down"])
def test_a_schema_changed_under_a_running_store_is_no_error_of_the_driver(
    store: SqliteStore, path: Path, change: str
) -> None:
    track(store, "before")
    if change == "migrate down":
        runner = MigrationRunner(path)
        for version in range(runner.current_version(), 1, -1):
            runner.rollback_migration(version)
    else:
        with closing(apsw.Connection(str(path))) as other:
            other.execute(change)
    with pytest.raises(SkillrankError):
        store.all_metrics()


# --- reading -------------------------------------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_read_past_its_deadline_is_stopped_and_its_connection_replaced(store: SqliteStore) -> None:
    def read() -> None:
        with store._db.readers.snapshot(deadline_s=0.2) as connection:
            connection.execute(ENDLESS).fetchall()

    began = time.monotonic()
    assert refused(read).cause == "deadline"
    assert time.monotonic() - began < 5
    assert store.all_metrics() == []


def test_when_every_reader_is_busy_waiting_has_a_deadline(store: SqliteStore) -> None:
    readers = store._db.readers
    with ExitStack() as lent:
        for _ in range(4):
            lent.enter_context(readers.snapshot())

        def read() -> None:
            with readers.snapshot(deadline_s=0.05):
                pass

        assert refused(read).cause == "deadline"
    assert store.all_metrics() == []


def test_a_failing_read_gives_its_connection_back(store: SqliteStore) -> None:
    for _ in range(10):
        with pytest.raises(NotFound):
            store.skill("nobody")
    assert store.all_metrics() == []


def test_a_read_sees_one_state_whatever_is_written_meanwhile(store: SqliteStore) -> None:
    track(store, "before")
    with store._db.readers.snapshot() as connection:
        count = "SELECT count(*) FROM skill_invocation"
        first = connection.execute(count).fetchall()
        track(store, "meanwhile")
        assert connection.execute(count).fetchall() == first
    assert store.all_metrics()[0].total_invocations == 2


def test_a_reader_cannot_write(store: SqliteStore) -> None:
    def write() -> None:
        with store._db.readers.snapshot() as connection:
            connection.execute("DELETE FROM session")

    assert refused(write).cause == "read_only"


def test_a_connection_that_is_lent_while_the_store_closes_is_closed_when_it_comes_back(path: Path) -> None:
    store = open_store(path)
    with store._db.readers.snapshot() as connection:
        store.close()
        assert connection.execute("SELECT count(*) FROM skills").fetchall() == [(0,)]
    assert [each for each in apsw.connections() if each.filename == str(path)] == []


def test_a_reader_that_waits_while_the_store_closes_gets_an_error(path: Path) -> None:
    store = open_store(path)
    causes: list[str] = []
    with ExitStack() as lent:
        for _ in range(4):
            lent.enter_context(store._db.readers.snapshot())
        waiting = threading.Thread(target=lambda: causes.append(refused(store.all_metrics).cause))
        waiting.start()
        time.sleep(0.1)
        store.close()
    waiting.join(20)
    assert causes == ["closed"]
    assert [each for each in apsw.connections() if each.filename == str(path)] == []
