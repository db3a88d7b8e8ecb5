from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from indexer.opening import MAX_DEPTH, NotOpened, TooLarge, files_below, opened_folder, read_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "notes.md").write_text("notes")
    (inside / "sub" / "more.md").write_text("more")
    return inside


def read(folder: Path, path: str, *, limit_bytes: int = 100, hidden: bool = False) -> str:
    with opened_folder(str(folder)) as opened:
        return read_below(opened, str(folder), path, limit_bytes=limit_bytes, hidden=hidden).decode()


def listed(folder: Path, limit: int = 500) -> list[str]:
    with opened_folder(str(folder)) as opened:
        return files_below(opened, str(folder), limit=limit)


class TestReading:
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("notes.md", "notes"),
            ("./notes.md", "notes"),
            ("sub/more.md", "more"),
            ("sub//more.md", "more"),
            ("sub/../notes.md", "notes"),
        ],
    )
    def test_files_inside_are_read(self, folder: Path, path: str, text: str) -> None:
        assert read(folder, path) == text

    @pytest.mark.parametrize(
        "path",
        [
            "",
            ".",
            "..",
            "sub",
            "absent",
            "notes.md/x",
            "../outside/secret",
            "sub/../../outside/secret",
            "\0",
            "x" * 300,
            "x/" * 3_000,
            "\ud800",
        ],
    )
    def test_what_is_no_file_inside_is_missing(self, folder: Path, path: str) -> None:
        with pytest.raises(NotOpened) as raised:
            read(folder, path)
        assert raised.value.missing

    @pytest.mark.parametrize("target", ["sub/more.md", "./sub/../sub/more.md", "{}/sub/more.md"])
    def test_links_that_stay_inside_are_followed(self, folder: Path, target: str) -> None:
        (folder / "link").symlink_to(target.format(folder))
        assert read(folder, "link") == "more"

    def test_linked_folders_that_stay_inside_are_followed(self, folder: Path) -> None:
        (folder / "sub" / "up").symlink_to("..")
        assert read(folder, "sub/up/sub/more.md") == "more"

    @pytest.mark.parametrize(
        "target", ["../outside/secret", "{}/outside/secret", "sub/../../outside/secret", "/etc/passwd"]
    )
    def test_links_that_lead_out_are_not_followed(self, folder: Path, target: str) -> None:
        (folder / "link").symlink_to(target.format(folder.parent))
        with pytest.raises(NotOpened, match="leads out") as raised:
            read(folder, "link")
        assert raised.value.missing

    def test_linked_folders_that_lead_out_are_not_followed(self, folder: Path) -> None:
        (folder / "link").symlink_to("../outside")
        with pytest.raises(NotOpened, match="leads out"):
            read(folder, "link/secret")

    def test_links_in_a_loop_are_missing(self, folder: Path) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        with pytest.raises(NotOpened, match="loop") as raised:
            read(folder, "a")
        assert raised.value.missing

    @pytest.mark.parametrize(
        "path", [".env", ".git/config", "sub/.env", "to-env", "\u200b.env", "CVS/Root", "sub/../.env"]
    )
    def test_hidden_files_and_version_control_are_missing(self, folder: Path, path: str) -> None:
        for name in (".env", ".git/config", "sub/.env", "\u200b.env", "CVS/Root"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("secret")
        (folder / "to-env").symlink_to(".env")
        with pytest.raises(NotOpened, match="hidden") as raised:
            read(folder, path)
        assert raised.value.missing

    def test_hidden_folders_may_be_passed_through_when_asked_for(self, folder: Path) -> None:
        (folder / ".claude").mkdir()
        (folder / ".claude" / "SKILL.md").write_text("skill")
        assert read(folder, ".claude/SKILL.md", hidden=True) == "skill"

    @pytest.mark.parametrize("path", [".git/config", ".claude/.env"])
    def test_version_control_and_hidden_files_stay_missing_all_the_same(self, folder: Path, path: str) -> None:
        (folder / path).parent.mkdir()
        (folder / path).write_text("secret")
        with pytest.raises(NotOpened, match="hidden"):
            read(folder, path, hidden=True)

    def test_a_fifo_is_refused_without_waiting(self, folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        with pytest.raises(NotOpened, match="not a regular file"):
            read(folder, "fifo")

    def test_a_file_above_the_limit_is_too_large(self, folder: Path) -> None:
        assert read(folder, "notes.md", limit_bytes=5) == "notes"
        with pytest.raises(TooLarge) as raised:
            read(folder, "notes.md", limit_bytes=4)
        assert raised.value.size_bytes == 5

    def test_a_folder_that_was_replaced_by_a_link_is_refused(self, folder: Path) -> None:
        folder.rename(folder.with_name("moved"))
        folder.symlink_to("outside")
        with pytest.raises(NotOpened, match="'inside' was replaced by a link"):
            read(folder, "secret")

    def test_a_folder_above_that_was_replaced_by_a_link_is_refused(self, folder: Path) -> None:
        folder.rename(folder.parent / "outside" / "sub")
        folder.symlink_to("outside")
        with pytest.raises(NotOpened, match="replaced by a link"):
            read(folder / "sub", "notes.md")

    def test_descriptors_do_not_leak(self, folder: Path) -> None:
        (folder / "link").symlink_to("../outside/secret")
        (folder / "loop").symlink_to("loop")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for path in ("sub/more.md", "sub/../notes.md", "link", "loop", "absent", "sub/absent", "sub"):
            try:
                read(folder, path)
            except NotOpened:
                continue
        listed(folder)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_a_link_that_is_swapped_while_it_is_read_never_leaks(self, folder: Path) -> None:
        stop = threading.Event()

        def swap() -> None:
            while not stop.is_set():
                for target in ("notes.md", "../outside/secret"):
                    (folder / "new").symlink_to(target)
                    (folder / "new").replace(folder / "swapped")
                (folder / "sub").rename(folder / "away")
                (folder / "sub").symlink_to("../outside")
                (folder / "sub").unlink()
                (folder / "away").rename(folder / "sub")

        swapping = threading.Thread(target=swap)
        swapping.start()
        seen = set()
        try:
            for _ in range(3_000):
                for path in ("swapped", "sub/secret"):
                    try:
                        seen.add(read(folder, path))
                    except NotOpened:
                        continue
        finally:
            stop.set()
            swapping.join()
        assert seen <= {"notes"}


class TestListing:
    def test_files_are_listed_in_the_order_of_their_names(self, folder: Path) -> None:
        (folder / "sub" / "a.md").touch()
        (folder / "zz.md").touch()
        assert listed(folder) == ["notes.md", "sub/a.md", "sub/more.md", "zz.md"]

    def test_hidden_files_links_that_lead_out_and_names_that_are_no_text_are_not_listed(self, folder: Path) -> None:
        (folder / ".env").touch()
        (folder / ".git").mkdir()
        (folder / ".git" / "config").touch()
        (folder / "out").symlink_to("../outside/secret")
        (folder / "folder").symlink_to("../outside")
        (folder / "in").symlink_to("notes.md")
        (folder / "to-env").symlink_to(".env")
        os.mkfifo(folder / "fifo")
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
        assert listed(folder) == ["in", "notes.md", "sub/more.md"]

    def test_node_modules_are_not_hidden(self, folder: Path) -> None:
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "x.js").touch()
        assert "node_modules/x.js" in listed(folder)

    def test_no_more_files_are_listed_than_asked_for(self, folder: Path) -> None:
        for i in range(30):
            (folder / f"f{i:02}").touch()
        assert listed(folder, limit=3) == ["f00", "f01", "f02"]

    def test_very_deep_folders_end_the_listing_not_the_program(self, folder: Path) -> None:
        deep = folder
        for _ in range(MAX_DEPTH + 10):
            deep /= "d"
            deep.mkdir()
        (deep / "file").touch()
        assert listed(folder) == ["notes.md", "sub/more.md"]
