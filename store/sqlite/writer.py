"""One thread owns the one write connection and commits whatever is queued as one group.

Every unit is a function of the connection. It runs inside a savepoint, so a failing unit takes nothing else with
it, and its caller hears of it only after the group's commit is synced. A unit may run more than once when its group
could not be committed, so units have no effects besides those on the connection.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import apsw

from store.errors import StoreUnavailable
from store.sqlite.connection import RETRY_AFTER_S, translated

T = TypeVar("T")
Unit = Callable[[apsw.Connection], T]
_Member = tuple[Unit[Any], Future[Any], float]

MAX_GROUP: Final = 512
LOCK_DEADLINE_S: Final = 30.0
_STOP: Final = object()


class Writer:
    """Runs units one after another on `connection`, which it owns from now on.

    Parameters
    ----------
    connection : apsw.Connection
        Open for writing; closed by `close`.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="skillrank-writer", daemon=True)
        self._thread.start()

    def run(self, unit: Unit[T]) -> T:
        """Run `unit`, and return its result once it is durable.

        Raises
        ------
        SkillrankError
            What the unit raised, or `StoreUnavailable`; nothing of the unit is stored then.
        """
        return self.submit(unit).result()

    def submit(self, unit: Unit[T]) -> Future[T]:
        """Queue `unit`; the future is done once it is durable."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a unit may not wait for another unit: put both into one")
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store has been closed", cause="closed")
            self._queue.put((unit, future, time.monotonic()))
        return future

    def close(self) -> None:
        """Commit everything queued, then close the connection. Calling it again does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(_STOP)
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._next_group()
            # A future that cannot start was cancelled by its caller before its turn.
            live = [member for member in group if member[1].set_running_or_notify_cancel()]
            if live:
                self._commit_group(live)
        self._connection.close()

    def _next_group(self) -> tuple[list[_Member], bool]:
        item = self._queue.get()
        group = []
        while item is not _STOP:
            group.append(item)
            if len(group) >= MAX_GROUP:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit_group(self, group: list[_Member]) -> None:
        try:
            results = self._run_group(group)
        except BaseException as error:  # noqa: BLE001  the thread's border: the error goes to whoever waits
            if len(group) == 1 or _would_wait_again(error):
                for _, future, _ in group:
                    future.set_exception(error)
                return
            # The group fell as a whole (a full disk, say); alone, a smaller unit may still fit.
            for member in group:
                self._commit_group([member])
            return
        for (_, future, _), result in zip(group, results, strict=True):
            if isinstance(result, _Failure):
                future.set_exception(result.error)
            else:
                future.set_result(result)

    def _run_group(self, group: list[_Member]) -> list[Any]:
        connection = self._connection
        with translated():
            # Waiting in the queue behind a group that waited for the lock counts too.
            self._begin(min(queued for _, _, queued in group) + LOCK_DEADLINE_S)
            try:
                results = [self._run_unit(unit) for unit, _, _ in group]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return results

    def _run_unit(self, unit: Unit[Any]) -> Any:
        connection = self._connection
        connection.execute("SAVEPOINT unit")
        try:
            with translated():
                result = unit(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite itself gave the whole transaction up
            connection.execute("ROLLBACK TO unit; RELEASE unit")
            return _Failure(error)
        connection.execute("RELEASE unit")
        return result

    def _begin(self, deadline: float) -> None:
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError as error:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"another process has held the database's write lock for {LOCK_DEADLINE_S:.0f} seconds; "
                        "try again in a moment",
                        cause="locked",
                        retry_after_s=RETRY_AFTER_S,
                    ) from error
            else:
                return


def _would_wait_again(error: BaseException) -> bool:
    # The group has waited its whole deadline for the lock; its members must not wait as long again, in turn.
    return isinstance(error, StoreUnavailable) and error.cause == "locked"


class _Failure:
    """A unit's own error, kept apart from a result that happens to be an exception."""

    def __init__(self, error: Exception) -> None:
        self.error = error
