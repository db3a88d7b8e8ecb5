"""The service in process, with a small library and the hashing encoder, which needs no model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from indexer.run import run_index
from service.app import create_app
from service.search.encoders import Encoders
from service.settings import Settings
from store.sqlite import open_store

LIBRARY = {
    "fix-types": "Mend mypy type errors in Python code",
    "plan-dinners": "Plan meals for a week and write the shopping list",
    "tune-queries": "Make slow SQL database queries fast",
    "index-advisor": "Find the missing index that makes slow SQL database queries fast",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    for name, says in LIBRARY.items():
        (folder / name).mkdir(parents=True)
        text = f"---\nname: {name}\ndescription: {says}\nmetadata:\n  category: demo\n---\n# {name}\n\n{says}.\n"
        (folder / name / "SKILL.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(tmp_path: Path, migrated_file: Path) -> Settings:
    found = Settings(data_dir=tmp_path / "data", model="hashing")
    found.data_dir.mkdir()
    shutil.copyfile(migrated_file, found.database)
    return found


@pytest.fixture
def client(settings: Settings, root: Path) -> Iterator[TestClient[Any]]:
    """A client of a service whose library is indexed."""
    store = open_store(settings.database)
    run_index(store, Encoders(settings.model, settings.models_dir), [root])
    store.close()
    with TestClient(create_app(settings)) as ready:
        yield ready
