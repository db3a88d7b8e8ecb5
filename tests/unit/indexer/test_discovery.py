from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.discovery import Found, RootNotFound, Unreadable, find_documents


def put(folder: Path, name: str = "SKILL.md") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / name
    document.write_text("---\nname: x\n---\n")
    return document


def found(*roots: Path) -> list[str]:
    items = list(find_documents(roots))
    assert [item for item in items if isinstance(item, Unreadable)] == []
    return [item.path for item in items]


def unreadable(*roots: Path) -> list[Unreadable]:
    return [item for item in find_documents(roots) if isinstance(item, Unreadable)]


@pytest.mark.parametrize("name", ["SKILL.md", "skill.md", "Skill.MD"])
def test_finds_a_document_in_any_case(tmp_path: Path, name: str) -> None:
    document = put(tmp_path / "a", name)
    assert found(tmp_path) == [str(document)]


def test_other_markdown_files_are_not_documents(tmp_path: Path) -> None:
    put(tmp_path / "a", "README.md")
    put(tmp_path / "a", "MY-SKILL.md")
    assert found(tmp_path) == []


def test_gives_each_document_the_root_it_was_found_below(tmp_path: Path) -> None:
    put(tmp_path / "one" / "a")
    put(tmp_path / "two" / "b")
    items = list(find_documents([tmp_path / "two", tmp_path / "one"]))
    assert [item.root for item in items] == [str(tmp_path / "two"), str(tmp_path / "one")]


def test_order_is_by_name_with_a_folders_own_document_first(tmp_path: Path) -> None:
    expected = [put(tmp_path / "a"), put(tmp_path / "a" / "B"), put(tmp_path / "a" / "c"), put(tmp_path / "b")]
    assert found(tmp_path) == [str(path) for path in expected]


def test_roots_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = put(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert found(Path("a")) == [str(document)]


def test_hidden_folders_are_walked(tmp_path: Path) -> None:
    document = put(tmp_path / ".claude" / "skills" / "a")
    assert found(tmp_path) == [str(document)]


@pytest.mark.parametrize("folder", [".git", "node_modules", "__pycache__", ".venv"])
def test_folders_that_tools_fill_are_skipped(tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder / "a")
    assert found(tmp_path) == []


def test_a_virtual_environment_of_any_name_is_skipped(tmp_path: Path) -> None:
    put(tmp_path / "env" / "a")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert found(tmp_path) == []


def test_a_skipped_folder_is_walked_when_it_is_the_root(tmp_path: Path) -> None:
    document = put(tmp_path / "node_modules" / "a")
    assert found(tmp_path / "node_modules") == [str(document)]


def test_a_document_can_be_a_root(tmp_path: Path) -> None:
    document = put(tmp_path / "a")
    put(tmp_path / "a" / "b")
    assert list(find_documents([document])) == [Found(path=str(document), root=str(document))]


def test_of_overlapping_roots_the_first_has_the_document(tmp_path: Path) -> None:
    inner = put(tmp_path / "inner" / "a")
    outer = put(tmp_path / "outer")
    items = list(find_documents([tmp_path / "inner", tmp_path]))
    assert items == [
        Found(path=str(inner), root=str(tmp_path / "inner")),
        Found(path=str(outer), root=str(tmp_path)),
    ]


def test_a_document_that_is_a_root_is_not_found_again_below_its_folder(tmp_path: Path) -> None:
    document = put(tmp_path / "a")
    assert found(document, tmp_path) == [str(document)]


def test_the_same_root_twice_finds_documents_once(tmp_path: Path) -> None:
    document = put(tmp_path / "a")
    assert found(tmp_path, tmp_path) == [str(document)]


def test_links_to_folders_are_followed_to_the_real_path(tmp_path: Path) -> None:
    document = put(tmp_path / "elsewhere" / "a")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "root") == [str(document)]


def test_a_document_reached_by_two_ways_is_found_once(tmp_path: Path) -> None:
    document = put(tmp_path / "b")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "SKILL.md").symlink_to(document)
    assert found(tmp_path) == [str(document)]


def test_links_that_form_a_loop_end(tmp_path: Path) -> None:
    document = put(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    assert found(tmp_path) == [str(document)]


def test_a_document_that_links_to_itself_is_reported(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").symlink_to("SKILL.md")
    assert [item.path for item in unreadable(tmp_path)] == [str(tmp_path / "SKILL.md")]


def test_a_document_that_is_a_broken_link_is_reported(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").symlink_to(tmp_path / "gone")
    assert [item.reason for item in unreadable(tmp_path)] == ["no such file or directory"]


def test_a_fifo_named_like_a_document_is_reported_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "SKILL.md")
    assert [item.reason for item in unreadable(tmp_path)] == ["it is not a regular file"]


def test_a_folder_named_like_a_document_is_walked(tmp_path: Path) -> None:
    document = put(tmp_path / "SKILL.md" / "a")
    assert found(tmp_path) == [str(document)]


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "closed")
    document = put(tmp_path / "open")
    scandir = os.scandir

    def refusing(folder: str) -> Any:
        if folder == str(tmp_path / "closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list(find_documents([tmp_path])) == [
        Unreadable(path=str(tmp_path / "closed"), root=str(tmp_path), reason="permission denied"),
        Found(path=str(document), root=str(tmp_path)),
    ]


def test_a_path_that_is_not_text_is_reported_in_a_form_that_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)  # noqa: PTH102  a name of bytes
    except OSError:
        pytest.skip("this file system takes only text as names")
    Path(os.fsdecode(folder + b"/SKILL.md")).touch()
    assert [item.path for item in unreadable(tmp_path)] == [f"{tmp_path}/caf\\udce9/SKILL.md"]


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder far deeper than Python's recursion limit."""
    folders = [tmp_path]
    while len(folders) < 1_300:
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    yield folders[-1]
    for folder in reversed(folders[1:]):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_very_deep_tree_is_walked(tmp_path: Path, deep_folder: Path) -> None:
    document = put(deep_folder)
    assert found(tmp_path) == [str(document)]


def test_documents_come_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = put(tmp_path / "a")
    put(tmp_path / "b")
    listed: list[str] = []
    scandir = os.scandir

    def listing(folder: str) -> Any:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", listing)
    assert next(find_documents([tmp_path])) == Found(path=str(first), root=str(tmp_path))
    assert str(tmp_path / "b") not in listed


def test_a_missing_root_is_an_error_before_anything_is_walked(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(RootNotFound, match="no such file or directory") as raised:
        find_documents([tmp_path, tmp_path / "gone"])
    assert raised.value.root == str(tmp_path / "gone")


def test_a_root_that_is_another_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RootNotFound, match="neither a folder nor a file named SKILL"):
        find_documents([put(tmp_path, "notes.md")])


def test_a_root_that_no_path_can_be_is_an_error() -> None:
    with pytest.raises(RootNotFound):
        find_documents([Path("a\0b")])
