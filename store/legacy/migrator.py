"""Imports the invocations of a JSON tracking file into the store, repeatably, and reports every difference."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from store.contract.tracking import Invocation
from store.legacy.json_tracker import metrics_of
from store.legacy.legacy_json import LegacyFile, LegacyInvocation, read_legacy_file
from store.metrics_store import SkillMetricsStore
from store.query_hash import same_query

_LOOKED_UP_AT_ONCE: Final = 2000
_TOLERANCE_S: Final = 1e-6
_STARTED: Final = (
    "skill_name",
    "invoked_at",
    "session_id",
    "user_id",
    "project_id",
    "project_path",
    "workflow_path",
    "workflow_phase",
    "search_id",
    "selection_rank",
    "alternatives_considered",
    "user_query",
    "user_context",
)
_ENDED: Final = ("outcome", "error_type", "follow_up_actions", "finished_at", "duration_seconds")
_SUMS: Final = ("total_invocations", "completed_invocations", "abandoned_invocations", "total_duration_seconds")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field in which two sides disagree about an invocation or a skill."""

    key: str
    field: str
    json: Any
    database: Any


class MigrationStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration did, or what it would do.

    Attributes
    ----------
    invocations_in_file : int
    invocations_migrated : int
        Invocations that the database did not have.
    outcomes_added : int
        Invocations that were open in the database and have an outcome in the file.
    duplicates : int
        Invocations that the database already had.
    validation_errors : int
        Rows that cannot be used and fields that differ, together.
    refused : list of (str, str)
        The place of each row that cannot be used, and the reason.
    differences : list of Difference
        Fields with other values in the database, which is left as it is.
    skills_checked : int
    aggregates_without_uses : dict of str to int
        Skills for which the file has a total but no invocations, which a log cannot be made from.
    aggregate_differences : list of Difference
        Totals of the file that its own invocations do not add up to; ``database`` is their sum.
    """

    dry_run: bool
    invocations_in_file: int
    invocations_migrated: int
    outcomes_added: int
    duplicates: int
    validation_errors: int
    refused: list[tuple[str, str]]
    differences: list[Difference]
    skills_checked: int
    aggregates_without_uses: dict[str, int]
    aggregate_differences: list[Difference]
    seconds: float

    @property
    def loses_something(self) -> bool:
        """Whether the database lacks anything that the file has, or has it differently."""
        return bool(self.validation_errors or self.aggregates_without_uses or self.aggregate_differences)


class DataMigrator:
    """Phase two of the cut-over: imports the history from JSON into the database.

    Parameters
    ----------
    json_path : Path or str
    db_store : SkillMetricsStore
    timezone : tzinfo, optional
        The zone of times without an offset; this machine's by default, as the old tracker wrote them.
    """

    def __init__(self, json_path: Path | str, db_store: SkillMetricsStore, *, timezone: tzinfo | None = None) -> None:
        self.json_path = Path(json_path)
        self._store = db_store.store
        self._timezone = timezone

    def migrate_all_data(self) -> dict[str, Any]:
        """Import what the database does not have yet; return `MigrationStats` as a mapping.

        Repeatable: rows without an id get one from their content. What the database has is not changed, except that
        its open invocations are finished when the file has their outcome.
        """
        stats: dict[str, Any] = msgspec.to_builtins(self.migrate())
        return stats

    def plan(self) -> MigrationStats:
        """Return what `migrate` would do, and change nothing."""
        return self._run(dry_run=True)

    def migrate(self) -> MigrationStats:
        """Import as `migrate_all_data` does; return the statistics as a record."""
        return self._run(dry_run=False)

    def _run(self, *, dry_run: bool) -> MigrationStats:
        started = time.perf_counter()
        read = read_legacy_file(self.json_path, timezone=self._timezone)
        known = self._known(read.uses)
        fresh = [use for use in read.uses if use.invocation.id not in known]
        ended = [use for use in read.uses if use.outcome and _is_open(known.get(use.invocation.id or ""))]
        # An outcome can be added later only if the file gives its time: the present time would be wrong.
        ended = [use for use in ended if use.outcome and (use.outcome.duration_seconds, use.outcome.finished_at) != _NO]
        refused = list(read.refused)
        migrated, added = len(fresh), len(ended)
        if not dry_run:
            places = {use.invocation.id: use.place for use in fresh}
            report = self._store.import_invocations([(use.invocation, use.outcome) for use in fresh])
            refused += [(places.get(identifier, identifier), reason) for identifier, reason in report.refused]
            migrated = report.imported
            for use in ended:
                self._finish(use)
            self._store.refresh_percentiles(sorted({use.invocation.skill_name for use in [*fresh, *ended]}))
            known = self._known(read.uses)
        finishing = {use.invocation.id for use in ended} if dry_run else set()
        compared = [use for use in read.uses if use.invocation.id in known and use.invocation.id not in finishing]
        differences = [each for use in compared for each in use_differences(use, known[use.invocation.id or ""])]
        without_uses, aggregate_differences = _aggregates(read)
        return MigrationStats(
            dry_run=dry_run,
            invocations_in_file=len(read.uses) + len(read.refused),
            invocations_migrated=migrated,
            outcomes_added=added,
            duplicates=len(read.uses) - len(fresh),
            validation_errors=len(refused) + len(differences),
            refused=refused,
            differences=differences,
            skills_checked=len({use.invocation.skill_name for use in read.uses} | read.aggregates.keys()),
            aggregates_without_uses=without_uses,
            aggregate_differences=aggregate_differences,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _known(self, uses: Sequence[LegacyInvocation]) -> dict[str, Invocation]:
        ids = [use.invocation.id for use in uses if use.invocation.id is not None]
        found: dict[str, Invocation] = {}
        for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
            found |= self._store.find_invocations(ids[start : start + _LOOKED_UP_AT_ONCE])
        return found

    def _finish(self, use: LegacyInvocation) -> None:
        if use.outcome is not None and use.invocation.id is not None:
            self._store.finish_invocation(use.invocation.id, use.outcome)


_NO: Final = (None, None)


def use_differences(use: LegacyInvocation, recorded: Invocation) -> Iterator[Difference]:
    """Yield each field in which the file and the database disagree about one invocation."""
    key = recorded.id
    for field in _STARTED:
        mine, theirs = getattr(use.invocation, field), getattr(recorded, field)
        same = _same_query(recorded, mine) if field == "user_query" else mine == theirs
        if not same:
            yield Difference(key=key, field=field, json=mine, database=theirs)
    if use.outcome is None:
        if recorded.outcome is not None:
            yield Difference(key=key, field="outcome", json=None, database=recorded.outcome)
        return
    for field in _ENDED:
        mine, theirs = getattr(use.outcome, field), getattr(recorded, field)
        # Where the file has no time or duration, the store has derived one.
        given = mine is not None or field not in {"finished_at", "duration_seconds"}
        if given and not same_figure(mine, theirs):
            yield Difference(key=key, field=field, json=mine, database=theirs)


def _same_query(recorded: Invocation, in_file: str | None) -> bool:
    # Where the words of queries are not kept, the file lacks them and the database has a hash.
    return same_query(recorded, in_file) or (in_file is None and recorded.user_query_hash is not None)


def same_figure(mine: Any, theirs: Any) -> bool:
    """Whether two values are equal, durations to the microsecond."""
    if isinstance(mine, float) and isinstance(theirs, float | int):
        return abs(mine - theirs) <= _TOLERANCE_S * max(1.0, abs(mine))
    return bool(mine == theirs)


def _is_open(recorded: Invocation | None) -> bool:
    return recorded is not None and recorded.outcome is None


def _aggregates(read: LegacyFile) -> tuple[dict[str, int], list[Difference]]:
    computed = metrics_of(read.uses)
    without_uses: dict[str, int] = {}
    differences = []
    for name, totals in read.aggregates.items():
        mine = computed.get(name)
        if mine is None:
            if totals.get("total_invocations"):
                without_uses[name] = totals["total_invocations"]
            continue
        finished = mine.completed_invocations + mine.abandoned_invocations
        for field in _SUMS:
            given, actual = totals.get(field), getattr(mine, field)
            # The old tracker counted an invocation when it ended, the store counts it when it starts.
            same = same_figure(actual, given) or (field == "total_invocations" and given == finished)
            if given is not None and not same:
                differences.append(Difference(key=name, field=field, json=given, database=actual))
    return without_uses, differences
