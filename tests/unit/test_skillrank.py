"""`import skillrank`: every public name, loaded when it is used, with one version everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import skillrank
from service import VERSION
from service.app import create_app
from service.settings import Settings

SOURCE = Path(skillrank.__file__)


def test_importing_skillrank_loads_none_of_its_parts() -> None:
    program = (
        "import sys; before = set(sys.modules); import skillrank; skillrank.__version__; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SOURCE.parent
    )
    assert ast.literal_eval(loaded.stdout) == ["service", "skillrank"]


def test_tracking_through_skillrank_loads_no_model_and_no_web_framework(tmp_path: Path) -> None:
    program = (
        f"import sys, skillrank; s = skillrank.SkillMetricsStore({str(tmp_path / 'metrics.db')!r}); "
        "s.track_invocation('lint')(); s.close(); print(sorted({'torch', 'onnxruntime', 'litestar'} & {*sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SOURCE.parent
    )
    assert ast.literal_eval(loaded.stdout) == []


@pytest.mark.parametrize("name", skillrank.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(skillrank, name) is not None
    assert name in dir(skillrank)


def test_type_checkers_see_the_names_that_programs_get() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared.keys() | {"__version__"} == set(skillrank.__all__)
    assert declared == skillrank._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = skillrank.nothing


def test_the_version_is_the_same_in_process_on_the_command_line_and_over_http(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "service", "--version"], capture_output=True, text=True, check=True, cwd=SOURCE.parent
    )
    openapi = create_app(Settings(data_dir=tmp_path, model="hashing")).openapi_schema
    assert (skillrank.__version__, shown.stdout, openapi.info.version) == (VERSION, f"skillrank {VERSION}\n", VERSION)


def test_a_search_in_process_is_recorded_and_leads_to_its_invocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SKILLRANK_MODEL", "hashing")
    data, skills = tmp_path / "data", tmp_path / "skills"
    for name, text in {"find-flaky-tests": "Find why tests fail at random.", "plan-meals": "Plan meals."}.items():
        (skills / name).mkdir(parents=True)
        (skills / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {text}\n---\n{text}\n", "utf-8")
    command = [sys.executable, "-m", "service", "index", str(skills), "--data-dir", str(data)]
    subprocess.run(command, check=True, capture_output=True, cwd=SOURCE.parent)
    answer = skillrank.search("my tests fail at random", data_dir=data, limit=1, session_id="s")
    assert [result.skill_name for result in answer.results] == ["find-flaky-tests"]
    with skillrank.open_search(data) as searching:
        again = searching.answer(skillrank.SearchRequest(query="tests", session_id="s"))
    assert answer.search_id != again.search_id
    store = skillrank.SkillMetricsStore(data / "skillrank.db")
    handle = store.track_invocation("find-flaky-tests", search_id=answer.search_id)
    assert store.store.invocation(handle.invocation_id).selection_rank in {None, 1}
    store.close()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limits": 3}, {"session_id": ""}])
def test_a_request_that_cannot_be_made_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(skillrank.InvalidRecord):
        skillrank.search("tests", data_dir=tmp_path, **wrong)
