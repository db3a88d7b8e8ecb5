"""How far a data folder has come on the way from JSON to the database, kept in its ``cutover.json``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from store.clock import Clock, format_time, system_clock
from store.errors import InvalidRecord
from store.file_lock import locked_file
from store.legacy.counts import DualPhase
from store.legacy.json_tracker import replace_file
from store.legacy.legacy_json import read_legacy_file

Phase = Literal["json", "dual_write", "migrated", "dual_read", "database"]
STATE_NAME: Final = "cutover.json"
_ORDER: Final[tuple[Phase, ...]] = ("json", "dual_write", "migrated", "dual_read", "database")
_KEPT_EVENTS: Final = 50


class CutoverState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a data folder stands.

    Attributes
    ----------
    phase : str
        'json' (not begun, or rolled back), 'dual_write', 'migrated', 'dual_read' or 'database'.
    updated_at : str or None
    json_path, kept_json, json_sha256 : str or None
        Where the JSON file was, where it was moved at the cut-over, and its checksum at that time.
    last_id : str or None
        The newest invocation of the database at the cut-over: newer ones exist in the database alone.
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


def read_state(data_dir: Path) -> CutoverState:
    """Return where `data_dir` stands.

    Raises
    ------
    InvalidRecord
        When its state cannot be read.
    """
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
    """Record that a step was done, with a report of it.

    The phase only moves forward, so that bringing history over once more during phase three does not end it; 'json',
    which a rollback records, starts over.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with locked_file(data_dir / f"{STATE_NAME}.lock"):
        before = read_state(data_dir)
        now = format_time(clock())
        event = {"at": now, "phase": phase, "report": msgspec.to_builtins(what)}
        reached = phase if phase == "json" else max(before.phase, phase, key=_ORDER.index)
        state = msgspec.structs.replace(
            before, phase=reached, updated_at=now, events=[*before.events, event][-_KEPT_EVENTS:], **fields
        )
        replace_file(data_dir / STATE_NAME, msgspec.json.format(msgspec.json.encode(state), indent=2))
    return state


def enter_phase(data_dir: Path, phase: DualPhase, json_path: Path, *, clock: Clock = system_clock) -> None:
    """Record that a program reads or writes both sides, unless that is known already.

    Raises
    ------
    InvalidRecord
        When the cut-over is done: writing would bring the JSON file back as a second source.
    """
    state = read_state(data_dir)
    if state.phase == "database":
        raise InvalidRecord(
            f"{data_dir} was cut over to the database, so nothing may be written to {json_path}; unset "
            "SKILLRANK_METRICS_MODE, or undo the cut-over with `skillrank rollback-cutover`",
            field="phase",
        )
    if _ORDER.index(state.phase) < _ORDER.index(phase):
        record_event(data_dir, phase, {"json_path": str(json_path)}, clock=clock)


def state_problems(data_dir: Path) -> list[str]:
    """Return what is wrong with the cut-over of `data_dir`: nothing when all is well."""
    try:
        state = read_state(data_dir)
    except InvalidRecord as error:
        return [str(error)]
    if state.phase != "database" or state.json_path is None or not Path(state.json_path).exists():
        return []
    json_path = Path(state.json_path)
    if was_interrupted(state, data_dir):
        return [f"the cut-over stopped before its last step; run `skillrank cutover {json_path}` again"]
    if rollback_was_interrupted(state):
        return ["the rollback stopped before its last step; run `skillrank rollback-cutover` again"]
    problem = (
        f"{json_path} exists again although the database replaced it, so a program still writes to it; stop that "
        f"program, run `skillrank import-json {json_path}`, and move the file away"
    )
    return [problem]


def was_interrupted(state: CutoverState, data_dir: Path) -> bool:
    """Whether a cut-over was recorded but its JSON file is still in place, unchanged or with new rows."""
    if state.phase != "database" or state.json_path is None or state.kept_json is None:
        return False
    json_path = Path(state.json_path)
    if Path(state.kept_json).exists() or not json_path.exists():
        return False
    if sha256_of(json_path) == state.json_sha256:
        return True
    saved = [path for path in (data_dir / "backups").glob("*.json") if sha256_of(path) == state.json_sha256]
    return bool(saved) and continues(json_path, saved[0])


def rollback_was_interrupted(state: CutoverState) -> bool:
    """Whether the JSON file is back in its place, with everything of the kept one, but that was not recorded."""
    if state.phase != "database" or state.json_path is None or state.kept_json is None:
        return False
    json_path, kept = Path(state.json_path), Path(state.kept_json)
    if not json_path.exists() or not kept.exists() or sha256_of(kept) != state.json_sha256:
        return False
    return continues(json_path, kept)


def continues(json_path: Path, original: Path) -> bool:
    """Whether a JSON file has everything that an earlier version of it had."""
    try:
        now, before = read_legacy_file(json_path), read_legacy_file(original)
    except InvalidRecord:
        return False
    ids = {use.invocation.id for use in now.uses}
    return all(use.invocation.id in ids for use in before.uses) and all(
        now.aggregates.get(name) == totals for name, totals in before.aggregates.items()
    )


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
