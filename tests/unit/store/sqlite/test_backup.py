"""Checked backups, restores that swap files, and the lock on open databases."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrations import MigrationRunner, SchemaMismatch
from store.contract.searches import SearchRecord
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import InvalidRecord, StoreUnavailable
from store.sqlite import SqliteStore, list_backups, next_backup, open_store, prune_backups, restore
from store.sqlite import backup as backup_module
from store.sqlite.backup_files import LEFTOVER_AGE_S
from store.sqlite.occupancy import occupy, share


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Path:
    path = tmp_path / "data" / "skillrank.db"
    path.parent.mkdir()
    shutil.copyfile(migrated_file, path)
    return path


@pytest.fixture
def store(database: Path) -> Iterator[SqliteStore]:
    opened = open_store(database)
    yield opened
    opened.close()


@pytest.fixture
def saved(store: SqliteStore, tmp_path: Path) -> Path:
    """A backup that holds one use; the database has gone on, and is closed."""
    use(store, "before")
    target = tmp_path / "saved.db"
    store.backup(target)
    use(store, "after")
    store.close()
    return target


def use(store: SqliteStore, identifier: str) -> None:
    store.start_invocation(NewInvocation(skill_name="lint", id=identifier))
    store.finish_invocation(identifier, NewOutcome(outcome="completed"))


def ids(database: Path) -> list[str]:
    with closing(open_store(database)) as opened:
        return [each.id for each in opened.invocations()]


def beside(database: Path) -> list[str]:
    return sorted(each.name for each in database.parent.iterdir() if "before-restore" not in each.name)


# --- backup ----------------------------------------------------------------------------------------------------


def test_a_backup_is_one_file_with_its_checksum(store: SqliteStore, tmp_path: Path) -> None:
    use(store, "a")
    report = store.backup(tmp_path / "backups" / "one.db")
    digest = hashlib.sha256(Path(report.path).read_bytes()).hexdigest()
    assert (report.sha256, report.total_invocations, report.total_outcomes) == (digest, 1, 1)
    assert sorted(each.name for each in (tmp_path / "backups").iterdir()) == ["one.db", "one.db.sha256"]
    assert (tmp_path / "backups" / "one.db.sha256").read_text("utf-8") == f"{digest}  one.db\n"


def test_a_backup_is_consistent_while_writes_run(store: SqliteStore, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            use(store, f"use {number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            store.backup(tmp_path / f"{number}.db")
    finally:
        stop.set()
        writer.join()
    for number in range(3):
        with closing(open_store(tmp_path / f"{number}.db")) as copy:
            assert copy.check() == []


def test_a_backup_never_overwrites_a_file(store: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "mine.db"
    target.write_text("mine", "utf-8")
    with pytest.raises(InvalidRecord):
        store.backup(target)
    assert target.read_text("utf-8") == "mine"


def test_a_copy_that_does_not_pass_its_check_does_not_count(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "integrity_problems", lambda _: ["quick_check: a page is lost"])
    with pytest.raises(StoreUnavailable) as refused:
        store.backup(tmp_path / "backups" / "one.db")
    assert refused.value.cause == "corrupt"
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        store.backup(tmp_path / "file" / "one.db")


def make_backup(folder: Path, moment: datetime) -> Path:
    made = next_backup(folder, moment)
    made.touch()
    made.with_name(made.name + ".sha256").touch()
    return made


def test_the_last_seven_are_kept_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my-own.db").touch()
    made = [make_backup(tmp_path, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)) for day in range(9)]
    assert prune_backups(tmp_path) == made[:2]
    assert list_backups(tmp_path) == [tmp_path / "my-own.db", *made[2:]]
    assert len(list(tmp_path.glob("*.sha256"))) == 7


def test_a_backup_made_after_the_clock_was_put_right_is_the_newest(tmp_path: Path) -> None:
    fast, right = datetime(2027, 6, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    early = [make_backup(tmp_path, fast + timedelta(days=day)) for day in range(7)]
    latest = make_backup(tmp_path, right)
    assert prune_backups(tmp_path, made=latest) == early[:1]
    assert list_backups(tmp_path)[-1] == latest


def test_backups_named_by_an_earlier_release_go_first_whatever_their_time(tmp_path: Path) -> None:
    old = [tmp_path / f"skillrank-203{year}0101T000000000000Z.db" for year in range(7)]
    for path in old:
        path.touch()
    latest = make_backup(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    assert prune_backups(tmp_path, made=latest) == old[:1]
    assert latest.exists()


def test_a_backup_just_made_is_never_removed_even_when_others_were_made_meanwhile(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    mine = next_backup(tmp_path, moment)
    others = [next_backup(tmp_path, moment + timedelta(seconds=second)) for second in range(1, 4)]
    for path in (mine, *others):
        path.touch()
    assert prune_backups(tmp_path, keep=1, made=mine) == others[:2]


def test_a_folder_named_like_a_backup_is_no_backup_and_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "skillrank-20260101T000000000000Z.db"
    folder.mkdir()
    made = [make_backup(tmp_path, datetime(2026, 1, 1, tzinfo=UTC)) for _ in range(2)]
    assert prune_backups(tmp_path, keep=1) == made[:1]
    assert folder.is_dir()
    assert list_backups(tmp_path) == made[1:]


def test_of_many_backups_to_one_target_exactly_one_is_made_and_its_checksum_is_right(
    store: SqliteStore, tmp_path: Path
) -> None:
    use(store, "a")
    target = tmp_path / "backups" / "one.db"
    results: list[str] = []

    def make() -> None:
        try:
            results.append(store.backup(target).sha256)
        except InvalidRecord:
            results.append("refused")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (digest,) = set(results) - {"refused"}
    assert results.count(digest) == 1
    assert hashlib.sha256(target.read_bytes()).hexdigest() == digest
    assert target.with_name("one.db.sha256").read_text("utf-8") == f"{digest}  one.db\n"
    assert sorted(each.name for each in target.parent.iterdir()) == ["one.db", "one.db.sha256"]


def test_on_a_file_system_without_hard_links_a_backup_still_overwrites_nothing(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    store.backup(tmp_path / "one.db")
    with pytest.raises(InvalidRecord):
        store.backup(tmp_path / "one.db")
    assert restore(tmp_path / "new.db", tmp_path / "one.db", stamp="now").checksum_verified


def test_what_a_killed_backup_left_is_removed_by_a_later_one_when_it_is_old(store: SqliteStore, tmp_path: Path) -> None:
    old = [".skillrank-backup-0123456789abcdef.partial", ".skillrank-backup-0123456789abcdef.partial-journal"]
    recent, foreign = ".skillrank-backup-fedcba9876543210.partial", ".holiday.partial"
    for name in (*old, recent, foreign):
        (tmp_path / name).touch()
    for name in (*old, foreign):
        os.utime(tmp_path / name, (0, (tmp_path / recent).stat().st_mtime - LEFTOVER_AGE_S - 1))
    store.backup(tmp_path / "one.db")
    assert {each.name for each in tmp_path.glob(".*")} == {recent, foreign}


class NoRoom(apsw.VFS):
    """A disk on which files whose name holds `marked` may grow to `room` bytes and no further."""

    def __init__(self, marked: str, room: int) -> None:
        self.system = apsw.vfs_names()[0]
        super().__init__("no-room", self.system, makedefault=True)
        self.marked, self.room = marked, room

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  apsw's name
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        return NoRoomFile(self, name, flags) if self.marked in str(filename) else super().xOpen(name, flags)


class NoRoomFile(apsw.VFSFile):
    def __init__(self, disk: NoRoom, name: Any, flags: list[int]) -> None:
        super().__init__(disk.system, name, flags)
        self.disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  apsw's name
        if offset + len(data) > self.disk.room:
            raise apsw.FullError("database or disk is full")
        super().xWrite(data, offset)


def test_a_backup_that_the_disk_has_no_room_for_leaves_nothing_and_the_store_goes_on(
    store: SqliteStore, tmp_path: Path
) -> None:
    use(store, "a")
    disk = NoRoom(".partial", 40_000)
    try:
        with pytest.raises(StoreUnavailable, match="disk is full") as refused:
            store.backup(tmp_path / "backups" / "one.db")
    finally:
        disk.unregister()
    assert refused.value.cause == "full"
    assert list((tmp_path / "backups").iterdir()) == []
    use(store, "b")
    assert store.backup(tmp_path / "backups" / "one.db").total_invocations == 2


def test_a_restore_that_the_disk_has_no_room_for_changes_nothing(database: Path, saved: Path) -> None:
    before = beside(database)
    disk = NoRoom(".restoring", 40_000)
    try:
        with pytest.raises(StoreUnavailable, match="disk is full"):
            restore(database, saved, stamp="now")
    finally:
        disk.unregister()
    assert beside(database) == before
    assert ids(database) == ["before", "after"]


# --- restore ---------------------------------------------------------------------------------------------------


def test_a_restore_brings_the_moment_back_and_keeps_what_was_there(database: Path, saved: Path) -> None:
    report = restore(database, saved, stamp="now")
    assert (ids(database), report.checksum_verified, report.total_invocations) == (["before"], True, 1)
    assert report.kept is not None
    assert ids(Path(report.kept)) == ["before", "after"]
    assert beside(database) == ["skillrank.db"]


def test_a_second_restore_at_the_same_time_keeps_both_databases(database: Path, saved: Path) -> None:
    first, second = (restore(database, saved, stamp="now").kept for _ in range(2))
    assert first is not None
    assert second is not None
    assert (ids(Path(first)), ids(Path(second))) == (["before", "after"], ["before"])


def test_a_restore_into_an_empty_folder_makes_the_database(tmp_path: Path, saved: Path) -> None:
    fresh = tmp_path / "fresh" / "skillrank.db"
    assert restore(fresh, saved, stamp="now").kept is None
    assert ids(fresh) == ["before"]


def test_what_a_killed_restore_left_is_removed_by_the_next_store_that_opens(database: Path) -> None:
    left = [database.with_name(f"skillrank.db.restoring{ending}") for ending in ("", "-journal")]
    for path in left:
        path.write_bytes(b"half a database")
    with closing(open_store(database)):
        assert not any(path.exists() for path in left)


def test_a_stale_log_is_not_played_into_the_restored_file(database: Path, saved: Path) -> None:
    killed = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(database,))
    killed.start()
    killed.join()
    assert database.with_name("skillrank.db-wal").exists()
    report = restore(database, saved, stamp="now")
    assert ids(database) == ["before"]
    assert report.kept is not None
    assert ids(Path(report.kept)) == ["before", "after", "unfolded"]


def _write_and_die(database: Path) -> None:
    use(open_store(database), "unfolded")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_restore_is_refused_while_a_store_is_open(database: Path, saved: Path) -> None:
    with closing(open_store(database)), pytest.raises(StoreUnavailable, match="in use") as refused:
        restore(database, saved, stamp="now")
    assert refused.value.cause == "locked"
    assert ids(database) == ["before", "after"]


def test_a_restore_is_refused_while_another_program_has_the_file_open(database: Path, saved: Path) -> None:
    # In another process: file locks do not tell apart who is in the same one.
    context = multiprocessing.get_context("spawn")
    opened, done = context.Event(), context.Event()
    other = context.Process(target=_hold_open, args=(database, opened, done))
    other.start()
    try:
        assert opened.wait(30)
        with pytest.raises(StoreUnavailable) as refused:
            restore(database, saved, stamp="now")
    finally:
        done.set()
        other.join()
    assert refused.value.cause == "locked"
    assert ids(database) == ["before", "after"]


def _hold_open(database: Path, opened: Any, done: Any) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("SELECT count(*) FROM schema_migrations").fetchall()
        opened.set()
        done.wait(30)


def test_a_changed_backup_is_refused(database: Path, saved: Path) -> None:
    with saved.open("ab") as opened:
        opened.write(b"x")
    with pytest.raises(InvalidRecord, match="not the file"):
        restore(database, saved, stamp="now")
    assert ids(database) == ["before", "after"]


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "torn", "other program", "newer"])
def test_what_is_no_good_backup_is_refused_and_nothing_is_changed(
    database: Path, saved: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / "bad.db"
    if kind == "text":
        bad.write_text("no database at all, but long enough to look like something" * 50, "utf-8")
    elif kind == "empty":
        bad.touch()
    elif kind == "torn":
        raw = bytearray(saved.read_bytes())
        raw[8192 : len(raw) // 2] = bytes(len(raw) // 2 - 8192)
        bad.write_bytes(raw)
    elif kind == "other program":
        with closing(sqlite3.connect(bad)) as other:
            other.execute("CREATE TABLE mine(x)")
    elif kind == "newer":
        shutil.copyfile(saved, bad)
        with closing(apsw.Connection(str(bad))) as newer:
            newer.execute(
                "INSERT INTO schema_migrations SELECT 99, 'x', applied_at, checksum, '', 0 FROM (SELECT * FROM "
                "schema_migrations LIMIT 1)"
            )
    with pytest.raises((InvalidRecord, SchemaMismatch)):
        restore(database, bad, stamp="now")
    assert ids(database) == ["before", "after"]
    assert beside(database) == ["skillrank.db"]


def test_a_damaged_database_is_replaced_and_kept(database: Path, saved: Path) -> None:
    database.write_bytes(b"\x00" * 20_000)
    report = restore(database, saved, stamp="now")
    assert ids(database) == ["before"]
    assert report.kept is not None
    assert Path(report.kept).read_bytes() == b"\x00" * 20_000


@pytest.mark.usefixtures("saved")
def test_the_backup_of_a_migration_that_was_taken_back_can_be_restored(database: Path) -> None:
    runner = MigrationRunner(database)
    kept = runner.rollback_migration(runner.current_version())
    restore(database, kept, stamp="now")
    assert ids(database) == ["before", "after"]


# --- who has it open -------------------------------------------------------------------------------------------


def test_the_last_to_leave_takes_the_lock_file_away(database: Path) -> None:
    first, second = share(database), share(database)
    lock = database.with_name("skillrank.db.lock")
    first.release()
    assert lock.exists()
    second.release()
    second.release()
    assert not lock.exists()


def test_opening_waits_for_a_restore_and_fails_when_it_takes_too_long(database: Path) -> None:
    with occupy(database), pytest.raises(StoreUnavailable, match="being restored"):
        share(database, wait_s=0.05)
    share(database, wait_s=0.05).release()


def test_many_that_come_and_go_never_hold_it_together_with_one_alone(database: Path) -> None:
    inside = 0
    guard = threading.Lock()
    wrong: list[int] = []

    def come_and_go() -> None:
        nonlocal inside
        for _ in range(100):
            with share(database):
                with guard:
                    inside += 1
                with guard:
                    inside -= 1

    def alone() -> None:
        for _ in range(50):
            try:
                with occupy(database), guard:
                    if inside:
                        wrong.append(inside)
            except StoreUnavailable:
                continue

    threads = [threading.Thread(target=target) for target in (*[come_and_go] * 4, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- check -----------------------------------------------------------------------------------------------------


def test_a_check_names_metrics_that_differ_and_a_schema_that_was_changed(store: SqliteStore, database: Path) -> None:
    use(store, "a")
    assert store.check() == []
    with closing(apsw.Connection(str(database))) as other:
        other.execute("UPDATE skill_metrics SET total_invocations = 7; CREATE TABLE extra(x)").fetchall()
    metrics, schema = store.check()
    assert "skill_metrics" in metrics
    assert "extra" in schema


def test_a_check_finds_an_index_that_lacks_a_row(store: SqliteStore, database: Path) -> None:
    # Every page is well formed, so `PRAGMA quick_check` is content.
    use(store, "a")
    store.close()
    with closing(apsw.Connection(str(database))) as other:
        other.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        other.pragma("writable_schema", 1)
        other.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'query IS NOT NULL', 'query IS NULL') "
            "WHERE name = 'idx_search_words_kept'"
        ).fetchall()
    with closing(open_store(database)) as again:
        again.record_search(recorded("s"))
    with closing(apsw.Connection(str(database))) as other:
        other.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        other.pragma("writable_schema", 1)
        other.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'query IS NULL', 'query IS NOT NULL') "
            "WHERE name = 'idx_search_words_kept'"
        ).fetchall()
        assert other.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    with closing(open_store(database)) as damaged:
        assert any("idx_search_words_kept" in problem for problem in damaged.check())


def recorded(search_id: str) -> SearchRecord:
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


def test_counting_that_another_program_paused_is_named_and_a_rebuild_resumes_it(
    store: SqliteStore, database: Path
) -> None:
    with closing(apsw.Connection(str(database))) as careless:  # checks no references
        careless.execute("INSERT INTO projection_paused(only_row) VALUES (1)").fetchall()
    use(store, "a")
    assert any("not being counted" in problem for problem in store.health().problems)
    store.rebuild()
    use(store, "b")
    assert not any("not being counted" in problem for problem in store.health().problems)
    assert store.first_difference() is None


def test_slow_queries_are_counted_by_name(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.sqlite.database.SLOW_MS", 0.0)
    use(store, "a")
    use(store, "b")
    found = {each.name: each.count for each in store.health().slow_queries}
    assert (found["start_invocation"], found["finish_invocation"]) == (2, 2)
