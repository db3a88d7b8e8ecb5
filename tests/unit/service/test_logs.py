"""What is logged, and what must not be."""

from __future__ import annotations

import json
import logging
import re
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


def test_a_console_log_writes_out_what_would_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")
    hostile = "/skills/\x1b[2J\x1b]0;title\x07\u202e\nfaked line"
    logger = structlog.get_logger("test")
    logger.warning(hostile, path=hostile)
    logging.getLogger("other").warning("indexed %s", hostile)
    logger.error("it failed", exc_info=ValueError(hostile))
    logged = capsys.readouterr().err
    colours = re.compile(r"\x1b\[[0-9;]*m")
    assert colours.sub("", logged).replace("\n", "").isprintable()
    assert "^[[2J" in logged
    assert "faked line" not in [line.strip() for line in colours.sub("", logged).splitlines()][:2]
