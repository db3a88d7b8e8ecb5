"""Tries an installed skillrank as a program and its user do; run by `make wheel-test` with the interpreter of an empty
environment that only the wheel was installed into.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SKILL = """---
name: find-flaky-tests
description: Find out why tests fail at random and make them pass every time.
---
# Find flaky tests

Run the suite in another order until the test fails.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"SKILLRANK_DATA_DIR": str(folder / "data"), "SKILLRANK_MODEL": "hashing", "HF_HUB_OFFLINE": "1"}
        os.chdir(folder)
        try_in_process(folder)


def try_in_process(folder: Path) -> None:
    import skillrank  # noqa: PLC0415  the settings come first

    assert Path(skillrank.__file__).resolve().parent != REPOSITORY, "the repository was imported, not the wheel"
    assert not {"torch", "numpy", "litestar"} & sys.modules.keys(), "importing skillrank is not cheap"
    assert run("--version").split() == ["skillrank", skillrank.__version__]

    document = folder / "skills" / "find-flaky-tests" / "SKILL.md"
    document.parent.mkdir(parents=True)
    document.write_text(SKILL, encoding="utf-8")
    run("index", str(document.parents[1]))
    answer = skillrank.search("my tests fail at random")
    assert [result.skill_name for result in answer.results] == ["find-flaky-tests"]
    with skillrank.get_store().track_invocation("find-flaky-tests", search_id=answer.search_id):
        pass
    metrics = skillrank.get_store().get_skill_metrics("find-flaky-tests")
    assert metrics is not None
    assert metrics["completion_rate"] == 100.0
    health = skillrank.check_database_health(skillrank.get_store())
    assert (health["total_invocations"], health["problems"]) == (1, [])
    skillrank.get_store().close()
    # The library and the queries of the demo come with the wheel.
    run("demo", "--no-serve", "--data-dir", str(folder / "demo"))
    sys.stdout.write(f"skillrank {skillrank.__version__} works from {Path(skillrank.__file__).parent}\n")


def run(*arguments: str) -> str:
    command = Path(sysconfig.get_path("scripts")) / "skillrank"
    done = subprocess.run([str(command), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"skillrank {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
