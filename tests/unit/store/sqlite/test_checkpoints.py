"""The write-ahead log is folded into the database on another thread and does not grow without bound."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from store.contract.tracking import NewInvocation
from store.sqlite import SqliteStore, checkpoints, open_store

WAIT_S = 20


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoints, "BEGIN_PAGES", 20)
    path = tmp_path / "data" / "skillrank.db"
    path.parent.mkdir()
    shutil.copyfile(migrated_file, path)
    return path


@pytest.fixture
def store(database: Path) -> Iterator[SqliteStore]:
    opened = open_store(database)
    yield opened
    opened.close()


def write(store: SqliteStore, times: int) -> None:
    for _ in range(times):
        store.start_invocation(NewInvocation(skill_name="lint", user_query="long " * 1000))


def test_what_was_written_is_folded_in_without_a_caller(store: SqliteStore, database: Path) -> None:
    before = database.stat().st_size
    write(store, 50)
    until = time.monotonic() + WAIT_S
    while database.stat().st_size == before:
        assert time.monotonic() < until, "nothing was folded in"
        time.sleep(0.01)
    assert store.first_difference() is None


def test_the_writer_helps_when_the_log_grows_too_long(
    store: SqliteStore, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "HELP_PAGES", 40)
    monkeypatch.setattr(checkpoints, "BEGIN_PAGES", 1_000_000)  # the thread does nothing
    write(store, 500)
    # Without help, five hundred such units fill some 2,500 pages.
    assert database.with_name(database.name + "-wal").stat().st_size < 1000 * 4096


def test_a_log_that_cannot_be_folded_in_is_reported_and_nothing_is_lost(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object, **__: object) -> None:
        raise apsw.IOError("disk I/O error")

    class Refusing:
        wal_checkpoint = refuse

    checkpoints._fold(Refusing())  # type: ignore[arg-type]  stands for a connection whose disk refuses
    assert "cannot be folded" in caplog.text
    write(store, 3)
    assert store.first_difference() is None
