"""Health, checks and backups."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec


class SlowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query that took longer than 100 ms in this process: how often, and its worst time."""

    name: str
    count: int
    worst_ms: float
    last_at: str


class LockWaits(msgspec.Struct, frozen=True, kw_only=True):
    """How often this process waited longer than 100 ms for the write lock, and the longest wait.

    A wait in progress is included; `last_at` is when the last one ended.
    """

    count: int
    longest_ms: float
    last_at: str | None


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written and checked; `sha256` is the checksum of the file."""

    path: str
    sha256: str
    size_bytes: int
    schema_version: int
    total_invocations: int
    total_outcomes: int
    seconds: float


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """A completed restore; `kept` is where the previous database is now, None when there was none.

    `checksum_verified` is False when there was no checksum beside the backup.
    """

    database: str
    source: str
    kept: str | None
    checksum_verified: bool
    schema_version: int
    total_invocations: int
    total_outcomes: int


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the store. `problems` is empty when all is well.

    `size_bytes` is the size of the database file without its write-ahead log, which has `wal_bytes`. `slow_queries` and
    `lock_waits` are those of this process. `served_skills` are found by search; `total_skills` also counts those whose
    document was removed and those that a project declared without one; `used_skills` are all names with a recorded use.
    """

    backend: str
    location: str
    schema_version: int
    size_bytes: int
    wal_bytes: int
    served_skills: int
    total_skills: int
    used_skills: int = 0
    total_invocations: int
    open_invocations: int
    generation: int | None
    model_id: str | None
    slow_queries: list[SlowQuery]
    lock_waits: LockWaits
    problems: list[str]


class Operations(Protocol):
    """Health, checks and backups of the store."""

    def health(self) -> StoreHealth:
        """Return sizes, counts and the problems that can be found quickly.

        Also answers while another program holds the write lock, and when the database was deleted or replaced.
        """

    def check(self) -> list[str]:
        """Read the whole database and return its problems in words; none when all is well.

        Checks the integrity of the file, the references, the schema, the index against the catalogue, and the metrics
        against the log.
        """

    def backup(self, target: Path) -> BackupReport:
        """Write a consistent, checked copy to `target` while reads and writes go on.

        An existing file is never overwritten. Raises `InvalidRecord` when `target` exists, and `StoreUnavailable` when
        the copy cannot be written or fails its check; nothing is left behind then.
        """
