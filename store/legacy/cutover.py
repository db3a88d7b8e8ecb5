"""From JSON to the database in five phases, and back: what `skillrank cutover` and `skillrank rollback-cutover` do.

1. `DualWriteMetricsTracker` writes both. 2. `DataMigrator` brings the history over. 3. `DualReadMetricsTracker`
compares. 4. `cut_over` makes the database the only source. 5. `roll_back` undoes that while the JSON file is kept.

Both can be killed at any moment: running them again finishes what was begun.
"""

from __future__ import annotations

import shutil
from datetime import tzinfo
from pathlib import Path
from typing import Final

import msgspec

from store.clock import Clock, system_clock
from store.contract.operations import BackupReport
from store.contract.tracking import Invocation
from store.errors import InvalidRecord
from store.file_lock import locked_file
from store.legacy.counts import COUNTS_NAME
from store.legacy.dual import row_of
from store.legacy.json_tracker import LegacyJsonTracker, replace_file
from store.legacy.migrator import DataMigrator, MigrationStats
from store.legacy.state import (
    CutoverState,
    read_state,
    record_event,
    rollback_was_interrupted,
    sha256_of,
    was_interrupted,
)
from store.metrics_store import SkillMetricsStore
from store.plurals import counted
from store.sqlite import next_backup

_PAGE: Final = 1000


class CutoverReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a cut-over did: the last synchronisation, the backup, and where the JSON file was moved."""

    stats: MigrationStats
    database_backup: BackupReport
    kept_json: str
    json_sha256: str


class RollbackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback did: the rows added to or completed in the JSON file, and the backup of the database."""

    json_path: str
    rows_brought_back: int
    database_backup: BackupReport


def cut_over(
    json_path: Path,
    db_store: SkillMetricsStore,
    data_dir: Path,
    *,
    accept_losses: bool = False,
    timezone: tzinfo | None = None,
    clock: Clock = system_clock,
) -> CutoverReport:
    """Make the database the only source: check, back up, import the rest, move the JSON file away.

    The file is moved last, under the lock that `LegacyJsonTracker` writes under, so no invocation is lost between.
    A cut-over that was stopped before that is done again from the start; nothing in it counts twice.

    Raises
    ------
    InvalidRecord
        When this was done already, the database is damaged, or something in the file would be lost and
        `accept_losses` is false. Nothing was switched then.
    """
    before = read_state(data_dir)
    resumed = before.json_path == str(json_path.resolve()) and was_interrupted(before, data_dir)
    if before.phase == "database" and not resumed:
        raise InvalidRecord("this data folder was cut over already; see `skillrank cutover --status`", field="phase")
    _require_healthy(db_store)
    migrator = DataMigrator(json_path, db_store, timezone=timezone)
    _require_whole(migrator.plan(), accept_losses=accept_losses)
    moment = clock()
    saved = db_store.store.backup(next_backup(data_dir / "backups", moment))
    with locked_file(json_path.with_name(json_path.name + ".lock")):
        stats = migrator.migrate()
        _require_whole(stats, accept_losses=accept_losses)
        kept = json_path.with_name(f"{json_path.name}.cut-over-{moment:%Y%m%dT%H%M%SZ}")
        digest = sha256_of(json_path)
        replace_file(data_dir / "backups" / f"{json_path.stem}-{moment:%Y%m%dT%H%M%SZ}.json", json_path.read_bytes())
        report = CutoverReport(stats=stats, database_backup=saved, kept_json=str(kept), json_sha256=digest)
        # Recorded before the move: a stop between the two leaves a state that says where the file was to go.
        record_event(
            data_dir,
            "database",
            report,
            clock=clock,
            json_path=str(json_path.resolve()),
            kept_json=str(kept.resolve()),
            json_sha256=digest,
            # What was tracked since the first attempt exists in the database alone, so its mark stays.
            last_id=before.last_id if resumed else _last_id(db_store),
        )
        json_path.replace(kept)
    return report


def roll_back(
    db_store: SkillMetricsStore, data_dir: Path, *, timezone: tzinfo | None = None, clock: Clock = system_clock
) -> RollbackReport:
    """Undo a cut-over: the JSON file comes back, with what was tracked since; the database stays as it is.

    Raises
    ------
    InvalidRecord
        When there was no cut-over, the kept file is missing or changed, or a new JSON file has taken its place.
    """
    state = read_state(data_dir)
    if state.phase != "database" or state.json_path is None or state.kept_json is None:
        raise InvalidRecord("there is no cut-over to roll back; see `skillrank cutover --status`", field="phase")
    json_path, kept = Path(state.json_path), Path(state.kept_json)
    in_place = json_path.exists()
    if in_place:
        _require_interrupted(state, data_dir)
    elif not kept.exists() or sha256_of(kept) != state.json_sha256:
        raise InvalidRecord(f"{kept} is missing or was changed since the cut-over", field="kept_json")
    saved = db_store.store.backup(next_backup(data_dir / "backups", clock()))
    if in_place:
        brought = _bring_back(LegacyJsonTracker(json_path, clock=clock, timezone=timezone), db_store, state)
    else:
        brought = _restore(kept, json_path, db_store, state, timezone=timezone, clock=clock)
    report = RollbackReport(json_path=str(json_path), rows_brought_back=brought, database_backup=saved)
    # A next attempt starts with a week of its own.
    (data_dir / COUNTS_NAME).unlink(missing_ok=True)
    record_event(data_dir, "json", report, clock=clock, kept_json=None, json_sha256=None, last_id=None)
    return report


def _require_interrupted(state: CutoverState, data_dir: Path) -> None:
    """Refuse a JSON file in the old place, unless a cut-over or a rollback that was stopped has left it there."""
    if not rollback_was_interrupted(state) and not was_interrupted(state, data_dir):
        raise InvalidRecord(
            f"{state.json_path} was written to since the cut-over; import it with `skillrank import-json` and move it "
            "away, then roll back",
            field="json_path",
        )


def _restore(
    kept: Path,
    json_path: Path,
    db_store: SkillMetricsStore,
    state: CutoverState,
    *,
    timezone: tzinfo | None,
    clock: Clock,
) -> int:
    """Put a completed copy of the kept file in the old place; return how many rows it has gained."""
    fresh = json_path.with_name(json_path.name + ".rolling-back")
    shutil.copyfile(kept, fresh)
    try:
        brought = _bring_back(LegacyJsonTracker(fresh, clock=clock, timezone=timezone), db_store, state)
        fresh.replace(json_path)
    finally:
        fresh.unlink(missing_ok=True)
        fresh.with_name(fresh.name + ".lock").unlink(missing_ok=True)
    return brought


def _bring_back(tracker: LegacyJsonTracker, db_store: SkillMetricsStore, state: CutoverState) -> int:
    """Add what the file lacks: invocations tracked after the cut-over, and outcomes recorded since; idempotent."""
    open_ids = tracker.open_ids()
    found = [use for use in db_store.store.find_invocations(open_ids).values() if use.outcome is not None]
    found += _invocations_after(db_store, state.last_id)
    return tracker.add_rows([row_of(use) for use in found])


def _require_healthy(db_store: SkillMetricsStore) -> None:
    problems = db_store.store.check()
    if problems:
        raise InvalidRecord(f"the database is damaged: {problems[0]}; see `skillrank doctor`", field="database")


def _require_whole(stats: MigrationStats, *, accept_losses: bool) -> None:
    if not stats.loses_something or accept_losses:
        return
    losses = {
        "unusable": counted(len(stats.refused), "row"),
        "that would differ": counted(len(stats.differences), "field"),
        "with totals but without invocations": counted(len(stats.aggregates_without_uses), "skill"),
        "that differ from their invocations": counted(len(stats.aggregate_differences), "total"),
    }
    said = ", ".join(f"{count} {what}" for what, count in losses.items() if not count.startswith("0 "))
    raise InvalidRecord(
        f"the database would not have everything that the file has: {said}. See `skillrank import-json --dry-run`, or "
        "go on with --accept-losses (the file is kept)",
        field="json_path",
    )


def _last_id(db_store: SkillMetricsStore) -> str | None:
    last: str | None = None
    while page := db_store.store.invocations(after=last, limit=_PAGE):
        last = page[-1].id
    return last


def _invocations_after(db_store: SkillMetricsStore, after: str | None) -> list[Invocation]:
    found: list[Invocation] = []
    while page := db_store.store.invocations(after=after, limit=_PAGE):
        found += page
        after = page[-1].id
    return found
