"""The settings of every connection, and how the driver's errors are translated."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from store.errors import InvalidRecord, StoreUnavailable
from store.sqlite import SqliteStore, open_store
from store.sqlite.connection import translated
from store.sqlite.database import SLOW_MS


@pytest.fixture
def store(tmp_path: Path, migrated_file: Path) -> Iterator[SqliteStore]:
    with closing(open_store(shutil.copyfile(migrated_file, tmp_path / "store.db"))) as store:
        yield store


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("recursive_triggers", 1)],
)
@pytest.mark.parametrize("side", ["write", "read"])
def test_connections_are_durable_and_strict(store: SqliteStore, side: str, pragma: str, value: object) -> None:
    assert getattr(store._db, side)("look", lambda connection: connection.pragma(pragma)) == value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (apsw.BusyError, "locked"),
        (apsw.LockedError, "locked"),
        (apsw.FullError, "full"),
        (apsw.ReadOnlyError, "read_only"),
        (apsw.PermissionsError, "read_only"),
        (apsw.CorruptError, "corrupt"),
        (apsw.NotADBError, "corrupt"),
        (apsw.InterruptError, "deadline"),
        (apsw.IOError, "io"),
        (apsw.CantOpenError, "io"),
        (apsw.NoMemError, "io"),
        (apsw.SQLError, "io"),
        (apsw.ConnectionClosedError, "closed"),
    ],
)
def test_an_error_of_the_driver_names_its_cause_and_keeps_the_driver_s_words(
    error: type[apsw.Error], cause: str
) -> None:
    with pytest.raises(StoreUnavailable) as told, translated():
        raise error("the driver's words")
    assert told.value.cause == cause
    assert isinstance(told.value.__cause__, error)


@pytest.mark.parametrize("error", [apsw.ConstraintError, apsw.TooBigError, apsw.MismatchError, OverflowError])
def test_a_value_that_cannot_be_stored_is_an_invalid_record(error: type[Exception]) -> None:
    with pytest.raises(InvalidRecord), translated():
        raise error("too much")


def test_only_what_may_pass_by_itself_says_when_to_try_again() -> None:
    told = {}
    for error in (apsw.BusyError, apsw.InterruptError, apsw.FullError, apsw.ReadOnlyError, apsw.CorruptError):
        with pytest.raises(StoreUnavailable) as refusal, translated():
            raise error
        told[refusal.value.cause] = refusal.value.retry_after_s is not None
    assert told == {"locked": True, "deadline": True, "full": False, "read_only": False, "corrupt": False}


def test_an_error_of_ours_goes_through_unchanged() -> None:
    error = InvalidRecord("ours")
    with pytest.raises(InvalidRecord) as told, translated():
        raise error
    assert told.value is error


def test_a_slow_query_is_logged_by_its_name(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n"
    with caplog.at_level(logging.WARNING, "store"):
        store._db.read("quick_one", lambda connection: connection.execute("SELECT 1").fetchall())
        store._db.read("slow_one", lambda connection: connection.execute(slow).fetchall())
    named = [(record.query, record.took_ms > SLOW_MS) for record in caplog.records if hasattr(record, "query")]
    assert named == [("slow_one", True)]
