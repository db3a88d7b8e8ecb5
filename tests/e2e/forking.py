"""Runs commands in processes that are forked from one that has imported the program.

Each command is a process of its own, with its own streams, environment and exit, but starts in a hundredth of the time
that Python takes to import everything again.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

_READY = b"ready"
_REQUEST_BYTES = 1 << 20


class CommandServer:
    """Starts commands for one test worker.

    Parameters
    ----------
    folder : Path
        For the socket.
    environment : dict of str to str
        What the program is imported under; variables that it reads later may differ for each command.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._address = str(folder / "commands")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forking", self._address],
            env=environment,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == _READY

    def run(
        self, arguments: list[str], environment: dict[str, str], stdin: str | None, *, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``skillrank ARGUMENTS`` to its end."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write((stdin or "").encode())
            given.seek(0)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout_s)
                connection.connect(self._address)
                request = json.dumps({"arguments": arguments, "environment": environment, "folder": str(Path.cwd())})
                socket.send_fds(connection, [request.encode("utf-8", "surrogateescape")], _descriptors(given, out, err))
                code = int(connection.recv(16))
            return subprocess.CompletedProcess(["skillrank", *arguments], code, _written(out), _written(err))

    def close(self) -> None:
        """End the process that commands are forked from."""
        self._process.kill()
        self._process.communicate()


def _descriptors(*files: IO[bytes]) -> list[int]:
    return [file.fileno() for file in files]


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _serve(address: str) -> None:
    """Fork a waiting process for each request, and from that the command; return in the process of a command."""
    import service.cli.main  # noqa: F401, PLC0415  what forked processes shall have

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, _READY + b"\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams, _, _ = socket.recv_fds(connection, _REQUEST_BYTES, 3)
    command = os.fork()
    if command:
        _, status = os.waitpid(command, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    told = json.loads(request.decode("utf-8", "surrogateescape"))
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    sys.argv = ["skillrank", *told["arguments"]]


if __name__ == "__main__":
    _serve(sys.argv[1])
    from service.cli import main

    main()
