"""The writer: one thread, one connection, whatever is queued in one commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from migrations import SkillrankError
from store.errors import InvalidRecord, StoreUnavailable
from store.sqlite.connection import open_connection
from store.sqlite.writer import MAX_GROUP, Pending, Writer

WAIT_S = 20
T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "writer.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY)")
    return path


@pytest.fixture
def connection(path: Path) -> apsw.Connection:
    return open_connection(path, readonly=False)


@pytest.fixture
def commits(connection: apsw.Connection) -> list[int]:
    """Grows by one with each commit of the writer's connection."""
    seen: list[int] = []

    def hook() -> bool:
        seen.append(1)
        return False

    connection.set_commit_hook(hook)
    return seen


@pytest.fixture
def writer(connection: apsw.Connection) -> Iterator[Writer]:
    writer = Writer(connection)
    yield writer
    writer.close()


def keep(number: int) -> Callable[[apsw.Connection], int]:
    def unit(connection: apsw.Connection) -> int:
        connection.execute("INSERT INTO kept VALUES (?)", (number,))
        return number

    return unit


def kept(path: Path) -> list[int]:
    with closing(apsw.Connection(str(path))) as outside:
        return [row[0] for row in outside.execute("SELECT n FROM kept ORDER BY n")]


def told(pending: Pending[T]) -> T:
    """Return or raise what became of a unit, but do not wait for ever."""
    until = time.monotonic() + WAIT_S
    while not pending.done():
        assert time.monotonic() < until, "the writer does not answer"
        time.sleep(0.001)
    return pending.result()


@contextmanager
def one_group(writer: Writer) -> Iterator[None]:
    """Hold the writer, so that what is submitted inside is its next group."""
    holding, go_on = threading.Event(), threading.Event()

    def unit(_: apsw.Connection) -> None:
        holding.set()
        assert go_on.wait(WAIT_S)

    held = writer.submit(unit)
    assert holding.wait(WAIT_S)
    try:
        yield
    finally:
        go_on.set()
    told(held)


# --- what a unit may rely on ---------------------------------------------------------------------------------


def test_a_units_result_is_returned(writer: Writer) -> None:
    assert writer.run(keep(7)) == 7


def test_what_a_unit_wrote_is_committed_when_it_returns(writer: Writer, path: Path) -> None:
    writer.run(keep(7))
    assert kept(path) == [7]


def test_what_is_queued_is_committed_as_one_group(writer: Writer, commits: list[int], path: Path) -> None:
    with one_group(writer):
        done = [writer.submit(keep(number)) for number in range(50)]
    assert [told(pending) for pending in done] == list(range(50))
    assert len(commits) <= 2  # the unit that held the writer, and the group
    assert kept(path) == list(range(50))


def test_a_group_is_bounded(writer: Writer, commits: list[int], path: Path) -> None:
    with one_group(writer):
        done = [writer.submit(keep(number)) for number in range(2 * MAX_GROUP)]
    for pending in done:
        told(pending)
    assert len(commits) >= 3
    assert len(kept(path)) == 2 * MAX_GROUP


def test_units_run_in_the_order_they_were_submitted(writer: Writer) -> None:
    order: list[int] = []
    with one_group(writer):
        done = [writer.submit(lambda _, number=number: order.append(number)) for number in range(20)]
    for pending in done:
        told(pending)
    assert order == list(range(20))


def test_a_unit_may_not_wait_for_another(writer: Writer) -> None:
    with pytest.raises(RuntimeError, match="one"):
        writer.run(lambda _: writer.run(keep(1)))


# --- units that fail -----------------------------------------------------------------------------------------


def test_a_failing_unit_takes_nothing_of_its_group_with_it(writer: Writer, path: Path) -> None:
    def fail(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO kept VALUES (99)")
        raise KeyError("mine")

    with one_group(writer):
        before, failing, after = writer.submit(keep(1)), writer.submit(fail), writer.submit(keep(2))
    assert (told(before), told(after)) == (1, 2)
    with pytest.raises(KeyError, match="mine"):
        told(failing)
    assert kept(path) == [1, 2]


def test_a_broken_rule_of_the_schema_is_an_invalid_record(writer: Writer, path: Path) -> None:
    writer.run(keep(1))
    with pytest.raises(InvalidRecord) as refused:
        writer.run(keep(1))
    assert isinstance(refused.value.__cause__, apsw.ConstraintError)
    assert kept(path) == [1]


def test_an_exception_that_is_returned_is_a_result(writer: Writer) -> None:
    error = ValueError("only a value")
    assert writer.run(lambda _: error) is error


def test_a_unit_that_ends_its_transaction_does_not_lose_the_others_of_its_group(writer: Writer, path: Path) -> None:
    def roll_back(connection: apsw.Connection) -> None:
        connection.execute("ROLLBACK")
        raise KeyError

    with one_group(writer):
        before, failing, after = writer.submit(keep(1)), writer.submit(roll_back), writer.submit(keep(2))
    assert (told(before), told(after)) == (1, 2)
    with pytest.raises(KeyError):
        told(failing)
    assert kept(path) == [1, 2]


def test_the_writer_outlives_a_unit_that_asks_to_exit(writer: Writer, path: Path) -> None:
    def leave(_: apsw.Connection) -> None:
        raise SystemExit

    with one_group(writer):
        leaving, other = writer.submit(leave), writer.submit(keep(1))
    with pytest.raises(SystemExit):
        told(leaving)
    assert told(other) == 1
    writer.run(keep(2))
    assert kept(path) == [1, 2]


# --- commits that fail ---------------------------------------------------------------------------------------


def test_units_whose_group_could_not_be_committed_are_committed_one_by_one(
    connection: apsw.Connection, writer: Writer, path: Path
) -> None:
    with one_group(writer):
        done = [writer.submit(keep(number)) for number in range(5)]
        answers = iter([False, True])  # the unit that holds the writer passes, then the group fails once
        connection.set_commit_hook(lambda: next(answers, False))
    assert [told(pending) for pending in done] == list(range(5))
    assert kept(path) == list(range(5))


def test_a_unit_that_cannot_be_committed_fails_and_leaves_nothing(
    connection: apsw.Connection, writer: Writer, path: Path
) -> None:
    connection.set_commit_hook(lambda: True)
    with pytest.raises(SkillrankError):
        writer.run(keep(1))
    connection.set_commit_hook(None)
    writer.run(keep(2))
    assert kept(path) == [2]


# --- a lock that others hold ---------------------------------------------------------------------------------


def test_a_lock_that_is_released_in_time_is_waited_for(writer: Writer, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = writer.submit(keep(1))
        time.sleep(0.1)
        assert not waiting.done()
        other.execute("COMMIT")
        assert told(waiting) == 1


def test_a_lock_that_is_held_too_long_fails_the_whole_group_at_once(connection: apsw.Connection, path: Path) -> None:
    writer = Writer(connection, lock_wait_s=0.5)
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        done = [writer.submit(keep(number)) for number in range(20)]
        assert [cause_of(pending) for pending in done] == ["locked"] * 20
        assert time.monotonic() - began < 5  # a deadline for the group, not one for each
        other.execute("COMMIT")
    assert writer.run(keep(100)) == 100
    writer.close()
    assert kept(path) == [100]


def cause_of(pending: Pending[Any]) -> str | None:
    with pytest.raises(StoreUnavailable) as refused:
        told(pending)
    return refused.value.cause


# --- the end -------------------------------------------------------------------------------------------------


def test_closing_commits_what_is_queued(writer: Writer, path: Path) -> None:
    with one_group(writer):
        done = [writer.submit(keep(number)) for number in range(3 * MAX_GROUP)]
        closer = threading.Thread(target=writer.close)
        closer.start()
    closer.join(WAIT_S)
    assert all(pending.done() for pending in done)
    assert len(kept(path)) == 3 * MAX_GROUP


def test_closing_again_does_nothing(writer: Writer) -> None:
    writer.close()
    writer.close()


def test_closing_from_several_threads_at_once_ends_them_all(writer: Writer) -> None:
    closers = [threading.Thread(target=writer.close) for _ in range(5)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(WAIT_S)
    assert not any(closer.is_alive() for closer in closers)


def test_a_closed_writer_takes_nothing_more(writer: Writer, path: Path) -> None:
    writer.close()
    with pytest.raises(StoreUnavailable) as refused:
        writer.run(keep(1))
    assert refused.value.cause == "closed"
    assert kept(path) == []


def test_closing_releases_the_connection_and_its_thread(writer: Writer, path: Path) -> None:
    writer.run(keep(1))
    writer.close()
    assert [each for each in apsw.connections() if each.filename == str(path)] == []
    assert "skillrank-writer" not in {thread.name for thread in threading.enumerate()}
