"""A cut-over or a rollback that is killed at any step is finished by running it again, and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from store.errors import InvalidRecord
from store.legacy import cutover as cutover_module
from store.legacy.cutover import cut_over, roll_back
from store.legacy.json_tracker import LegacyJsonTracker
from store.legacy.legacy_json import read_legacy_file
from store.legacy.state import read_state, state_problems
from store.metrics_store import SkillMetricsStore

SCRIPT = Path(__file__).with_name("kill_at_each_step.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed by signal")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A data folder beside a JSON file with three invocations, one of them still open."""
    folder = tmp_path / "template"
    (folder / "data").mkdir(parents=True)
    tracker = LegacyJsonTracker(folder / "skill_metrics.json")
    for name in ("lint", "test"):
        tracker.track_invocation(name)()
    tracker.track_invocation("open")
    with_store(folder, lambda store: store.track_invocation("in the database alone").completer())
    return folder


def with_store(folder: Path, use: Any) -> Any:
    store = SkillMetricsStore(folder / "data" / "skillrank.db")
    try:
        return use(store)
    finally:
        store.close()


def finish_cut_over(folder: Path) -> Any:
    path, data = folder / "skill_metrics.json", folder / "data"
    return with_store(folder, lambda store: cut_over(path, store, data, timezone=UTC))


def finish_rollback(folder: Path) -> Any:
    return with_store(folder, lambda store: roll_back(store, folder / "data", timezone=UTC))


def skills_of_file(folder: Path) -> list[str]:
    uses = read_legacy_file(folder / "skill_metrics.json", timezone=UTC).uses
    return sorted(use.invocation.skill_name for use in uses)


def killed_at_each_step(step: str, template: Path, tmp_path: Path) -> list[Path]:
    """Return the folders that the killed attempts left behind, in the order of their steps."""
    work = tmp_path / step
    work.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), step, str(template), str(work)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted(work.iterdir(), key=lambda folder: int(folder.name))[:-1]


def test_a_killed_cut_over_is_finished_by_running_it_again(template: Path, tmp_path: Path) -> None:
    folders = killed_at_each_step("cut_over", template, tmp_path)
    interrupted = 0
    for folder in folders:
        if read_state(folder / "data").phase == "database" and (folder / "skill_metrics.json").exists():
            interrupted += 1
            assert ["run `skillrank cutover" in each for each in state_problems(folder / "data")] == [True]
        finish_cut_over(folder)
        assert read_state(folder / "data").phase == "database"
        assert not (folder / "skill_metrics.json").exists()
        assert state_problems(folder / "data") == []
        metrics = with_store(folder, lambda store: store.get_all_metrics())
        assert {name: each["total_invocations"] for name, each in metrics.items()} == {
            "lint": 1,
            "test": 1,
            "open": 1,
            "in the database alone": 1,
        }
    assert len(folders) >= 8
    assert interrupted >= 1


def test_a_killed_rollback_is_finished_by_running_it_again(template: Path, tmp_path: Path) -> None:
    finish_cut_over(template)
    with_store(template, lambda store: store.track_invocation("since").completer())
    folders = killed_at_each_step("roll_back", template, tmp_path)
    unrecorded = 0
    for folder in folders:
        if read_state(folder / "data").phase == "database":
            if (folder / "skill_metrics.json").exists():
                unrecorded += 1
                assert ["run `skillrank rollback" in each for each in state_problems(folder / "data")] == [True]
            finish_rollback(folder)
        assert read_state(folder / "data").phase == "json"
        assert skills_of_file(folder) == ["lint", "open", "since", "test"]
        assert not list(folder.glob("*.rolling-back"))
    assert len(folders) >= 8
    assert unrecorded >= 1


def interrupt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a cut-over just before it moves the file."""

    class Stopped(BaseException):
        pass

    def stop(*_: Any) -> Any:
        raise Stopped

    with monkeypatch.context() as stopping:
        stopping.setattr(Path, "replace", _all_but(Path.replace, folder / "skill_metrics.json", stop))
        with pytest.raises(Stopped):
            finish_cut_over(folder)


def _all_but(replace: Any, path: Path, stop: Any) -> Any:
    return lambda self, target: stop() if self == path else replace(self, target)


def test_what_is_tracked_after_an_interrupted_cut_over_is_brought_over_by_the_next(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(template, monkeypatch)
    LegacyJsonTracker(template / "skill_metrics.json").track_invocation("late")()
    with_store(template, lambda store: store.track_invocation("since").completer())
    report = finish_cut_over(template)
    assert report.stats.invocations_migrated == 1
    finish_rollback(template)
    assert skills_of_file(template) == ["late", "lint", "open", "since", "test"]


def test_an_interrupted_cut_over_that_was_written_to_can_be_rolled_back(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(template, monkeypatch)
    LegacyJsonTracker(template / "skill_metrics.json").track_invocation("late")()
    with_store(template, lambda store: store.track_invocation("since").completer())
    finish_rollback(template)
    assert skills_of_file(template) == ["late", "lint", "open", "since", "test"]


def test_a_rollback_whose_file_was_used_before_it_was_recorded_keeps_what_was_tracked(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_cut_over(template)
    with monkeypatch.context() as stopping:
        stopping.setattr(cutover_module, "record_event", _fail)
        with pytest.raises(InvalidRecord, match="stopped"):
            finish_rollback(template)
    LegacyJsonTracker(template / "skill_metrics.json").track_invocation("late")()
    finish_rollback(template)
    assert skills_of_file(template) == ["late", "lint", "open", "test"]
    assert read_state(template / "data").phase == "json"


def test_a_new_file_in_the_old_place_is_neither_cut_over_nor_rolled_back(template: Path) -> None:
    report = finish_cut_over(template)
    LegacyJsonTracker(template / "skill_metrics.json").track_invocation("late")()
    Path(report.kept_json).unlink()
    with pytest.raises(InvalidRecord, match="already"):
        finish_cut_over(template)
    with pytest.raises(InvalidRecord, match="written to since"):
        finish_rollback(template)
    assert json.loads((template / "skill_metrics.json").read_text("utf-8"))["invocations"]


def _fail(*_: Any, **__: Any) -> Any:
    raise InvalidRecord("stopped")
