"""The one change that the log allows, in the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from store.contract.tracking import NewInvocation
from store.contract.workflows import NewWorkflowEvent
from store.sqlite import open_store

WORDS = "where is the treasure buried"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    store = open_store(path)
    store.start_invocation(NewInvocation(id="asked", skill_name="dig", session_id="s", user_query=WORDS))
    store.start_invocation(NewInvocation(id="silent", skill_name="dig", session_id="s"))
    store.record_event(NewWorkflowEvent(id="e", session_id="s", workflow="w", step="x", status="passed"))
    store.close()
    return path


@pytest.fixture
def outside(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "user_query = 'other words'",
        "user_query = NULL",
        "user_query = NULL, user_query_hash = '', skill_name = 'sail'",
        "user_query = NULL, user_query_hash = '', invoked_at = '2026-01-01T00:00:00.000000Z'",
        "user_query = NULL, user_query_hash = '', session_id = NULL",
        "user_query = NULL, user_query_hash = '', seq = 99",
        "user_query = NULL, user_query_hash = '', id = 'another'",
        "user_query = NULL, user_query_hash = '', user_id = 'somebody'",
        "user_query = NULL, user_query_hash = '', project_id = 'p'",
        "user_query = NULL, user_query_hash = '', project_path = 'p'",
        "user_query = NULL, user_query_hash = '', given_name = 'p'",
        "user_query = NULL, user_query_hash = '', workflow_path = 'p'",
        "user_query = NULL, user_query_hash = '', workflow_phase = 'p'",
        "user_query = NULL, user_query_hash = '', search_id = 'q'",
        "user_query = NULL, user_query_hash = '', selection_rank = 1",
        "user_query = NULL, user_query_hash = '', alternatives_considered = '[1]'",
        "user_query = NULL, user_query_hash = '', user_context = '{\"a\":1}'",
    ],
)
def test_a_use_may_lose_its_query_and_nothing_else(outside: apsw.Connection, change: str) -> None:
    with pytest.raises(apsw.ConstraintError, match="append-only: UPDATE refused"):
        outside.execute(f"UPDATE skill_invocation SET {change} WHERE id = 'asked'")
    outside.execute("UPDATE skill_invocation SET user_query = NULL, user_query_hash = 'h' WHERE id = 'asked'")
    outside.execute("UPDATE skill_invocation SET user_query_hash = '' WHERE id = 'asked'")
    for later in ("user_query_hash = 'h'", "user_query = 'words', user_query_hash = NULL"):
        with pytest.raises(apsw.ConstraintError):
            outside.execute(f"UPDATE skill_invocation SET {later} WHERE id = 'asked'")


def test_a_use_without_a_query_has_none_to_lose(outside: apsw.Connection) -> None:
    with pytest.raises(apsw.ConstraintError, match="append-only: UPDATE refused"):
        outside.execute("UPDATE skill_invocation SET user_query_hash = '' WHERE id = 'silent'")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workflow_event SET status = 'failed'",
        "DELETE FROM workflow_event",
        "INSERT OR REPLACE INTO workflow_event SELECT * FROM workflow_event",
    ],
)
def test_workflow_events_are_only_ever_added(outside: apsw.Connection, statement: str) -> None:
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        outside.execute(statement)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("status", "'maybe'"),
        ("duration_seconds", "-1"),
        ("payload", "'[]'"),
        ("payload", "json_object('x', printf('%20000s', 'x'))"),
        ("occurred_at", "'yesterday'"),
        ("session_id", "'nobody'"),
        ("workflow", "''"),
    ],
)
def test_the_schema_refuses_what_is_no_event(outside: apsw.Connection, column: str, cell: str) -> None:
    outside.execute("PRAGMA foreign_keys = ON")
    columns = ["session_id", "workflow", "step", "status", "occurred_at", "duration_seconds", "payload", "recorded_at"]
    told = ", ".join(cell if column == name else name for name in columns)
    with pytest.raises(apsw.ConstraintError):
        outside.execute(
            f"INSERT INTO workflow_event(id, {', '.join(columns)}) SELECT 'new', {told} FROM workflow_event"
        )


@pytest.mark.parametrize("forget", ["words", "queries"])
def test_forgotten_words_are_nowhere_in_the_file(path: Path, forget: str) -> None:
    assert WORDS.encode() in path.read_bytes()
    store = open_store(path)
    if forget == "words":
        store.forget_words()
    else:
        store.forget_queries(timedelta(days=-1))
    store.close()
    assert WORDS.encode() not in path.read_bytes()
