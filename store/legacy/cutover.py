"""From JSON to the database in five phases, and back: what `skillrank cutover` and `skillrank rollback-cutover` do.

1. `DualWriteMetricsTracker` writes both. 2. `DataMigrator` brings history over. 3. `DualReadMetricsTracker` compares.
4. `cut_over` switches. 5. `roll_back` undoes that as long as the JSON file is kept.

Where a data folder stands is kept in its ``cutover.json``.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from store.clock import Clock, format_time, system_clock
from store.contract.operations import BackupReport
from store.contract.tracking import Invocation
from store.errors import InvalidRecord
from store.file_lock import locked_file
from store.legacy.dual import DualReadMetricsTracker, DualReport, DualWriteMetricsTracker
from store.legacy.json_tracker import LegacyJsonTracker, replace_file
from store.legacy.migrator import DataMigrator, Difference, MigrationStats
from store.metrics_db import SkillMetricsStore
from store.sqlite import next_backup

__all__ = [
    "CutoverReport",
    "CutoverState",
    "DataMigrator",
    "Difference",
    "DualReadMetricsTracker",
    "DualReport",
    "DualWriteMetricsTracker",
    "LegacyJsonTracker",
    "MigrationStats",
    "RollbackReport",
    "cut_over",
    "read_state",
    "record_event",
    "roll_back",
]

Phase = Literal["json", "dual_write", "migrated", "dual_read", "database"]
STATE_NAME: Final = "cutover.json"
_KEPT_EVENTS: Final = 50
_PAGE: Final = 1000


class CutoverState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the way from JSON to the database has been gone.

    Attributes
    ----------
    phase : str
        'json' (nothing done yet, or rolled back), 'dual_write', 'migrated', 'dual_read' or 'database'.
    json_path, kept_json, json_sha256 : str or None
        Where the JSON file was, where it lies since the cut-over, and its checksum then.
    last_id : str or None
        The newest use of the database at the cut-over: what is newer exists nowhere else.
    events : list of dict
        What was done, newest last.
    """

    phase: Phase = "json"
    updated_at: str | None = None
    json_path: str | None = None
    kept_json: str | None = None
    json_sha256: str | None = None
    last_id: str | None = None
    events: list[dict[str, Any]] = []


class CutoverReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a cut-over did: the last synchronisation, the backups, and where the JSON file lies now."""

    stats: MigrationStats
    database_backup: BackupReport
    kept_json: str
    json_sha256: str


class RollbackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback did: uses and endings brought back into the JSON file, and the database's backup."""

    json_path: str
    rows_brought_back: int
    database_backup: BackupReport


def read_state(data_dir: Path) -> CutoverState:
    """Return where `data_dir` stands."""
    try:
        return msgspec.json.decode((data_dir / STATE_NAME).read_bytes(), type=CutoverState)
    except FileNotFoundError:
        return CutoverState()
    except msgspec.DecodeError as error:
        raise InvalidRecord(
            f"{data_dir / STATE_NAME} cannot be read ({error}); remove it to begin the cut-over anew", field="state"
        ) from error


def record_event(
    data_dir: Path, phase: Phase, what: Any, *, clock: Clock = system_clock, **fields: Any
) -> CutoverState:
    """Write down that `data_dir` has come to `phase`, with a report of what was done."""
    data_dir.mkdir(parents=True, exist_ok=True)
    before = read_state(data_dir)
    now = format_time(clock())
    event = {"at": now, "phase": phase, "report": msgspec.to_builtins(what)}
    state = msgspec.structs.replace(
        before, phase=phase, updated_at=now, events=[*before.events, event][-_KEPT_EVENTS:], **fields
    )
    replace_file(data_dir / STATE_NAME, msgspec.json.format(msgspec.json.encode(state), indent=2))
    return state


def cut_over(
    json_path: Path,
    db_store: SkillMetricsStore,
    data_dir: Path,
    *,
    accept_losses: bool = False,
    timezone: tzinfo | None = None,
    clock: Clock = system_clock,
) -> CutoverReport:
    """Make the database the one source: check, back up, bring the rest over, take the JSON file away.

    The file is renamed last, under the lock that `LegacyJsonTracker` writes under, so no use slips between.

    Raises
    ------
    InvalidRecord
        When this was done already, the database is not well, or something of the file would be lost and
        `accept_losses` is not given. Nothing was switched then.
    """
    if read_state(data_dir).phase == "database":
        raise InvalidRecord("this data folder was cut over already; see `skillrank cutover --status`", field="phase")
    _require_well(db_store)
    migrator = DataMigrator(json_path, db_store, timezone=timezone)
    _require_whole(migrator.plan(), accept_losses=accept_losses)
    moment = clock()
    saved = db_store.store.backup(next_backup(data_dir / "backups", moment))
    with locked_file(json_path.with_name(json_path.name + ".lock")):
        stats = migrator.migrate()
        _require_whole(stats, accept_losses=accept_losses)
        kept = json_path.with_name(f"{json_path.name}.cut-over-{moment:%Y%m%dT%H%M%SZ}")
        digest = _sha256(json_path)
        shutil.copy2(json_path, data_dir / "backups" / f"{json_path.stem}-{moment:%Y%m%dT%H%M%SZ}.json")
        report = CutoverReport(stats=stats, database_backup=saved, kept_json=str(kept), json_sha256=digest)
        # Written before the rename: a stop between the two leaves a state that tells where the file is expected.
        record_event(
            data_dir,
            "database",
            report,
            clock=clock,
            json_path=str(json_path.resolve()),
            kept_json=str(kept.resolve()),
            json_sha256=digest,
            last_id=_last_id(db_store),
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
        When there was no cut-over, the kept file is gone or changed, or a new JSON file stands in its place.
    """
    state = read_state(data_dir)
    if state.phase != "database" or state.json_path is None or state.kept_json is None:
        raise InvalidRecord("there is no cut-over to roll back; see `skillrank cutover --status`", field="phase")
    json_path, kept = Path(state.json_path), Path(state.kept_json)
    if not kept.exists() and json_path.exists() and _sha256(json_path) == state.json_sha256:
        kept = json_path  # the cut-over was stopped before its last step
    elif json_path.exists():
        raise InvalidRecord(
            f"{json_path} was written to since the cut-over; bring it over with `skillrank import-json` and move it "
            "away, then roll back",
            field="json_path",
        )
    if not kept.exists() or _sha256(kept) != state.json_sha256:
        raise InvalidRecord(f"{kept} is gone or was changed since the cut-over", field="kept_json")
    saved = db_store.store.backup(next_backup(data_dir / "backups", clock()))
    fresh = json_path.with_name(json_path.name + ".rolling-back")
    shutil.copyfile(kept, fresh)
    try:
        tracker = LegacyJsonTracker(fresh, clock=clock, timezone=timezone)
        brought = tracker.add_rows([_row(use) for use in _uses_for(tracker, db_store, state.last_id)])
        fresh.replace(json_path)
    finally:
        fresh.unlink(missing_ok=True)
        fresh.with_name(fresh.name + ".lock").unlink(missing_ok=True)
    report = RollbackReport(json_path=str(json_path), rows_brought_back=brought, database_backup=saved)
    record_event(data_dir, "json", report, clock=clock, kept_json=None, json_sha256=None, last_id=None)
    return report


def _require_well(db_store: SkillMetricsStore) -> None:
    problems = db_store.store.check()
    if problems:
        raise InvalidRecord(f"the database is not well: {problems[0]}; see `skillrank doctor`", field="database")


def _require_whole(stats: MigrationStats, *, accept_losses: bool) -> None:
    if stats.loses_something and not accept_losses:
        raise InvalidRecord(
            f"the database would not say all that the file says: {len(stats.refused)} rows cannot be used, "
            f"{len(stats.differences)} fields differ, {len(stats.aggregates_without_uses)} skills have totals without "
            f"uses, {len(stats.aggregate_differences)} totals do not agree with their uses. Look with `skillrank "
            "import-json --dry-run`; go on all the same with --accept-losses (the file is kept)",
            field="json_path",
        )


def _last_id(db_store: SkillMetricsStore) -> str | None:
    last: str | None = None
    while page := db_store.store.invocations(after=last, limit=_PAGE):
        last = page[-1].id
    return last


def _uses_for(tracker: LegacyJsonTracker, db_store: SkillMetricsStore, after: str | None) -> list[Invocation]:
    """Return what the file lacks: uses tracked after the cut-over, and uses of the file that ended since."""
    open_ids = tracker.open_ids()
    found = [use for use in db_store.store.find_invocations(open_ids).values() if use.outcome is not None]
    while page := db_store.store.invocations(after=after, limit=_PAGE):
        found += page
        after = page[-1].id
    return found


def _row(use: Invocation) -> dict[str, Any]:
    row = {name: cell for name, cell in msgspec.structs.asdict(use).items() if cell not in (None, [], {})}
    return row if use.outcome is None else row | {"completed": use.outcome == "completed"}


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
