"""Tracked uses per second through HTTP, against the store alone in the same run.

python -m tests.benchmarks.http [--uses 2000] [--clients 16]
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store
from tests.benchmarks.figures import line, seconds_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uses", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(Path(scratch) / "store.db")

        def through_store(_: int) -> None:
            use = store.start_invocation(NewInvocation(skill_name="bench"))
            store.finish_invocation(use.id, NewOutcome(outcome="completed"))

        with _service(Path(scratch)) as address:
            clients = [httpx.Client(base_url=address) for _ in range(arguments.clients)]

            def through_http(client: int) -> None:
                use = clients[client].post("/api/invocations", json={"skill_name": "bench"}).raise_for_status().json()
                clients[client].post(f"/api/invocations/{use['id']}/complete").raise_for_status()

            _spread(through_http, arguments.uses // 10, arguments.clients)
            direct, web = [], []
            for _ in range(arguments.rounds):
                direct.append(_rate(through_store, arguments.uses, arguments.clients))
                web.append(_rate(through_http, arguments.uses, arguments.clients))
        store.close()
        print(line("start + finish through the store, uses each second", direct, "/s"))
        print(line("start + finish over HTTP, uses each second", web, "/s"))
        print(f"HTTP / store: {statistics.median(web) / statistics.median(direct):.2f}")


def _rate(use: Callable[[int], None], uses: int, clients: int) -> float:
    return uses / seconds_of(lambda: _spread(use, uses, clients))


def _spread(use: Callable[[int], None], uses: int, clients: int) -> None:
    def work(client: int) -> None:
        for _ in range(uses // clients):
            use(client)

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _service:  # noqa: N801  used like a function
    """A service of its own on a free port, for as long as the block lasts."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", str(self._port)],
            env=os.environ | {"SKILLRANK_DATA_DIR": str(self._folder / "data"), "SKILLRANK_LOG_LEVEL": "warning"},
        )
        address = f"http://127.0.0.1:{self._port}"
        for _ in range(200):
            try:
                if httpx.get(f"{address}/health/live").is_success:
                    return address
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("the service did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    main()
