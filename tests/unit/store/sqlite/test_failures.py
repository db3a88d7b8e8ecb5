"""What the world can do to the file: the cause is named, nothing accepted is lost, and work goes on after it."""

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
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import NotFound, SkillrankError, StoreUnavailable
from store.sqlite import SqliteStore, open_store
from store.sqlite import connection as connection_module
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


def test_a_read_only_folder_is_named_and_writing_goes_on_when_it_is_not(guarded: Path) -> None:
    guarded.chmod(0o555)

    def use_it() -> None:
        with closing(open_store(guarded / "store.db")) as store:
            track(store, "refused")

    assert refused(use_it).cause == "read_only"
    guarded.chmod(0o755)
    with closing(open_store(guarded / "store.db")) as store:
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


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


def test_a_lock_held_too_long_is_named_and_work_goes_on_after_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LOCK_DEADLINE_S", 0.3)
    monkeypatch.setattr(connection_module, "BUSY_TIMEOUT_MS", 50)
    with closing(open_store(path)) as store, closing(apsw.Connection(str(path))) as other:
        track(store, "before")
        other.execute("BEGIN IMMEDIATE")
        error = refused(lambda: track(store, "refused"))
        assert (error.cause, error.retry_after_s) == ("locked", 1.0)
        assert store.all_metrics()[0].total_invocations == 1  # reading does not wait for a writer
        other.execute("ROLLBACK")
        track(store, "after")
        assert_holds_exactly(store, {"before", "after"})


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


def test_a_reader_that_waits_while_the_store_closes_is_told(path: Path) -> None:
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
