"""One thread owns the only write connection and commits whatever is queued as one group.

A unit is a function of the connection. It runs inside a savepoint, so a unit that fails affects no other, and its
caller gets the result only after the group's commit was synced. A unit may run more than once if its group could not
be committed, so units must have no effects other than those on the connection.
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
# While another process holds the lock for longer than PATIENCE_S, so many callers go on waiting and all others are
# refused at once: callers that wait hold threads that reads need, and on one core a service has five of these.
PATIENCE_S: Final = 1.0
MOST_WAITING: Final = 2
NOTED_WAIT_S: Final = 0.1
_ATTEMPT_MS: Final = 250
LINGER_S: Final = 0.001
_STOP: Final = object()


class Pending(Generic[T]):
    """The pending result of a queued unit.

    It waits with a bare lock: a `concurrent.futures.Future` would make tracking a use a fifth slower.
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
        """Report that the unit is durable."""
        self._value = value
        self._undecided.release()

    def fail(self, error: BaseException) -> None:
        """Report that nothing of the unit is stored."""
        self._error = error
        self._undecided.release()

    def done(self) -> bool:
        """Return whether the result is known."""
        return not self._undecided.locked()

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` seconds for the result; return whether it is known."""
        decided = self._undecided.acquire(timeout=timeout_s)
        if decided:
            self._undecided.release()
        return decided

    def result(self) -> T:
        """Wait until the unit is durable; return its result or raise its error."""
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
    check : callable, optional
        Called after each commit; when it raises, the units of that commit fail with its error.
    noted : callable, optional
        Called with the seconds of each wait for the lock that was longer than `NOTED_WAIT_S`.
    lock_wait_s : float
        How long a unit waits for other processes, from the moment it is queued.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        check: Callable[[], None] = lambda: None,
        noted: Callable[[float], None] = lambda _: None,
        lock_wait_s: float = LOCK_DEADLINE_S,
    ) -> None:
        self._connection = connection
        self._check = check
        self._noted = noted
        self._lock_wait_s = lock_wait_s
        # SQLite waits within one attempt, and the deadline is looked at between attempts.
        connection.set_busy_timeout(min(BUSY_TIMEOUT_MS, round(lock_wait_s * 1000)))
        self._waiting_since: float | None = None
        self._beginning = 0  # how many callers the writer is taking the lock for
        self._trouble: StoreUnavailable | None = None
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        connection.set_busy_timeout(_ATTEMPT_MS)
        self._thread = threading.Thread(target=self._work, name="skillrank-writer", daemon=True)
        self._thread.start()

    @property
    def waiting_s(self) -> float:
        """How long the writer has been waiting for the lock; 0 when it is not waiting."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def trouble(self) -> StoreUnavailable | None:
        """What the last commit failed with, None when it succeeded."""
        return self._trouble

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
            raise RuntimeError("a unit must not wait for another unit; combine them into one")
        pending = Pending(unit)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store has been closed", cause="closed")
            if self.waiting_s > PATIENCE_S and self._beginning + self._queue.qsize() >= MOST_WAITING:
                raise _locked("many other callers wait for it")
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
        """Give `callers` that were answered together the chance to write together again.

        The first to wake would otherwise get a commit of its own, and every commit waits for the disk.
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
            if isinstance(error, StoreUnavailable):
                self._trouble = error
            if len(group) == 1 or _would_wait_again(error):
                for member in group:
                    member.fail(error)
                return
            # The group failed as a whole, on a full disk, say; alone, a smaller unit may still fit.
            for member in group:
                self._commit_group([member])
            return
        self._trouble = None
        for member, result in zip(group, results, strict=True):
            if isinstance(result, _Failure):
                if isinstance(result.error, StoreUnavailable):
                    self._trouble = result.error
                member.fail(result.error)
            else:
                member.succeed(result)

    def _run_group(self, group: list[_Member]) -> list[Any]:
        connection = self._connection
        with translated():
            self._begin(group)
            try:
                results = [self._run_unit(member.unit) for member in group]
                connection.execute("COMMIT")
                self._check()
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
                raise  # SQLite itself rolled the whole transaction back
            connection.execute("ROLLBACK TO unit; RELEASE unit")
            return _Failure(error)
        connection.execute("RELEASE unit")
        return result

    def _begin(self, group: list[_Member]) -> None:
        """Take the write lock for `group`, which shrinks to `MOST_WAITING` members if that takes long."""
        # Time in the queue behind a group that waited for the lock counts too.
        deadline = min(member.queued for member in group) + self._lock_wait_s
        began = time.monotonic()
        self._beginning = len(group)
        try:
            while True:
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                except apsw.BusyError as error:
                    if time.monotonic() > deadline:
                        raise _locked(f"for {self._lock_wait_s:g} seconds") from error
                    self._waiting_since = began
                    if self.waiting_s > PATIENCE_S:
                        self._refuse_most(group)
                else:
                    return
        finally:
            self._waiting_since = None
            if (waited_s := time.monotonic() - began) > NOTED_WAIT_S:
                self._noted(waited_s)

    def _refuse_most(self, group: list[_Member]) -> None:
        """Refuse all members of `group` and the queue beyond the first `MOST_WAITING`."""
        with self._closing:  # nothing is queued meanwhile
            queued = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
            members = [item for item in queued if item is not _STOP]
            room = max(MOST_WAITING - len(group), 0)
            for item in [*members[:room], *(item for item in queued if item is _STOP)]:
                self._queue.put(item)
        error = _locked("many other callers wait for it")
        for member in [*group[MOST_WAITING:], *members[room:]]:
            member.fail(error)
        del group[MOST_WAITING:]
        self._beginning = len(group)


def _locked(why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"another program holds the database's write lock ({why}); try again in a moment",
        cause="locked",
        retry_after_s=RETRY_AFTER_S,
    )


def _would_wait_again(error: BaseException) -> bool:
    # The group has waited its whole deadline for the lock; its members must not wait as long again, in turn.
    return isinstance(error, StoreUnavailable) and error.cause == "locked"


class _Failure:
    """A unit's own error, kept apart from a result that happens to be an exception."""

    def __init__(self, error: Exception) -> None:
        self.error = error
