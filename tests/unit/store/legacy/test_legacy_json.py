"""What the JSON file of the old tracker may look like, and how it is read and written."""

from __future__ import annotations

import json
import threading
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from store.errors import InvalidRecord
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.legacy_json import LegacyFile, read_legacy, read_legacy_file

ROW: dict[str, Any] = {
    "skill_name": "lint",
    "invoked_at": "2025-02-10T09:30:00",
    "workflow_path": "quick",
    "completed": True,
    "duration_seconds": 12.5,
    "follow_up_actions": ["git commit"],
    "error_type": None,
}
TOTALS = {"total_invocations": 3, "completed_invocations": 2, "abandoned_invocations": 1}


def read(payload: Any) -> LegacyFile:
    return read_legacy(payload, timezone=UTC)


@pytest.mark.parametrize(
    "payload",
    [
        {"invocations": [ROW], "skills": {"lint": TOTALS}},
        {"invocations": [ROW]},
        [ROW],
        {"skills": {"lint": TOTALS | {"invocations": [{k: v for k, v in ROW.items() if k != "skill_name"}]}}},
        {"skills": [{"skill_name": "lint", "invocations": [ROW]}]},
    ],
)
def test_every_layout_gives_the_same_invocation(payload: Any) -> None:
    found = read(payload)
    (use,) = found.uses
    assert found.refused == []
    assert (use.invocation.skill_name, use.invocation.workflow_path) == ("lint", "quick")
    assert use.invocation.invoked_at == "2025-02-10T09:30:00.000000Z"
    assert use.outcome is not None
    assert (use.outcome.outcome, use.outcome.duration_seconds) == ("completed", 12.5)
    assert use.outcome.follow_up_actions == ["git commit"]


def test_totals_without_invocations_are_kept_as_they_are() -> None:
    assert read({"lint": TOTALS, "version": 1}).aggregates == {"lint": TOTALS}


@pytest.mark.parametrize("payload", ["text", 3, None, {"something": "else"}])
def test_a_file_without_tracking_data_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidRecord):
        read(payload)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"skill_name": None}, "has no skill name"),
        ({"skill_name": " "}, "has no skill name"),
        ({"invoked_at": None}, "has no start time"),
        ({"invoked_at": "yesterday"}, "not an ISO 8601 time"),
        ({"duration_seconds": -1}, "duration is -1"),
        ({"duration_seconds": float("nan")}, "duration is nan"),
        ({"duration_seconds": True}, "duration is True"),
        ({"completed": "maybe"}, "'maybe'"),
        ({"follow_up_actions": "git commit"}, "follow_up_actions"),
        ({"id": "x" * 201}, "1 to 200"),
        ({"outcome": "exploded"}, "exploded"),
        ({"finished_at": "later"}, "not an ISO 8601 time"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_the_reason(change: dict[str, Any], said: str) -> None:
    found = read({"invocations": [ROW, ROW | change]})
    ((place, reason),) = found.refused
    assert (place, len(found.uses)) == ("invocations[1]", 1)
    assert said in reason


def test_a_second_row_with_the_same_id_is_refused() -> None:
    found = read([ROW | {"id": "a"}, ROW | {"id": "a", "skill_name": "other"}])
    assert [place for place, _ in found.refused] == ["[1]"]


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"completed": True}, "completed"),
        ({"completed": 1}, "completed"),
        ({"completed": False}, "abandoned"),
        ({"completed": False, "error_type": "ValueError"}, "failed"),
        ({"outcome": "cancelled"}, "cancelled"),
        ({"completed": None}, None),
    ],
)
def test_the_outcome_is_read_from_whichever_field_has_it(told: dict[str, Any], outcome: str | None) -> None:
    (use,) = read([{"skill_name": "lint", "invoked_at": "2025-01-01"} | told]).uses
    assert (use.outcome.outcome if use.outcome else None) == outcome


def test_times_without_an_offset_are_in_the_given_zone() -> None:
    found = read_legacy([ROW], timezone=timezone(timedelta(hours=2)))
    assert found.uses[0].invocation.invoked_at == "2025-02-10T07:30:00.000000Z"


def test_rows_without_an_id_get_the_same_one_every_time() -> None:
    once, again = read([ROW, ROW]), read([dict(reversed(ROW.items())), ROW, ROW | {"workflow_path": "full"}])
    ids = [use.invocation.id for use in again.uses]
    assert [use.invocation.id for use in once.uses] == ids[:2]
    assert len(set(ids)) == 3


def test_the_id_of_a_row_does_not_depend_on_the_time_zone() -> None:
    first, second = (read_legacy([ROW], timezone=timezone(timedelta(hours=h))).uses[0] for h in (0, 5))
    assert first.invocation.id == second.invocation.id


def test_what_python_writes_is_read_even_where_it_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps([ROW, ROW | {"duration_seconds": float("nan")}]), "utf-8")
    found = read_legacy_file(path)
    assert (len(found.uses), len(found.refused)) == (1, 1)


@pytest.mark.parametrize("content", [None, "", "{", '{"invocations": ['])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(InvalidRecord, match=r"metrics\.json"):
        read_legacy_file(path)


# --- tracking in the file ------------------------------------------------------------------------------------


def test_the_tracker_returns_metrics_as_an_object(tmp_path: Path) -> None:
    tracker = LegacyJsonTracker(tmp_path / "metrics.json")
    tracker.track_invocation("lint", "quick")(completed=True, follow_up_actions=["commit"], duration_seconds=2.0)
    tracker.track_invocation("lint")(completed=False, error_type="ValueError")
    tracker.track_invocation("lint")
    metrics = tracker.get_skill_metrics("lint")
    assert metrics is not None
    assert (metrics.total_invocations, metrics.completed_invocations, metrics.abandoned_invocations) == (3, 1, 1)
    assert (metrics.completion_rate, metrics.avg_duration_seconds) == (50.0, 2.0)
    assert (metrics.workflow_paths, metrics.common_errors) == ({"quick": 1}, {"ValueError": 1})
    assert metrics.follow_up_actions == {"commit": 1}
    assert tracker.get_skill_metrics("nobody") is None


def test_no_invocation_is_lost_between_threads(tmp_path: Path) -> None:
    tracker = LegacyJsonTracker(tmp_path / "metrics.json")
    threads = [threading.Thread(target=lambda: tracker.track_invocation("lint")(completed=True)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics = tracker.get_skill_metrics("lint")
    assert metrics is not None
    assert (metrics.total_invocations, metrics.completed_invocations) == (12, 12)


def test_the_file_keeps_fields_that_the_tracker_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"invocations": [ROW], "skills": {"old": TOTALS}, "version": 3}), "utf-8")
    tracker = LegacyJsonTracker(path)
    tracker.track_invocation("lint")(completed=True)
    kept = json.loads(path.read_text("utf-8"))
    assert (kept["version"], kept["skills"], len(kept["invocations"])) == (3, {"old": TOTALS}, 2)
    old = tracker.get_skill_metrics("old")
    assert old is not None
    assert old.total_invocations == 3


def test_a_damaged_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("{ not json", "utf-8")
    with pytest.raises(InvalidRecord):
        LegacyJsonTracker(path).track_invocation("lint")
    assert path.read_text("utf-8") == "{ not json"


def test_a_write_that_fails_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    tracker = LegacyJsonTracker(path)
    tracker.track_invocation("lint")
    before = path.read_bytes()
    monkeypatch.setattr("store.legacy.json_tracker.os.fsync", _refuse)
    with pytest.raises(OSError, match="no space"):
        tracker.track_invocation("lint")
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["metrics.json", "metrics.json.lock"]


def _refuse(_: int) -> None:
    raise OSError(28, "no space left")
