"""The names of migration files are a contract."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from migrations import MigrationRunner, SchemaMismatch
from migrations.files import SQLITE_MIGRATIONS, read_migrations

FORWARD = re.compile(r"V([1-9]\d*)__[a-z0-9]+(_[a-z0-9]+)*\.sql")


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("SELECT 1;")
    return folder


def pair(name: str) -> tuple[str, str]:
    return f"{name}.sql", f"{name}.rollback.sql"


def test_every_file_of_this_release_is_a_version_or_its_rollback() -> None:
    names = {path.name for path in SQLITE_MIGRATIONS.iterdir()}
    forward = {name for name in names if FORWARD.fullmatch(name)}
    assert names == forward | {name.replace(".sql", ".rollback.sql") for name in forward}


def test_the_versions_of_this_release_are_consecutive_from_one() -> None:
    versions = [migration.version for migration in read_migrations(SQLITE_MIGRATIONS)]
    assert versions == list(range(1, len(versions) + 1))
    assert versions[:2] == [1, 2]


def test_the_first_two_versions_are_those_of_the_specification() -> None:
    assert (SQLITE_MIGRATIONS / "V1__initial_schema.sql").is_file()
    assert (SQLITE_MIGRATIONS / "V2__add_percentile_fields.sql").is_file()


def test_a_migration_is_read_with_its_words_sql_and_checksum(tmp_path: Path) -> None:
    (tmp_path / "V1__add_some_words.sql").write_bytes(b"SELECT 'up';")
    (tmp_path / "V1__add_some_words.rollback.sql").write_bytes(b"SELECT 'down';")
    (migration,) = read_migrations(tmp_path)
    assert (migration.version, migration.description) == (1, "add some words")
    assert (migration.forward_sql, migration.rollback_sql) == ("SELECT 'up';", "SELECT 'down';")
    assert migration.checksum == hashlib.sha256(b"SELECT 'up';").hexdigest()


def test_versions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(1, 12):
        write(tmp_path, *pair(f"V{number}__step"))
    assert [migration.version for migration in read_migrations(tmp_path)] == list(range(1, 12))


@pytest.mark.parametrize("kind", ["empty", "missing", "a file"])
def test_a_folder_that_gives_no_migrations_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "empty":
        folder.mkdir()
    elif kind == "a file":
        folder.write_text("SELECT 1;", "utf-8")
    with pytest.raises(SchemaMismatch, match="folder"):
        read_migrations(folder)


def test_a_runner_without_migrations_does_not_look_like_success(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="there is no folder"):
        MigrationRunner(tmp_path / "new.db", "/no/such/folder").run_migrations()
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    "name", ["V1_words", "v1__words", "V0__words", "V01__words", "V1__Words", "V1__", "V1__a__b", "V1__a-b", "1__words"]
)
def test_a_name_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, *pair(name))
    with pytest.raises(SchemaMismatch, match="must look like"):
        read_migrations(tmp_path)


def test_a_version_without_its_rollback_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "V1__words.sql")
    with pytest.raises(SchemaMismatch, match=r"V1__words\.rollback\.sql") as refused:
        read_migrations(tmp_path)
    assert refused.value.version == 1


@pytest.mark.parametrize("names", [("V1__a", "V3__c"), ("V2__b",), ("V1__a", "V1__b")], ids=["gap", "no V1", "twice"])
def test_versions_that_are_not_consecutive_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write(tmp_path, *pair(name))
    with pytest.raises(SchemaMismatch, match="consecutive"):
        read_migrations(tmp_path)
