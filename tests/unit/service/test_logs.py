"""What is logged, and what must not be."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.logs import configure_logs


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_does_not_show_what_callers_sent(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)  # type: ignore[arg-type]

    def answer(query: str) -> int:
        return len(query) // 0

    try:
        answer("where is the treasure")
    except ZeroDivisionError as error:
        structlog.get_logger("test").error("a request failed", exc_info=error)
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert "in answer" in logged or '"answer"' in logged
    assert "treasure" not in logged.replace('answer("where is the treasure")', "")
    if form == "json":
        assert json.loads(logged)["event"] == "a request failed"
