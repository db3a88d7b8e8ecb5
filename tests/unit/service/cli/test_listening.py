"""The sockets of the service: bound before anything else, and not to be used up by idle clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from service.cli import listening
from service.cli.listening import CannotListen, GuardedProtocol, Listener

LIMIT_S = 0.3
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_WITHIN_S", LIMIT_S)
    monkeypatch.setattr(listening, "BODY_WITHIN_S", LIMIT_S)
    monkeypatch.setattr(listening, "_LOOK_EVERY_S", 0.05)


async def slow_echo(_: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await asyncio.sleep(3 * LIMIT_S)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(most: int = 100) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    class Limited(GuardedProtocol):
        most_connections = most

    with Listener("127.0.0.1", 0) as listener:
        config = uvicorn.Config(slow_echo, http=Limited, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=listener.sockets))
        try:
            yield lambda: asyncio.open_connection("127.0.0.1", listener.port)
        finally:
            server.should_exit = True
            await running


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 20 * LIMIT_S) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"])
def test_a_client_that_does_not_finish_its_request_is_disconnected(sent: bytes) -> None:
    async def tried() -> bool:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(sent)
            return await is_closed(reader)

    assert asyncio.run(tried())


def test_a_client_whose_answer_takes_long_is_not_disconnected() -> None:
    async def tried() -> list[bytes]:
        async with serving() as connect:
            reader, writer = await connect()
            answers = []
            for _ in range(2):
                writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
                await reader.readuntil(b"\r\n\r\n")
                answers.append(await reader.readexactly(3))
            writer.close()
            return answers

    assert asyncio.run(tried()) == [b"abc", b"abc"]


def test_connections_beyond_the_limit_are_refused_until_others_end() -> None:
    async def tried() -> tuple[bool, bytes]:
        async with serving(most=2) as connect:
            kept = [await connect() for _ in range(2)]
            await asyncio.sleep(0.05)
            refused, _ = await connect()
            was_refused = await is_closed(refused)
            for _, writer in kept:
                writer.close()
            await asyncio.sleep(0.05)
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return was_refused, status

    assert asyncio.run(tried()) == (True, b"HTTP/1.1 200 OK\r\n")


def test_the_address_names_the_port_that_the_system_chose() -> None:
    with Listener("127.0.0.1", 0) as listener:
        assert listener.port > 0
        assert listener.address == f"http://127.0.0.1:{listener.port}"


def test_a_name_is_listened_on_at_every_address_it_has() -> None:
    with Listener("localhost", 0) as listener:
        assert {each.getsockname()[1] for each in listener.sockets} == {listener.port}


@pytest.mark.parametrize(
    ("host", "said"),
    [("203.0.113.7", "SKILLRANK_HOST"), ("no such host", "SKILLRANK_HOST"), ("x" * 300, "SKILLRANK_HOST")],
)
def test_an_address_that_is_not_of_this_machine_is_refused_with_its_setting(host: str, said: str) -> None:
    with pytest.raises(CannotListen, match=said):
        Listener(host, 0)


def test_a_port_that_is_taken_is_refused_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen, match="SKILLRANK_PORT"):
        Listener("127.0.0.1", taken.getsockname()[1])


def test_an_address_of_version_6_is_shown_in_brackets() -> None:
    try:
        listener = Listener("::1", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert listener.address == f"http://[::1]:{listener.port}"
