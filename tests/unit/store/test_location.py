"""Settings that the store reads by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import location
from store.errors import InvalidRecord
from store.location import json_metrics_path, metrics_mode

README = Path(__file__).parents[3] / "README.md"


def test_every_setting_of_the_store_is_in_the_readme() -> None:
    text = README.read_text("utf-8")
    variables = [location.DATA_DIR_VARIABLE, location.METRICS_MODE_VARIABLE, location.JSON_METRICS_VARIABLE]
    assert [variable for variable in variables if variable not in text] == []


@pytest.mark.parametrize(("given", "mode"), [({}, "sqlite"), ({"SKILLRANK_METRICS_MODE": ""}, "sqlite")])
def test_without_a_mode_the_database_alone_is_used(given: dict[str, str], mode: str) -> None:
    assert metrics_mode(given) == mode


@pytest.mark.parametrize("mode", ["sqlite", "dual-write", "dual-read"])
def test_every_mode_can_be_set(mode: str) -> None:
    assert metrics_mode({"SKILLRANK_METRICS_MODE": mode}) == mode


@pytest.mark.parametrize("mode", ["json", "DUAL-WRITE", "dual_write"])
def test_another_mode_names_the_variable_and_its_value(mode: str) -> None:
    with pytest.raises(InvalidRecord, match=f"SKILLRANK_METRICS_MODE is '{mode}'"):
        metrics_mode({"SKILLRANK_METRICS_MODE": mode})


def test_the_path_of_the_json_file_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert json_metrics_path({"SKILLRANK_JSON_METRICS": "~/metrics.json"}) == Path("/home/somebody/metrics.json")
