"""What is built contains everything that an installed skillrank needs, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from service import VERSION

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def builder() -> WheelBuilder:
    return WheelBuilder(str(REPOSITORY))


@pytest.fixture(scope="module")
def files(builder: WheelBuilder) -> set[str]:
    return {Path(each.distribution_path).as_posix() for each in builder.recurse_included_files()}


def in_repository(*patterns: str) -> set[str]:
    found = {path.relative_to(REPOSITORY).as_posix() for each in patterns for path in REPOSITORY.glob(each)}
    assert found
    return found


@pytest.mark.parametrize(
    "patterns",
    [
        ("skillrank.py", "service/**/*.py", "indexer/**/*.py", "embeddings/**/*.py", "store/**/*.py"),
        ("migrations/*.py", "migrations/sqlite/*.sql"),
        ("*/py.typed",),
        ("embeddings/adapters/*/*.json", "embeddings/adapters/*/*.safetensors"),
        ("service/demo/library/**/*.*", "service/demo/queries.txt", "service/demo/history.jsonl"),
    ],
)
def test_the_wheel_has_every_file_that_the_program_reads(files: set[str], patterns: tuple[str, ...]) -> None:
    assert in_repository(*patterns) - files == set()


def test_the_wheel_has_nothing_but_the_program(files: set[str]) -> None:
    tops = {name.split("/")[0] for name in files}
    assert tops == {"skillrank.py", "service", "indexer", "embeddings", "store", "migrations"}
    assert [name for name in files if name.endswith((".pyc", ".db")) or "/." in name] == []


def test_the_version_of_the_wheel_is_the_one_in_the_code(builder: WheelBuilder) -> None:
    assert builder.metadata.version == VERSION


def test_the_version_is_written_once() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert re.findall(r"^version\s*=", text, re.MULTILINE) == []
