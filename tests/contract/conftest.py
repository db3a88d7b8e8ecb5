"""One fixture for every backend: the tests beside this file see only `store.protocol.Store` and records."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from store.contract.catalogue import Chunk, DocumentWrite
from store.protocol import Store

BACKENDS = ["sqlite"]
DIMENSION = 4


class Backend(Protocol):
    """Opens stores on one database, and tells what they left open."""

    def open(self, **options: Any) -> Store: ...
    def leaks(self) -> list[str]: ...


class SqliteBackend:
    def __init__(self, request: pytest.FixtureRequest, folder: Path, clock: Callable[[], datetime]) -> None:
        self._path = folder / "contract.db"
        self._clock = clock
        shutil.copyfile(request.getfixturevalue("migrated_file"), self._path)

    def open(self, **options: Any) -> Store:
        from store.sqlite import open_store  # noqa: PLC0415  each backend imports only its own driver

        return open_store(self._path, clock=self._clock, **options)

    def leaks(self) -> list[str]:
        import apsw  # noqa: PLC0415  each backend imports only its own driver

        mine = [c for c in apsw.connections() if c.filename and Path(c.filename) == self._path]
        beside = sorted(path.name for path in self._path.parent.iterdir() if path != self._path)
        return [f"{len(mine)} connections"] * bool(mine) + [f"left beside the file: {name}" for name in beside]


@pytest.fixture(params=BACKENDS)
def new_database(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Callable[[], datetime]
) -> Iterator[Callable[[], Callable[[], Store]]]:
    """Make an empty database, and return what opens stores on it; all are closed at the end, and nothing is left."""
    make: Callable[..., Backend] = {"sqlite": SqliteBackend}[request.param]
    threads = set(threading.enumerate())
    backends: list[Backend] = []
    opened: list[Store] = []

    def new() -> Callable[[], Store]:
        folder = tmp_path / f"database-{len(backends)}"
        folder.mkdir()
        backend = make(request, folder, clock)
        backends.append(backend)

        def open_one(**options: Any) -> Store:
            opened.append(backend.open(**options))
            return opened[-1]

        return open_one

    yield new
    for each in reversed(opened):
        each.close()
    assert [thread.name for thread in threading.enumerate() if thread not in threads] == []
    assert [leak for backend in backends for leak in backend.leaks()] == []


@pytest.fixture
def open_another(new_database: Callable[[], Callable[[], Store]]) -> Callable[[], Store]:
    """Open one more store on the same database."""
    return new_database()


@pytest.fixture
def store(open_another: Callable[[], Store]) -> Store:
    return open_another()


@pytest.fixture
def document() -> Callable[..., DocumentWrite]:
    """Make a document from a name, and whatever a test cares about."""

    def make(name: str, **fields: Any) -> DocumentWrite:
        vector = fields.pop("vector", [1.0, 0.0, 0.0, 0.0])
        description = fields.get("description", f"what {name} does")
        told: dict[str, Any] = {
            "skill_name": name,
            "declared_name": name,
            "category": None,
            "description": description,
            "body": f"how {name} does it",
            "document_path": f"/skills/{name}/SKILL.md",
            "root": "/skills",
            "content_hash": f"hash of {name}",
            "size_bytes": 100,
            "chunks": [
                Chunk(ordinal=0, kind="summary", heading="", text=description, span_start=0, span_end=len(description))
            ],
            "vector": unit(vector),
        }
        return DocumentWrite(**told | fields)

    return make


@pytest.fixture
def at() -> Callable[..., str]:
    """Write a moment of March 2026 as the store does."""

    def moment(day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0) -> str:
        told = datetime(2026, 3, day, hour, minute, second, microsecond, tzinfo=UTC)
        return told.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    return moment


@pytest.fixture
def query() -> Callable[..., Any]:
    """Make the windows of a query: float32 (windows, dimension), rows normalised."""

    def windows(*vectors: list[float]) -> Any:
        return np.stack([unit(vector) for vector in vectors])

    return windows


def unit(vector: list[float]) -> Any:
    raw = np.asarray(vector, dtype=np.float32)
    return raw / np.linalg.norm(raw)
