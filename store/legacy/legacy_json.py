"""Reads the file of the JSON tracker that came before the database.

The specification gives the fields of ``skill_metrics.json`` but not its layout, so every layout that it allows is
read: a list of invocations, an object with ``invocations`` (a list) and ``skills`` (aggregates by name, or a list of
them), invocations nested under their skill, and aggregates alone. Every row that cannot be used is reported.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from store.clock import format_time
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import InvalidRecord

AGGREGATE_FIELDS: Final = (
    "total_invocations",
    "completed_invocations",
    "abandoned_invocations",
    "total_duration_seconds",
    "workflow_paths",
    "common_errors",
    "follow_up_actions",
    "first_invoked",
    "last_invoked",
    "completion_rate",
    "avg_duration_seconds",
)
MAX_ID_CHARACTERS: Final = 200
MAX_DURATION_S: Final = 3_153_600_000.0
_NAMES: Final = ("skill_name", "skill")
_TIMES: Final = ("invoked_at", "timestamp", "started_at")
_STARTED: Final = frozenset(NewInvocation.__struct_fields__) - {"id", "skill_name", "invoked_at"}


class LegacyInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation of the file as the store takes it; `outcome` is None when the file has none."""

    place: str
    invocation: NewInvocation
    outcome: NewOutcome | None


class LegacyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file.

    Attributes
    ----------
    uses : list of LegacyInvocation
        In the order of the file; ids are unique.
    refused : list of (str, str)
        The place of each row that cannot be used, such as ``invocations[3]``, and the reason.
    aggregates : dict of str to dict
        The totals that the file gives for each skill, with the fields of the specification's ``SkillMetricsData``.
    """

    uses: list[LegacyInvocation]
    refused: list[tuple[str, str]]
    aggregates: dict[str, dict[str, Any]]


def read_legacy_file(path: Path, *, timezone: tzinfo | None = None) -> LegacyFile:
    """Read a file of the JSON tracker.

    Parameters
    ----------
    path : Path
    timezone : tzinfo, optional
        The zone of times without an offset, which the old tracker wrote in its machine's local time; this machine's
        zone by default.

    Raises
    ------
    InvalidRecord
        When there is no such file, it is not JSON, or it has nothing that looks like tracking.
    """
    try:
        payload = decode_json(path.read_bytes())
    except OSError as error:
        raise InvalidRecord(f"{path} cannot be read: {error.strerror}", field="json_path") from error
    except ValueError as error:
        raise InvalidRecord(f"{path} is not JSON: {error}", field="json_path") from error
    return read_legacy(payload, timezone=timezone, name=str(path))


def read_legacy(payload: Any, *, timezone: tzinfo | None = None, name: str = "the file") -> LegacyFile:
    """Read the decoded content of a JSON tracker's file; see `read_legacy_file`."""
    rows, aggregates, refused = _layout(payload, name)
    uses: list[LegacyInvocation] = []
    seen: set[str] = set()
    alike: Counter[str] = Counter()
    for place, row in rows:
        try:
            use = _use(place, row, timezone, alike)
        except (InvalidRecord, msgspec.ValidationError) as error:
            refused.append((place, str(error)))
            continue
        identifier = use.invocation.id or ""
        if identifier in seen:
            refused.append((place, f"its id {identifier!r} is already in the file"))
            continue
        seen.add(identifier)
        uses.append(use)
    return LegacyFile(uses=uses, refused=refused, aggregates=aggregates)


def decode_json(raw: bytes) -> Any:
    """Decode whatever Python's ``json`` writes, including ``NaN``; raise ValueError for anything else."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw)


def _layout(payload: Any, name: str) -> tuple[list[tuple[str, Any]], dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Return the rows with their places, the aggregates by skill, and the entries that are neither."""
    refused: list[tuple[str, str]] = []
    if isinstance(payload, list):
        return [(f"[{n}]", row) for n, row in enumerate(payload)], {}, refused
    if not isinstance(payload, dict):
        raise InvalidRecord(f"{name} has neither an object nor a list at its top level", field="json_path")
    rows: list[tuple[str, Any]] = []
    listed = payload.get("invocations", [])
    if isinstance(listed, list):
        rows += [(f"invocations[{n}]", row) for n, row in enumerate(listed)]
    else:
        refused.append(("invocations", "is not a list"))
    skills = payload.get("skills")
    if skills is None and "invocations" not in payload:
        skills = {key: cell for key, cell in payload.items() if _is_aggregate(cell)}
        if not skills and payload:
            raise InvalidRecord(
                f"{name} has neither `invocations` nor `skills`, so it is not a JSON tracker's file",
                field="json_path",
            )
    aggregates: dict[str, dict[str, Any]] = {}
    for place, key, cell in _entries(skills):
        skill = key or (_text(cell, _NAMES) if isinstance(cell, dict) else None)
        if not isinstance(cell, dict) or not skill:
            refused.append((place, "is not an object that names its skill"))
            continue
        nested = cell.get("invocations")
        for n, row in enumerate(nested if isinstance(nested, list) else []):
            full = {"skill_name": skill} | row if isinstance(row, dict) else row
            rows.append((f"{place}.invocations[{n}]", full))
        if _is_aggregate(cell):
            aggregates[skill] = {field: each for field, each in cell.items() if field in AGGREGATE_FIELDS}
    return rows, aggregates, refused


def _entries(skills: Any) -> Iterator[tuple[str, str | None, Any]]:
    if isinstance(skills, list):
        yield from ((f"skills[{n}]", None, cell) for n, cell in enumerate(skills))
    elif isinstance(skills, dict):
        yield from ((f"skills.{key}", key, cell) for key, cell in skills.items())


def _is_aggregate(cell: Any) -> bool:
    return isinstance(cell, dict) and isinstance(cell.get("total_invocations"), int)


def _use(place: str, row: Any, timezone: tzinfo | None, alike: Counter[str]) -> LegacyInvocation:
    if not isinstance(row, dict):
        raise InvalidRecord("is not an object")
    name = _text(row, _NAMES)
    if not name or not name.strip():
        raise InvalidRecord("has no skill name", field="skill_name")
    start = _text(row, _TIMES)
    if start is None:
        raise InvalidRecord("has no start time", field="invoked_at")
    invoked_at = _moment(start, timezone)
    identifier = row.get("id") or row.get("invocation_id") or _made_up_id(row, alike)
    if len(str(identifier)) > MAX_ID_CHARACTERS or not str(identifier).strip():
        raise InvalidRecord(f"its id must have 1 to {MAX_ID_CHARACTERS} characters", field="id")
    fields = {key: cell for key, cell in row.items() if key in _STARTED and cell is not None}
    begun = {**fields, "id": identifier, "skill_name": name, "invoked_at": invoked_at}
    invocation = msgspec.convert(begun, NewInvocation)
    outcome = row.get("outcome")
    completed = row.get("completed")
    if outcome is None and completed is not None:
        if completed not in {True, False}:  # 1 and 0 are equal to them
            raise InvalidRecord(f"completed is {completed!r}, neither true nor false", field="completed")
        outcome = "completed" if completed else "failed" if row.get("error_type") else "abandoned"
    if outcome is None:
        return LegacyInvocation(place=place, invocation=invocation, outcome=None)
    finished_at = row.get("finished_at")
    duration = row.get("duration_seconds")
    if duration is not None and not (_is_number(duration) and 0 <= duration <= MAX_DURATION_S):
        raise InvalidRecord(f"its duration is {duration!r}, not 0 or more seconds", field="duration_seconds")
    ended = {
        "outcome": outcome,
        "finished_at": None if finished_at is None else max(_moment(finished_at, timezone), invoked_at),
        "duration_seconds": duration,
        "error_type": row.get("error_type"),
        "follow_up_actions": row.get("follow_up_actions") or [],
        "source": "import",
    }
    return LegacyInvocation(place=place, invocation=invocation, outcome=msgspec.convert(ended, NewOutcome))


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _made_up_id(row: Mapping[str, Any], alike: Counter[str]) -> str:
    """Return an id that depends on the row's content alone; equal rows are numbered."""
    raw = json.dumps(dict(row), sort_keys=True, ensure_ascii=True).encode()
    content = hashlib.sha256(raw).hexdigest()[:40]
    alike[content] += 1
    return f"json-{content}" + (f"-{alike[content]}" if alike[content] > 1 else "")


def _moment(written: Any, timezone: tzinfo | None) -> str:
    try:
        moment = datetime.fromisoformat(written)
        if moment.tzinfo is None:
            # Without a zone, astimezone takes the time as this machine's.
            moment = moment.replace(tzinfo=timezone) if timezone else moment.astimezone()
        return format_time(moment.astimezone(UTC))
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise InvalidRecord(f"{written!r} is not an ISO 8601 time", field="invoked_at") from error


def _text(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((row[name] for name in names if isinstance(row.get(name), str)), None)
