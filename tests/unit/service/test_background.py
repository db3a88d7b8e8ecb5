"""Tasks beside the requests: no error ends one, and each failure is reported while it lasts."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from structlog.testing import capture_logs

from service import upkeep
from service.upkeep import Background
from store.errors import StoreUnavailable


def run_briefly(task: Callable[[], object]) -> None:
    async def briefly() -> None:
        with anyio.move_on_after(0.3):
            await task()  # type: ignore[misc]

    with capture_logs():
        anyio.run(briefly)


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (StoreUnavailable("the disk is full", cause="full"), "the sweep failed (the disk is full)"),
        (OverflowError("too far"), "the sweep failed (internal error: OverflowError; see the log)"),
        (PermissionError(13, "no"), "the sweep failed (internal error: PermissionError; see the log)"),
    ],
)
def test_a_failure_is_reported_until_the_next_success(error: Exception, reported: str) -> None:
    background = Background()
    calls: list[list[str]] = []

    def work() -> None:
        calls.append(background.problems())
        if len(calls) == 1:
            raise error

    run_briefly(lambda: background.repeat("the sweep", work, every_s=0.01))
    assert len(calls) > 2
    assert calls[:3] == [[], [reported], []]


def test_a_task_that_should_not_end_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RESTART_AFTER_S", 0.01)
    background = Background()
    starts = []

    async def watch() -> None:
        starts.append(1)
        raise PermissionError(13, "Permission denied")

    run_briefly(lambda: background.keep("watching", watch))
    assert len(starts) > 2
    assert background.problems() == ["watching failed (internal error: PermissionError; see the log)"]
