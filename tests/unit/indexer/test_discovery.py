from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.discovery import Found, RootNotFound, Unreadable, find_documents, root_is_gone, root_problem


def put(folder: Path, name: str = "SKILL.md") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / name
    document.write_text("---\nname: x\n---\n")
    return document


def found(*roots: Path) -> list[str]:
    items = list(find_documents(roots))
    assert [item for item in items if isinstance(item, Unreadable)] == []
    return [item.path for item in items]


def places(*roots: Path) -> list[tuple[str, str]]:
    return [(item.path, item.root) for item in find_documents(roots)]


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
    assert places(document) == [(str(document), str(document))]


def test_of_overlapping_roots_the_first_has_the_document(tmp_path: Path) -> None:
    inner = put(tmp_path / "inner" / "a")
    outer = put(tmp_path / "outer")
    assert places(tmp_path / "inner", tmp_path) == [
        (str(inner), str(tmp_path / "inner")),
        (str(outer), str(tmp_path)),
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
    closed, opened = find_documents([tmp_path])
    assert closed == Unreadable(path=str(tmp_path / "closed"), root=str(tmp_path), reason="permission denied")
    assert opened.path == str(document)


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
    assert next(find_documents([tmp_path])).path == str(first)
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


# --- links -----------------------------------------------------------------------------------------------------


def reports(*roots: Path) -> dict[str, tuple[str | None, str]]:
    return {item.path: (item.target, item.reason) for item in unreadable(*roots)}


def test_a_document_that_links_out_of_its_root_is_reported_with_link_and_target(tmp_path: Path) -> None:
    secret = tmp_path / "etc" / "shadow"
    secret.parent.mkdir()
    secret.write_text("secret")
    link = tmp_path / "root" / "x" / "SKILL.md"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../etc/shadow")
    assert list(find_documents([tmp_path / "root"])) == unreadable(tmp_path / "root")
    assert reports(tmp_path / "root") == {
        str(link): (str(secret), "the link leads out of the root, so it is not read"),
    }


def test_a_document_that_links_to_another_skill_out_of_its_root_is_reported(tmp_path: Path) -> None:
    outside = put(tmp_path / "elsewhere")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "SKILL.md").symlink_to(outside)
    assert list(reports(tmp_path / "root")) == [str(tmp_path / "root" / "SKILL.md")]


def test_a_document_may_link_to_a_file_of_another_name_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("text")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "SKILL.md").symlink_to("../README.md")
    (item,) = find_documents([tmp_path])
    assert isinstance(item, Found)
    # Its folder stays the one that was found: nothing beside the target belongs to the skill.
    assert (item.path, item.target) == (str(tmp_path / "a" / "SKILL.md"), str(tmp_path / "README.md"))


def test_a_document_in_a_linked_folder_may_link_within_that_folder_only(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "skill"
    put(outside / "real")
    (outside / "a").mkdir()
    (outside / "a" / "SKILL.md").symlink_to("../real/SKILL.md")
    (outside / "b").mkdir()
    (outside / "b" / "SKILL.md").symlink_to(put(tmp_path / "other"))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(outside)
    assert [item.path for item in find_documents([tmp_path / "root"]) if isinstance(item, Found)] == [
        str(outside / "real" / "SKILL.md")
    ]
    assert list(reports(tmp_path / "root")) == [str(outside / "b" / "SKILL.md")]


def test_a_broken_link_is_named_with_its_target(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "SKILL.md").symlink_to("/nonexistent/elsewhere")
    assert reports(tmp_path) == {
        str(tmp_path / "mine" / "SKILL.md"): ("/nonexistent/elsewhere", "no such file or directory")
    }


def test_a_link_to_a_device_is_named_with_its_target(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").symlink_to("/dev/zero")
    assert reports(tmp_path) == {str(tmp_path / "SKILL.md"): ("/dev/zero", "it is not a regular file")}


@pytest.mark.parametrize("where", ["skills", "skills/one"])
def test_a_link_to_the_top_of_the_disk_is_never_walked(tmp_path: Path, where: str) -> None:
    document = put(tmp_path / "skills" / "one")
    (tmp_path / where / "zz").symlink_to("/")
    items = list(find_documents([tmp_path / "skills"]))
    assert [item.path for item in items if isinstance(item, Found)] == [str(document)]
    # Inside a skill a link is the skill's own affair; anywhere else it might have led to skills.
    assert len(items) == (1 if where == "skills/one" else 2)


def test_a_link_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = put(tmp_path / "zz")
    (tmp_path / "cwd").symlink_to(tmp_path / "zz")
    readlink, stat = os.readlink, Path.stat

    def refusing(path: Any, **options: Any) -> Any:
        if str(path).endswith("cwd"):
            raise PermissionError(13, "Permission denied")
        return readlink(path, **options)

    def refusing_too(path: Path, **options: bool) -> os.stat_result:
        if path.name == "cwd":
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "readlink", refusing)
    monkeypatch.setattr(Path, "stat", refusing_too)
    assert reports(tmp_path) == {str(tmp_path / "cwd"): (None, "permission denied")}
    assert document.exists()


def test_a_link_to_a_folder_above_the_root_is_reported(tmp_path: Path) -> None:
    put(tmp_path / "other")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "up").symlink_to("..")
    assert reports(tmp_path / "root") == {
        str(tmp_path / "root" / "up"): (
            str(tmp_path),
            "the link leads to a folder that contains the root, so it is not followed",
        )
    }


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_link_to_processes_is_reported_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert reports(tmp_path) == {
        str(tmp_path / "link"): ("/proc", "the link leads to the system's own files, so it is not followed")
    }


def test_a_link_out_of_a_linked_folder_is_reported_and_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "third")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "on").symlink_to(tmp_path / "third")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "second")
    assert list(find_documents([tmp_path / "root"])) == unreadable(tmp_path / "root")
    assert list(reports(tmp_path / "root")) == [str(tmp_path / "second" / "on")]


def test_a_linked_folder_with_very_many_folders_is_left_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.discovery.MAX_LINKED_FOLDERS", 10)
    for number in range(20):
        put(tmp_path / "many" / f"skill-{number:02}")
    own = put(tmp_path / "root" / "zz")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "many")
    items = list(find_documents([tmp_path / "root"]))
    assert [item.path for item in items if isinstance(item, Unreadable)] == [str(tmp_path / "many")]
    assert items[-1].path == str(own)
    assert len(items) == 9 + 1 + 1


def test_a_search_can_be_stopped_where_there_are_no_documents(tmp_path: Path) -> None:
    put(tmp_path / "zz")
    for number in range(20):
        (tmp_path / f"folder-{number}").mkdir()
    asked = iter([False] * 5)
    assert list(find_documents([tmp_path], should_stop=lambda: next(asked, True))) == []


# --- stamps ----------------------------------------------------------------------------------------------------


def stamp(root: Path) -> str:
    (item,) = find_documents([root])
    assert isinstance(item, Found)
    return item.stamp


def test_a_stamp_stays_while_nothing_is_written(tmp_path: Path) -> None:
    put(tmp_path)
    assert stamp(tmp_path) == stamp(tmp_path)


def test_an_edit_that_keeps_size_and_time_changes_the_stamp(tmp_path: Path) -> None:
    document = put(tmp_path)
    before, status = stamp(tmp_path), document.stat()
    time.sleep(0.02)
    document.write_text("---\nname: y\n---\n")
    os.utime(document, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp(tmp_path) != before


# --- skills without a folder of their own ----------------------------------------------------------------------


def flat_names(root: Path) -> list[str | None]:
    return [item.flat_name for item in find_documents([root]) if isinstance(item, Found)]


def test_markdown_files_directly_in_claude_skills_are_documents(tmp_path: Path) -> None:
    folder = tmp_path / ".claude" / "skills"
    put(folder, "review.md")
    put(folder, "Deploy.MD")
    put(folder / "folded")
    put(folder / "folded", "reference.md")
    assert flat_names(tmp_path) == ["Deploy", "review", None]


@pytest.mark.parametrize("name", ["README.md", "AGENTS.md", "CLAUDE.md", "changelog.md", ".hidden.md", "notes.txt"])
def test_files_that_describe_a_folder_are_no_skills(tmp_path: Path, name: str) -> None:
    put(tmp_path / ".claude" / "skills", name)
    put(tmp_path / ".claude" / "commands", name)
    assert found(tmp_path) == []


def test_commands_are_named_by_their_folders_and_files(tmp_path: Path) -> None:
    folder = tmp_path / ".claude" / "commands"
    put(folder, "deploy.md")
    put(folder / "git", "commit.md")
    put(folder / "git" / "flow", "start.md")
    assert flat_names(tmp_path) == ["deploy", "git:commit", "git:flow:start"]


@pytest.mark.parametrize("root", [".claude/commands", ".claude/commands/git", ".claude"])
def test_commands_have_the_same_names_whatever_the_root(tmp_path: Path, root: str) -> None:
    put(tmp_path / ".claude" / "commands" / "git", "commit.md")
    assert flat_names(tmp_path / root) == ["git:commit"]


def test_commands_behind_a_link_are_commands(tmp_path: Path) -> None:
    put(tmp_path / "dotfiles" / "commands" / "git", "commit.md")
    (tmp_path / "home" / ".claude").mkdir(parents=True)
    (tmp_path / "home" / ".claude" / "commands").symlink_to(tmp_path / "dotfiles" / "commands")
    assert flat_names(tmp_path / "home") == ["git:commit"]


@pytest.mark.parametrize("folder", ["skills", "commands", "docs/skills", ".codex/skills", ".claude/agents"])
def test_markdown_files_of_other_folders_are_no_skills(tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder, "review.md")
    assert found(tmp_path) == []


# --- roots that cannot be walked -------------------------------------------------------------------------------


def test_a_root_is_gone_only_when_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert root_is_gone(tmp_path / "gone")
    assert root_is_gone(put(tmp_path) / "below a file")
    assert not root_is_gone(tmp_path)
    assert not root_is_gone(tmp_path / "loop")


@pytest.mark.parametrize("path", ["loop", "a\0b", "x" * 5_000])
def test_a_root_that_cannot_be_looked_at_is_an_error_and_no_traceback(tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert root_problem(tmp_path / path)
    with pytest.raises(RootNotFound):
        find_documents([tmp_path / path])
