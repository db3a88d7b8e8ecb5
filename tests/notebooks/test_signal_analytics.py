"""The notebook runs, and what lies in the repository is a run of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "signal_analytics.ipynb"
# Six weeks instead of a year.
SMALL = "DAYS = 42\nPEOPLE = 6\nDUPLICATED_UPDATES = 8\nMENTORSHIPS = 10\n"


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def plots(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def said(notebook: Any) -> str:
    return "".join(output.text for output in outputs(notebook) if output.output_type == "stream")


def test_the_notebook_runs_and_its_four_experiments_hold(notebook: Any) -> None:
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = SMALL
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    assert said(notebook).endswith("all four hold\n")
    assert plots(notebook) == 4


def test_the_notebook_is_saved_with_its_plots_and_without_errors(notebook: Any) -> None:
    assert plots(notebook) == 4
    assert said(notebook).endswith("all four hold\n")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_the_saved_notebook_is_small_and_names_no_path_of_a_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    here = [NOTEBOOK.parents[1], Path.home(), Path(tempfile.gettempdir())]
    assert not [root for root in (*map(str, here), "/home/", "/Users/") if root in text]
