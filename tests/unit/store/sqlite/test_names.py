"""How names are resolved cheaply, and what was indexed by an earlier release is brought up to date."""

from __future__ import annotations

import unicodedata
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest

from migrations import MigrationRunner
from store.contract.catalogue import Chunk, DocumentWrite
from store.contract.tracking import NewInvocation
from store.names import fold_name, path_parts
from store.sqlite import SqliteStore, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def write(store: SqliteStore, name: str, body: str = "words") -> int:
    return store.write_document(
        DocumentWrite(
            skill_name=name,
            declared_name=name,
            category=None,
            description="",
            body=body,
            document_path=f"/skills/folder of {name}/SKILL.md",
            root="/skills",
            content_hash=name,
            size_bytes=1,
            chunks=[Chunk(ordinal=0, kind="summary", heading="", text="", span_start=0, span_end=0)],
            vector=np.array([1.0, 0.0], dtype=np.float32),
        ),
        store.open_generation("m", 2, 1).generation,
    )


def downgrade(path: Path, *texts: tuple[str, int]) -> None:
    """Leave what the release before V9 would have left: no aliases, and texts as they were written."""
    runner = MigrationRunner(path)
    while runner.current_version() >= 9:
        runner.rollback_migration(runner.current_version())
    with closing(apsw.Connection(str(path))) as connection:
        for text, row_id in texts:
            connection.execute("UPDATE skill_fts SET body = ? WHERE rowid = ?", (text, row_id))


def test_what_an_earlier_release_indexed_is_found_by_every_form_of_its_name_and_words(path: Path) -> None:
    with closing(open_store(path)) as store:
        lint, pdf = write(store, "lint"), write(store, "pdf")
        store.remove_document(write(store, "removed"))
    downgrade(path, ("ｌｉｎｔｅｒ", lint), (unicodedata.normalize("NFD", "한국어"), pdf))
    for _ in range(2):
        with closing(open_store(path)) as store:
            for given in ("LINT", "folder of lint", "plugin:lint"):
                assert store.start_invocation(NewInvocation(skill_name=given)).skill_name == "lint"
            assert [each.skill_name for each in store.candidates("linter", None, depth=5)] == ["lint"]
            assert [each.skill_name for each in store.candidates("한국어", None, depth=5)] == ["pdf"]
            assert store.check() == []


def test_opening_waits_for_no_lock_when_there_is_nothing_to_bring_up_to_date(path: Path) -> None:
    with closing(open_store(path)) as store:
        write(store, "lint")
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(open_store(path)) as store:
            assert store.skill("lint").skill_name == "lint"


@pytest.mark.parametrize(("given", "most"), [("lint", 1), ("LINT", 3), ("nobody", 2)])
def test_resolving_a_name_costs_few_statements(path: Path, given: str, most: int) -> None:
    statements: list[str] = []

    def note(_: apsw.Cursor, sql: str, __: object) -> bool:
        statements.append(sql)
        return True

    with closing(open_store(path)) as store:
        write(store, "lint")
        store._db.write("trace", lambda connection: connection.set_exec_trace(note))
        store.start_invocation(NewInvocation(skill_name=given))
        store._db.write("trace", lambda connection: connection.set_exec_trace(None))
    looked_up = [sql for sql in statements if "FROM skill" in sql]
    assert 1 <= len(looked_up) <= most


@pytest.mark.parametrize(
    "name",
    ["Fix-Types", "fix types", "FIX_TYPES", "ｆｉｘ－ｔｙｐｅｓ", "fix\u200b-types", " fix -- types_", "ﬁx-types"],
)
def test_spellings_of_one_name_fold_to_one_text(name: str) -> None:
    assert fold_name(name) == "fix-types"


def test_folding_is_idempotent_for_every_character() -> None:
    for code in range(0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            folded = fold_name(f"a{chr(code)}b")
            assert fold_name(folded) == folded, hex(code)


def test_paths_of_any_system_are_taken_apart() -> None:
    assert path_parts("/a/./b/../c//") == ("/", "a", "c")
    assert path_parts("C:\\Work\\App") == path_parts("c:/work/app/")
    assert path_parts("../..") == ()
