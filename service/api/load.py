"""How many requests work at once: writes leave threads to reads, and few large bodies are in memory together.

Every write waits for the one writer of the store. When another program holds the database's lock, those waits last
half a minute each, so writes may take only a part of the threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType

from service.api.problems import send_problem

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

THREADS: Final = 24
MOST_WRITES: Final = 12
MOST_LARGE_BODIES: Final = 2
LARGE_BODY_BYTES: Final = 1 << 20
WAIT_S: Final = 10.0
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _Busy(Exception):
    """There was no slot within the time that a request waits."""


class Load:
    """Wraps `app`: requests that may write wait for a slot, and get 503 when there is none for a while.

    Parameters
    ----------
    app : ASGIApp
    max_body_bytes : int
        Longer bodies are refused further in; they are not read here.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, wait_s: float = WAIT_S) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._wait_s = wait_s
        self._writes = asyncio.Semaphore(MOST_WRITES)
        self._large = asyncio.Semaphore(MOST_LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP or scope["method"] in _READS:
            await self._app(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        # A body that is still being sent takes no slot.
        head, size = await self._read(scope, receive)
        try:
            async with self._slot(self._large if size > LARGE_BODY_BYTES else None), self._slot(self._writes):
                await self._app(scope, _replayed(head, receive), sent)
        except _Busy:
            if started:
                raise
            await send_problem(
                send,
                503,
                "Busy",
                "too many writes are waiting; try again in a moment",
                headers={"Retry-After": "1"},
                extra={"cause": "busy"},
            )

    async def _read(self, scope: Scope, receive: Receive) -> tuple[list[HTTPReceiveMessage], int]:
        head: list[HTTPReceiveMessage] = []
        size = 0
        if _announced(scope) > self._max_body_bytes:
            return head, size
        while size <= self._max_body_bytes:
            message = await receive()
            head.append(message)  # type: ignore[arg-type]
            if message["type"] != "http.request":
                break
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        return head, size

    @asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore | None) -> AsyncIterator[None]:
        if slots is None:
            yield
            return
        try:
            await asyncio.wait_for(slots.acquire(), self._wait_s)
        except TimeoutError as error:
            raise _Busy from error
        try:
            yield
        finally:
            slots.release()


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _replayed(head: list[HTTPReceiveMessage], receive: Receive) -> Receive:
    waiting = iter(head)

    async def replayed() -> HTTPReceiveMessage:
        for message in waiting:
            return message
        return await receive()  # type: ignore[return-value]

    return replayed
