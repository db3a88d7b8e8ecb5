"""Every notebook runs in a small setting, and what lies in the repository is a run of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"


class Case(NamedTuple):
    """A notebook, its parameters in a small setting, how many plots it has, and what it says last if that matters."""

    name: str
    small: str
    plots: int
    says_last: str = ""


CASES = [
    Case("ranking_by_outcomes", "WORLDS = 2\nPER_KIND = 12\n", 5),
    Case("search_quality", "DRAWS = 50\n", 5),
    # Six weeks instead of a year.
    Case(
        "signal_analytics",
        "DAYS = 42\nPEOPLE = 6\nDUPLICATED_UPDATES = 8\nMENTORSHIPS = 10\n",
        4,
        says_last="all four hold\n",
    ),
]
every_notebook = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def read(case: Case) -> Any:
    return nbformat.read(FOLDER / f"{case.name}.ipynb", as_version=4)


def assert_tells(case: Case, notebook: Any) -> None:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == case.plots
    assert [output.ename for output in outputs if output.output_type == "error"] == []
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert said.endswith(case.says_last)


def test_every_notebook_is_here() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.ipynb")) == sorted(case.name for case in CASES)


@every_notebook
def test_it_runs_in_a_small_setting(case: Case) -> None:
    notebook = read(case)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = case.small
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert_tells(case, notebook)


@every_notebook
def test_it_is_saved_as_it_ran(case: Case) -> None:
    notebook = read(case)
    assert_tells(case, notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_what_is_kept_is_small_and_names_no_path_of_a_machine() -> None:
    here = [FOLDER.parent, Path.home(), Path(tempfile.gettempdir())]
    for file in (each for each in FOLDER.rglob("*.*") if each.suffix in {".ipynb", ".json"}):
        text = file.read_text(encoding="utf-8")
        assert len(text) < 1_000_000
        assert not [root for root in (*map(str, here), "/home/", "/Users/") if root in text], file
