"""Health, checks and backups."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec


class SlowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query of this process that took longer than 100 ms: how often, and the worst."""

    name: str
    count: int
    worst_ms: float
    last_at: str


class LockWaits(msgspec.Struct, frozen=True, kw_only=True):
    """Waits of this process for another one's write lock, of more than 100 ms: how many, and the longest.

    One that has not ended is included; `last_at` is when the last one ended.
    """

    count: int
    longest_ms: float
    last_at: str | None


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written, opened and checked; `sha256` is that of the file."""

    path: str
    sha256: str
    size_bytes: int
    schema_version: int
    total_invocations: int
    total_outcomes: int
    seconds: float


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """A restore that was done; `kept` is where the database before lies now, None when there was none.

    `checksum_verified` is False when no checksum lay beside the backup.
    """

    database: str
    source: str
    kept: str | None
    checksum_verified: bool
    schema_version: int
    total_invocations: int
    total_outcomes: int


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The store's state at one moment. `problems` is empty when all is well.

    `size_bytes` is the database file without its log, which has `wal_bytes`; `slow_queries` are those of this process.
    `served_skills` are found by search; `total_skills` also counts those whose document was removed and those that a
    project declared without one; `used_skills` are all names with a recorded use.
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
    """Keeping the store well."""

    def health(self) -> StoreHealth:
        """Return sizes, counts and what is wrong, as far as that can be told in a moment."""

    def check(self) -> list[str]:
        """Read everything, and return what is wrong in words, nothing when all is well.

        Looks at the files' integrity, at references, at the schema, at the index against the catalogue, and at the
        metrics against the log.
        """

    def backup(self, target: Path) -> BackupReport:
        """Write a checked copy of one moment's state to `target` while reading and writing go on.

        Raises `InvalidRecord` when `target` exists, and `StoreUnavailable` when the copy cannot be written or does
        not pass its check; nothing is left behind then.
        """
