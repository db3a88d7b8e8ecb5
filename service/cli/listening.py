"""The sockets and the server of `skillrank serve`: binds before it serves, and limits idle clients."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from migrations.errors import SkillrankError

if TYPE_CHECKING:
    from litestar import Litestar

_DRAIN_S: Final = 10
# How long a client may take to send the head of a request, and its body.
HEAD_WITHIN_S: Final = 15.0
BODY_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 5.0
_QUIET_S: Final = 10.0
# Reserved for the database, models and documents.
_RESERVED_DESCRIPTORS: Final = 16
_MOST_CONNECTIONS: Final = 2_048
_FEWEST_CONNECTIONS: Final = 4
_OUT_OF_DESCRIPTORS: Final = "socket.accept() out of system resource"

_log = structlog.get_logger(__name__)


class CannotListen(SkillrankError):
    """The address of the service cannot be used; the message says why, and which setting changes it."""


class Listener:
    """The sockets of the service; a context manager that closes them.

    Parameters
    ----------
    host : str
        A name or an address; every address that a name stands for is used.
    port : int
        0 lets the system choose.

    Raises
    ------
    CannotListen
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.sockets = _bound(host, port)
        self.port: int = self.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """Where to send requests, with the real port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        for each in self.sockets:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_server(app: Litestar, listener: Listener) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way."""
    most = connection_limit()

    class Limited(GuardedProtocol):
        most_connections = most

    config = uvicorn.Config(
        app,
        http=Limited,
        log_config=None,
        access_log=False,
        # The event loop accepts up to this many connections before it can refuse any of them.
        backlog=most,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    _Server(config).run(sockets=listener.sockets)


class GuardedProtocol(H11Protocol):
    """HTTP that disconnects clients beyond `most_connections`, and those that do not complete a request."""

    most_connections: ClassVar[int] = _MOST_CONNECTIONS
    _refused_at: ClassVar[float] = float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection if there are too many, else watch it."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._asking = True
        self._known_cycle: object = None
        self._watch = self.loop.call_later(_LOOK_EVERY_S, self._look)
        if len(self.connections) > self.most_connections:
            self._refuse()

    def data_received(self, data: bytes) -> None:
        """Track when a request starts and when its head is complete."""
        if self._is_idle() and not self._asking:
            self._asking, self._since = True, self.loop.time()
        super().data_received(data)
        if self.cycle is not self._known_cycle:
            self._known_cycle, self._asking, self._since = self.cycle, False, self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        waited = self.loop.time() - self._since
        # Between two requests, uvicorn's keep-alive timeout applies.
        slow_head = self._asking and self._is_idle() and waited >= HEAD_WITHIN_S
        slow_body = not self._is_idle() and self.cycle.more_body and waited >= BODY_WITHIN_S
        if slow_head or slow_body:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(_LOOK_EVERY_S, self._look)

    def _is_idle(self) -> bool:
        # There is no cycle before the first request, although the base class declares one.
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _refuse(self) -> None:
        now = self.loop.time()
        if now - GuardedProtocol._refused_at >= _QUIET_S:
            GuardedProtocol._refused_at = now
            _log.warning("too many connections; new ones are refused", limit=self.most_connections)
        self.transport.abort()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_Exceptions())
        await super().startup(sockets)


class _Exceptions:
    """Handles exceptions of the event loop, and logs a lack of file descriptors in one line at intervals."""

    def __init__(self) -> None:
        self._logged_at = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _OUT_OF_DESCRIPTORS:
            loop.default_exception_handler(context)
        elif (now := time.monotonic()) - self._logged_at >= _QUIET_S:
            self._logged_at = now
            _log.warning("no connection can be accepted", reason=str(context.get("exception")))


def connection_limit() -> int:
    """Return how many connections the process may hold: half of the file descriptors that are left.

    The other half is for connections that were accepted and are about to be refused.
    """
    left = _descriptor_limit() - _open_descriptors() - _RESERVED_DESCRIPTORS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, left // 2))


def _descriptor_limit() -> int:
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return 2 * _MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_CONNECTIONS + 1_024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return wanted if soft == resource.RLIM_INFINITY else soft


def _open_descriptors() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return sum(1 for _ in Path(folder).iterdir())
    return 2 * _RESERVED_DESCRIPTORS


def _bound(host: str, port: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    failure: OSError | None = None
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(_in_words(host, port, error)) from error
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in places):
        # With port 0, the system chooses a port for the first address, and the others use the same.
        chosen = found[0].getsockname()[1] if found else port
        try:
            found.append(_listening(family, (address[0], chosen, *address[2:])))
        except OSError as error:
            failure = error
            if error.errno == errno.EADDRINUSE:
                break
    if failure is not None and (not found or failure.errno == errno.EADDRINUSE):
        for each in found:
            each.close()
        raise CannotListen(_in_words(host, port, failure)) from failure
    return found


def _listening(family: int, address: Sequence[Any]) -> socket.socket:
    made = socket.create_server(tuple(address), family=family)
    # Detects peers that disappeared without closing the connection.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def _in_words(host: str, port: int, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        reason = error.strerror
    else:
        reason = "this is not a host name" if code is None else os.strerror(code)
    if code == errno.EADDRINUSE:
        remedy = "stop what uses it, or choose another port with --port or SKILLRANK_PORT (0 takes any free one)"
    elif code in {errno.EACCES, errno.EPERM}:
        remedy = "choose a port from 1024 with --port or SKILLRANK_PORT"
    else:
        remedy = "set an address of this machine with --host or SKILLRANK_HOST"
    return f"cannot listen on {host}:{port}: {reason}; {remedy}"
