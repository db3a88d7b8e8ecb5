"""The database itself refuses every change of the log: these tests use the driver directly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store

MOMENT = "2026-01-01T00:00:00.000000Z"
INVOCATION = f"INTO skill_invocation(id, skill_name, invoked_at) VALUES ('use', 'other', '{MOMENT}')"
INVOCATION_BY_SEQ = f"INTO skill_invocation(seq, id, skill_name, invoked_at) VALUES (1, 'new', 'other', '{MOMENT}')"
OUTCOME = (
    "INTO skill_outcome(invocation_id, skill_name, outcome, finished_at, source)"
    f" VALUES ('use', 'lint', 'completed', '{MOMENT}', 'client')"
)
OUTCOME_BY_SEQ = (
    "INTO skill_outcome(seq, invocation_id, skill_name, outcome, finished_at, source)"
    f" VALUES (1, 'open', 'lint', 'completed', '{MOMENT}', 'client')"
)


@pytest.fixture
def path(tmp_path: Path, migrated_file: Path) -> Path:
    """A log of one failed use and one open one."""
    path = shutil.copyfile(migrated_file, tmp_path / "log.db")
    with closing(open_store(path)) as store:
        store.start_invocation(NewInvocation(skill_name="lint", id="use", session_id="s"))
        store.finish_invocation("use", NewOutcome(outcome="failed", error_type="ValueError"))
        store.start_invocation(NewInvocation(skill_name="lint", id="open"))
    return path


@pytest.fixture(params=[False, True], ids=["recursive_triggers off", "recursive_triggers on"])
def outside(request: pytest.FixtureRequest, path: Path) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"PRAGMA recursive_triggers = {'ON' if request.param else 'OFF'}")
        yield connection


def log_of(connection: apsw.Connection) -> list[Any]:
    invocations = connection.execute("SELECT * FROM skill_invocation ORDER BY seq").fetchall()
    return invocations + connection.execute("SELECT * FROM skill_outcome ORDER BY seq").fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE skill_invocation SET skill_name = 'other'",
        "UPDATE skill_invocation SET seq = seq + 100",
        "UPDATE OR REPLACE skill_invocation SET id = 'open' WHERE id = 'use'",
        "UPDATE OR IGNORE skill_invocation SET user_query = 'x'",
        "UPDATE skill_outcome SET outcome = 'completed', error_type = NULL",
        "UPDATE skill_outcome SET rowid = 7",
    ],
)
def test_update_is_refused(outside: apsw.Connection, statement: str) -> None:
    refuses(outside, statement, "append-only: UPDATE refused")


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM skill_outcome", "DELETE FROM skill_invocation WHERE id = 'open'", "DELETE FROM skill_invocation"],
)
def test_delete_is_refused(outside: apsw.Connection, statement: str) -> None:
    outside.execute("PRAGMA foreign_keys = OFF")
    refuses(outside, statement, "append-only: DELETE refused")


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE"])
@pytest.mark.parametrize(
    "row",
    [INVOCATION, INVOCATION_BY_SEQ, INVOCATION_BY_SEQ.replace("seq,", "rowid,", 1), OUTCOME, OUTCOME_BY_SEQ],
    ids=["use by id", "use by seq", "use by rowid", "outcome by id", "outcome by seq"],
)
def test_replace_is_refused(outside: apsw.Connection, verb: str, row: str) -> None:
    refuses(outside, f"{verb} {row}", "append-only: REPLACE refused")


@pytest.mark.parametrize(("row", "key"), [(INVOCATION, "id"), (OUTCOME, "invocation_id")], ids=["use", "outcome"])
def test_an_upsert_is_refused(outside: apsw.Connection, row: str, key: str) -> None:
    refuses(outside, f"INSERT {row} ON CONFLICT ({key}) DO UPDATE SET skill_name = 'other'", "append-only")


def test_an_outcome_of_an_unknown_use_is_refused(outside: apsw.Connection) -> None:
    outside.execute("PRAGMA foreign_keys = OFF")
    refuses(outside, "INSERT " + OUTCOME.replace("'use'", "'nobody'"), "must name a recorded invocation")


def test_an_outcome_of_another_skill_than_its_use_is_refused(outside: apsw.Connection) -> None:
    refuses(outside, "INSERT " + OUTCOME.replace("'use', 'lint'", "'open', 'other'"), "must name a recorded invocation")


def test_a_plain_insert_is_counted_by_the_triggers(outside: apsw.Connection, path: Path) -> None:
    outside.execute(f"INSERT {OUTCOME_BY_SEQ.replace('VALUES (1,', 'VALUES (2,')}")
    with closing(open_store(path)) as store:
        assert store.first_difference() is None
        assert store.all_metrics()[0].completed_invocations == 1


def refuses(connection: apsw.Connection, statement: str, said: str) -> None:
    before = log_of(connection)
    with pytest.raises(apsw.ConstraintError, match=said):
        connection.execute(statement)
    assert log_of(connection) == before


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE skill_metrics SET completed_invocations = 99", "skill_metrics"),
        ("DELETE FROM skill_metrics", "skill_metrics"),
        ("UPDATE skill_metrics SET min_duration_seconds = 1e-9", "skill_metrics"),
        ("UPDATE skill_metric_count SET n = n + 1", "skill_metric_count"),
        ("INSERT INTO skill_metric_count(skill_name, kind, value, n) VALUES ('x', 'error_type', 'y', 1)", "'y'"),
        ("UPDATE session_skill SET total_duration_us = 1", "session_skill"),
        ("DELETE FROM open_invocation", "open_invocation"),
        ("UPDATE skill_hour SET invocations = 9", "skill_hour"),
    ],
)
def test_metrics_that_were_tampered_with_are_found_and_rebuilt(path: Path, tampering: str, said: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(tampering)
    with closing(open_store(path)) as store:
        assert said in (store.first_difference() or "")
        store.rebuild()
        assert store.first_difference() is None
