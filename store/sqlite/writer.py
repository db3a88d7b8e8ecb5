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
from typing import Any, Final, Generic, TypeVar

import apsw

from store.errors import StoreUnavailable
from store.sqlite.connection import BUSY_TIMEOUT_MS, RETRY_AFTER_S, translated

T = TypeVar("T")
Unit = Callable[[apsw.Connection], T]
MAX_GROUP: Final = 512
LOCK_DEADLINE_S: Final = 30.0
LINGER_S: Final = 0.001
_STOP: Final = object()


class Pending(Generic[T]):
    """What becomes of a queued unit.

    A lock is all it waits with: a `concurrent.futures.Future` costs a use of a skill a fifth of its time.
    """

    __slots__ = ("_error", "_undecided", "_value", "queued", "unit")

    def __init__(self, unit: Unit[T]) -> None:
        self.unit = unit
        self.queued = time.monotonic()
        self._value: T
        self._error: BaseException | None = None
        self._undecided = threading.Lock()
        self._undecided.acquire()

    def succeed(self, value: T) -> None:
        """Tell that the unit is durable."""
        self._value = value
        self._undecided.release()

    def fail(self, error: BaseException) -> None:
        """Tell that nothing of the unit is stored."""
        self._error = error
        self._undecided.release()

    def done(self) -> bool:
        """Return whether it is decided."""
        return not self._undecided.locked()

    def result(self) -> T:
        """Wait until the unit is durable, and return or raise what it did."""
        with self._undecided:
            if self._error is not None:
                raise self._error
            return self._value


_Member = Pending[Any]


class Writer:
    """Runs units one after another on `connection`, which it owns from now on.

    Parameters
    ----------
    connection : apsw.Connection
        Open for writing; closed by `close`.
    lock_wait_s : float, optional
        How long a unit waits for other processes, from the moment it is queued; `LOCK_DEADLINE_S` by default.
    """

    def __init__(self, connection: apsw.Connection, *, lock_wait_s: float | None = None) -> None:
        self._connection = connection
        self._lock_wait_s = lock_wait_s
        if lock_wait_s is not None:
            # SQLite waits within one attempt, and the deadline is looked at between attempts.
            connection.set_busy_timeout(min(BUSY_TIMEOUT_MS, round(lock_wait_s * 1000)))
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

    def submit(self, unit: Unit[T]) -> Pending[T]:
        """Queue `unit`; what is returned is done once the unit is durable."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a unit may not wait for another unit: put both into one")
        pending = Pending(unit)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store has been closed", cause="closed")
            self._queue.put(pending)
        return pending

    def close(self) -> None:
        """Commit everything queued, then close the connection. Calling it again does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(_STOP)
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        group: list[_Member] = []
        while not stopping:
            self._linger(len(group))
            group, stopping = self._next_group()
            if group:
                self._commit_group(group)
        self._connection.close()

    def _linger(self, callers: int) -> None:
        """Give `callers` who were answered together the chance to ask together again.

        Whoever wakes first would otherwise be served alone, and each commit pays for the disk.
        """
        until = time.perf_counter() + LINGER_S
        while callers > 1 and self._queue.qsize() < callers and time.perf_counter() < until:
            time.sleep(LINGER_S / 20)

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
                for member in group:
                    member.fail(error)
                return
            # The group fell as a whole (a full disk, say); alone, a smaller unit may still fit.
            for member in group:
                self._commit_group([member])
            return
        for member, result in zip(group, results, strict=True):
            if isinstance(result, _Failure):
                member.fail(result.error)
            else:
                member.succeed(result)

    def _run_group(self, group: list[_Member]) -> list[Any]:
        connection = self._connection
        with translated():
            # Waiting in the queue behind a group that waited for the lock counts too.
            wait_s = LOCK_DEADLINE_S if self._lock_wait_s is None else self._lock_wait_s
            self._begin(min(member.queued for member in group), wait_s)
            try:
                results = [self._run_unit(member.unit) for member in group]
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

    def _begin(self, queued: float, wait_s: float) -> None:
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError as error:
                if time.monotonic() > queued + wait_s:
                    raise StoreUnavailable(
                        f"another process has held the database's write lock for {wait_s:g} seconds; "
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
