"""The README's examples are what the program really prints and does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
Command = Callable[..., subprocess.CompletedProcess[str]]


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def form(line: str) -> str:
    """Return a printed line with its figures left out: outcomes of the demo age with the day."""
    return re.sub(r"\d+", "0", line).rstrip()


def test_the_sample_answer_is_what_the_demo_prints(
    skillrank: Command, environment: dict[str, str], skills_models: Path
) -> None:
    del environment["SKILLRANK_MODEL"]
    shutil.copytree(skills_models, Path(environment["SKILLRANK_DATA_DIR"]) / "models")
    printed = skillrank("demo", "--no-serve").stdout
    [sample] = [block for block in blocks("text") if block.startswith("“")]
    assert "\n".join(map(form, sample.splitlines())) in "\n".join(map(form, printed.splitlines()))


def test_the_flow_from_a_query_to_an_outcome_is_recorded_as_shown(
    serve: Callable[..., object], skillrank: Command, library: Path, environment: dict[str, str]
) -> None:
    skillrank("index", library)
    running = serve()
    address = str(running.client.base_url)  # type: ignore[attr-defined]
    [flow] = [block for block in blocks("sh") if "search_id" in block]
    script = flow.replace("localhost:8765", address.removeprefix("http://").rstrip("/"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("python3", sys.executable)],
        env=environment | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert '"outcome":"completed"' in done.stdout
    told = running.client.get("/api/invocations/u1").json()  # type: ignore[attr-defined]
    search = running.client.get(f"/api/search/{told['search_id']}").json()  # type: ignore[attr-defined]
    assert (told["outcome"], search["query"], search["session_id"]) == ("completed", "my tests fail at random", "s1")


def test_every_command_of_the_readme_exists(skillrank: Command) -> None:
    named = set(re.findall(r"skillrank ([a-z][a-z-]+)", "\n".join(blocks("sh"))))
    listed = skillrank("--help").stdout
    assert len(named) > 8
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", listed)] == []
