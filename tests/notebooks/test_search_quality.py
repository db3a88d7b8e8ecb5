"""The notebook on search quality runs from what lies beside it, and what lies in the repository is a run of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "search_quality.ipynb"
FIGURES = NOTEBOOK.with_suffix("")
SMALL = "DRAWS = 50\n"
PLOTS = 5


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def plots(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_the_notebook_runs_in_a_small_setting(notebook: Any) -> None:
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = SMALL
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    assert plots(notebook) == PLOTS


def test_the_notebook_is_saved_as_it_ran(notebook: Any) -> None:
    assert plots(notebook) == PLOTS
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_what_is_kept_is_small_and_names_no_path_of_a_machine() -> None:
    here = [NOTEBOOK.parents[1], Path.home(), Path(tempfile.gettempdir())]
    for file in (NOTEBOOK, *FIGURES.iterdir()):
        text = file.read_text(encoding="utf-8")
        assert len(text) < 1_000_000
        assert not [root for root in (*map(str, here), "/home/", "/Users/") if root in text]
