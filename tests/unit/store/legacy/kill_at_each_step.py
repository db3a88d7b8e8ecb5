"""Runs a step of the cut-over again and again, each time killed one file operation later; see test_killed.py.

Each attempt is a process of its own with a copy of TEMPLATE, named WORK/<number>; the last one was not killed.

Usage: kill_at_each_step.py {cut_over,roll_back} TEMPLATE WORK
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

from store.legacy.cutover import cut_over, roll_back
from store.metrics_store import SkillMetricsStore

_CHANGES = {"os.rename", "os.remove", "shutil.copyfile"}


def main(step: str, template: Path, work: Path) -> None:
    for n in range(1000):
        folder = work / str(n)
        shutil.copytree(template, folder)
        let_state_name(folder, template)
        process = os.fork()
        if process == 0:
            attempt(step, folder, n)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


def let_state_name(folder: Path, template: Path) -> None:
    """Change the paths in the state of a copied folder to its own."""
    state = folder / "data" / "cutover.json"
    if state.exists():
        state.write_text(state.read_text("utf-8").replace(str(template), str(folder)), "utf-8")


def attempt(step: str, folder: Path, survived: int) -> None:
    """Do the step, and die before the file operation after `survived` of them."""
    store = SkillMetricsStore(folder / "data" / "skillrank.db")
    left = [survived]

    def kill(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in _CHANGES or writes) and str(folder) in str(arguments[0]):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(kill)
    if step == "cut_over":
        cut_over(folder / "skill_metrics.json", store, folder / "data", timezone=UTC)
    else:
        roll_back(store, folder / "data", timezone=UTC)
    left[0] = sys.maxsize
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
