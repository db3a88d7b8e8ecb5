"""The JSON tracker that came before the database: the other side of a dual write."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from store.clock import Clock, format_time, system_clock
from store.errors import InvalidRecord
from store.file_lock import locked_file
from store.legacy.legacy_json import AGGREGATE_FIELDS, LegacyInvocation, decode_json, read_legacy_file
from store.metrics_store import actions_of

_TOP: Final = 10  # as many as the store's summary has


@dataclass
class SkillMetricsData:
    """Aggregated metrics of one skill, as the specification has them. Rates are percentages, 0.0 without data."""

    skill_name: str
    total_invocations: int = 0
    completed_invocations: int = 0
    abandoned_invocations: int = 0
    total_duration_seconds: float = 0.0
    workflow_paths: dict[str, int] = field(default_factory=dict)
    common_errors: dict[str, int] = field(default_factory=dict)
    follow_up_actions: dict[str, int] = field(default_factory=dict)
    first_invoked: str | None = None
    last_invoked: str | None = None
    completion_rate: float = 0.0
    avg_duration_seconds: float = 0.0


class LegacyJsonTracker:
    """Tracks invocations in one JSON file.

    Every change reads the file, changes it and replaces it as a whole, under a lock that other processes with this
    tracker respect. The cost of a change grows with the file.

    Parameters
    ----------
    json_path : Path or str
        Created on first use.
    clock : Clock, optional
    timezone : tzinfo, optional
        The zone of times without an offset; this machine's zone by default.
    """

    def __init__(self, json_path: Path | str, *, clock: Clock = system_clock, timezone: tzinfo | None = None) -> None:
        self.json_path = Path(json_path)
        self._clock = clock
        self._timezone = timezone
        self._threads = threading.Lock()

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | None = None,
        *,
        invocation_id: str | None = None,
        invoked_at: str | None = None,
    ) -> Callable[..., None]:
        """Record that an invocation began; return its ``completer(completed, follow_up_actions, error_type)``.

        The completer also takes ``duration_seconds`` and ``finished_at``, which are measured when they are not given.
        """
        row = {
            "id": invocation_id or str(uuid.uuid4()),
            "skill_name": skill_name,
            "invoked_at": invoked_at or format_time(self._clock()),
            "workflow_path": workflow_path,
            "session_id": session_id,
            "project_path": project_path,
        }
        began = time.monotonic()
        with self._changing() as rows:
            rows.append(row)

        def completer(
            completed: bool = True,
            follow_up_actions: Sequence[str] | None = None,
            error_type: str | None = None,
            *,
            duration_seconds: float | None = None,
            finished_at: str | None = None,
        ) -> None:
            took = round(time.monotonic() - began, 6) if duration_seconds is None else duration_seconds
            ending = {
                "completed": completed,
                "follow_up_actions": actions_of(follow_up_actions),
                "error_type": error_type,
                "duration_seconds": took,
                "finished_at": finished_at or format_time(self._clock()),
            }
            with self._changing() as rows:
                for kept in rows:
                    if isinstance(kept, dict) and kept.get("id") == row["id"]:
                        kept.update(ending)
                        return
                # The file has been removed meanwhile; the invocation must not be lost with it.
                rows.append(row | ending)

        return completer

    def get_skill_metrics(self, skill_name: str) -> SkillMetricsData | None:
        """Return the metrics of one skill, None when the file does not contain it."""
        return self.get_all_metrics().get(skill_name)

    def get_all_metrics(self) -> dict[str, SkillMetricsData]:
        """Return the metrics of every skill of the file, most used first.

        They are computed from the file's invocations; a skill without any has the totals that the file gives.
        """
        if not self.json_path.exists():
            return {}
        read = read_legacy_file(self.json_path, timezone=self._timezone)
        found = metrics_of(read.uses)
        for name, totals in read.aggregates.items():
            if name not in found:
                found[name] = self._totals_of_file(name, totals)
        return dict(sorted(found.items(), key=lambda each: (-each[1].total_invocations, each[0])))

    def get_summary(self) -> dict[str, Any]:
        """Return the overall totals, with the keys of `store.metrics_store.SkillMetricsStore.get_summary`."""
        return summary_of(self.get_all_metrics(), now=format_time(self._clock()))

    def open_ids(self) -> list[str]:
        """Return the ids of the invocations that have no outcome in the file."""
        read = read_legacy_file(self.json_path, timezone=self._timezone)
        return [use.invocation.id for use in read.uses if use.outcome is None and use.invocation.id]

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add rows with new ids, and the outcomes of rows that are still open; return how many rows changed."""
        changed = 0
        with self._changing() as kept:
            known = {row.get("id"): row for row in kept if isinstance(row, dict)}
            for row in rows:
                mine = known.get(row["id"])
                if mine is None:
                    kept.append(dict(row))
                    changed += 1
                elif mine.get("completed") is None and row.get("completed") is not None:
                    mine.update(row)
                    changed += 1
        return changed

    def _totals_of_file(self, name: str, totals: Mapping[str, Any]) -> SkillMetricsData:
        known = {key: cell for key, cell in totals.items() if key in AGGREGATE_FIELDS and cell is not None}
        try:
            return msgspec.convert({"skill_name": name, **known}, SkillMetricsData)
        except msgspec.ValidationError as error:
            raise InvalidRecord(
                f"{self.json_path}: the totals of {name!r} cannot be used: {error}", field="json_path"
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[list[Any]]:
        """Yield the rows for changing, then replace the file with them."""
        self.json_path.parent.mkdir(parents=True, exist_ok=True)
        with self._threads, locked_file(self.json_path.with_name(self.json_path.name + ".lock")):
            payload: Any = {}
            if self.json_path.exists():
                try:
                    payload = decode_json(self.json_path.read_bytes())
                except ValueError as error:
                    raise InvalidRecord(f"{self.json_path} is not JSON: {error}", field="json_path") from error
            if isinstance(payload, list):
                payload = {"invocations": payload}
            if not isinstance(payload, dict) or not isinstance(payload.setdefault("invocations", []), list):
                raise InvalidRecord(f"{self.json_path} has no list of invocations to add to", field="json_path")
            yield payload["invocations"]
            payload["last_updated"] = format_time(self._clock())
            replace_file(self.json_path, msgspec.json.encode(payload))


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of `path` durably: a reader sees the old content or the new, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def metrics_of(uses: Sequence[LegacyInvocation]) -> dict[str, SkillMetricsData]:
    """Aggregate invocations as the store does: counted when they start, rates over those that have finished."""
    found: dict[str, SkillMetricsData] = {}
    durations: dict[str, list[int]] = {}
    for use in uses:
        start, end = use.invocation, use.outcome
        data = found.setdefault(start.skill_name, SkillMetricsData(start.skill_name))
        data.total_invocations += 1
        moment = start.invoked_at or ""
        data.first_invoked = min(data.first_invoked or moment, moment)
        data.last_invoked = max(data.last_invoked or moment, moment)
        if start.workflow_path is not None:
            _count(data.workflow_paths, start.workflow_path)
        if end is None:
            continue
        data.completed_invocations += end.outcome == "completed"
        data.abandoned_invocations += end.outcome != "completed"
        if end.outcome == "completed" and end.duration_seconds is not None:
            durations.setdefault(start.skill_name, []).append(round(end.duration_seconds * 1e6))
        if end.error_type is not None:
            _count(data.common_errors, end.error_type)
        for action in end.follow_up_actions:
            _count(data.follow_up_actions, action)
    for name, data in found.items():
        finished = data.completed_invocations + data.abandoned_invocations
        timed = durations.get(name, [])
        data.total_duration_seconds = sum(timed) / 1e6
        data.completion_rate = 100.0 * data.completed_invocations / finished if finished else 0.0
        data.avg_duration_seconds = sum(timed) / 1e6 / len(timed) if timed else 0.0
    return found


def summary_of(metrics: Mapping[str, SkillMetricsData], *, now: str) -> dict[str, Any]:
    """Aggregate the metrics of all skills, given most used first."""
    each = list(metrics.values())
    completed = sum(data.completed_invocations for data in each)
    finished = completed + sum(data.abandoned_invocations for data in each)
    total = sum(data.total_invocations for data in each)
    # How many completions were timed follows from a skill's sum and its average.
    timed = sum(round(data.total_duration_seconds / data.avg_duration_seconds) for data in each if _is_timed(data))
    return {
        "total_skills": len(each),
        "total_invocations": total,
        "completed_invocations": completed,
        "finished_invocations": finished,
        "running_invocations": total - finished,
        "overall_completion_rate": 100.0 * completed / finished if finished else 0.0,
        "most_used_skill": each[0].skill_name if each else None,
        "most_used_count": each[0].total_invocations if each else 0,
        "avg_duration_seconds": sum(data.total_duration_seconds for data in each) / timed if timed else 0.0,
        "top_errors": _top(data.common_errors for data in each),
        "top_workflow_paths": _top(data.workflow_paths for data in each),
        "refreshed_at": now,
    }


def _is_timed(data: SkillMetricsData) -> bool:
    return data.avg_duration_seconds > 0


def _top(counts: Iterable[Mapping[str, int]]) -> list[dict[str, Any]]:
    summed: dict[str, int] = {}
    for each in counts:
        for value, n in each.items():
            summed[value] = summed.get(value, 0) + n
    ordered = sorted(summed.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "n": n} for value, n in ordered[:_TOP]]


def _count(counts: dict[str, int], value: str) -> None:
    counts[value] = counts.get(value, 0) + 1
