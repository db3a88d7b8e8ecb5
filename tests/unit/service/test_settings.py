"""Settings come from environment variables, and an error names the variable at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.settings import InvalidSetting, Settings, read_settings
from store.errors import InvalidRecord


def test_without_variables_every_setting_has_its_default() -> None:
    settings = read_settings({})
    assert settings == Settings(data_dir=settings.data_dir)


def test_every_kind_of_setting_is_read() -> None:
    given = {"SKILLRANK_PORT": "9000", "SKILLRANK_LOG_LEVEL": "debug", "SKILLRANK_AGGREGATE_HOURS": "0.5"}
    settings = read_settings(given)
    assert (settings.port, settings.log_level, settings.aggregate_hours) == (9000, "debug", 0.5)


@pytest.mark.parametrize(("value", "correct"), [("false", False), ("0", False), ("true", True)])
def test_correcting_mistyped_words_can_be_switched_off(value: str, correct: bool) -> None:
    assert read_settings({}).correct
    assert read_settings({"SKILLRANK_CORRECT": value}).correct is correct


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SKILLRANK_PORT", "abc"),
        ("SKILLRANK_PORT", "70000"),
        ("SKILLRANK_LOG_LEVEL", "loud"),
        ("SKILLRANK_OPEN_LIMIT_HOURS", "-1"),
        ("SKILLRANK_KEEP_SEARCHES_DAYS", "soon"),
        ("SKILLRANK_EXPLORE_SHARE", "2"),
        ("SKILLRANK_CORRECT", "perhaps"),
        ("SKILLRANK_EXPLORE_SHARE", "nan"),
        ("SKILLRANK_OPEN_LIMIT_HOURS", "1e12"),
        ("SKILLRANK_SESSION_IDLE_HOURS", "inf"),
        ("SKILLRANK_AGGREGATE_HOURS", "1e-9"),
        ("SKILLRANK_MODEL", ""),
        ("SKILLRANK_HOST", ""),
    ],
)
def test_an_error_names_the_variable_and_its_value(variable: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{variable}={value} cannot be used: "):
        read_settings({variable: value})


def test_the_privacy_setting_of_earlier_releases_still_counts() -> None:
    assert not read_settings({"SKILLRANK_KEEP_QUESTIONS": "false"}).keep_queries
    assert read_settings({"SKILLRANK_KEEP_QUESTIONS": "false", "SKILLRANK_KEEP_QUERIES": "true"}).keep_queries
    with pytest.raises(InvalidRecord, match="SKILLRANK_KEEP_QUESTIONS"):
        read_settings({"SKILLRANK_KEEP_QUESTIONS": "perhaps"})


def test_the_data_folder_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(tmp_path))
    assert read_settings().database == tmp_path / "skillrank.db"


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("SKILLRANK_DATA_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", fails)


@pytest.mark.usefixtures("_no_home")
def test_a_data_folder_that_is_given_needs_no_home(tmp_path: Path) -> None:
    assert read_settings({}, data_dir=tmp_path).data_dir == tmp_path


@pytest.mark.usefixtures("_no_home")
def test_without_a_home_the_error_names_the_setting() -> None:
    with pytest.raises(InvalidRecord, match="SKILLRANK_DATA_DIR"):
        read_settings({})


def test_a_default_folder_that_is_not_absolute_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKILLRANK_DATA_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda _: "~/.local/share/skillrank")
    with pytest.raises(InvalidRecord, match="no home directory"):
        read_settings({})
