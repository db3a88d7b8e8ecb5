"""The watching service ends up with the index that a fresh run makes, whatever happens to the files meanwhile."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.run import run_index
from service.catalogue import watching
from service.catalogue.indexing import Indexing
from service.catalogue.watching import Picture, Watcher, take_picture
from service.search.encoders import Encoders
from store.sqlite import SqliteStore, open_store

CAMPAIGN = os.environ.get("HYPOTHESIS_PROFILE") == "campaign"
SEEDS = range(40) if CAMPAIGN else range(2)
OPERATIONS = 60 if CAMPAIGN else 30
SETTLED_WITHIN_S = 20.0
NAMES = ["alpha", "beta", "next.js", "1.1.0", "d3.js", "Ünïcode", "with space"]

Contents = dict[str, list[str]]


def put(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SKILL.md"
    path.write_text(f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n\nSteps of {says}.\n", encoding="utf-8")
    return path


def eventually(holds: Callable[[], bool], within_s: float = SETTLED_WITHIN_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def contents(store: SqliteStore) -> Contents:
    """Return from the content of each served document to the paths at which it lies."""
    return {state.content_hash: sorted([state.document_path, *state.copies]) for state in store.documents()}


class World:
    """A folder of roots, an index of them, and a service that watches; `fresh` indexes the same anew."""

    def __init__(self, folder: Path, migrated_file: Path) -> None:
        self.folder = folder
        self._migrated = migrated_file
        self.database = folder / "watched.db"
        shutil.copyfile(migrated_file, self.database)
        self.encoders = Encoders("hashing", folder / "models")
        self.store = open_store(self.database)
        self.indexing = Indexing(self.store, self.encoders)

    def watch(self) -> None:
        self.indexing = Indexing(self.store, self.encoders)
        self.indexing.start_watching()

    def descriptions(self) -> dict[str, str | None]:
        return {skill.skill_name: skill.description for skill in self.store.skills()}

    def fresh(self) -> Contents:
        path = self.folder / "fresh.db"
        shutil.copyfile(self._migrated, path)
        roots = [Path(root) for root in self.store.roots() if Path(root).exists()]
        store = open_store(path)
        try:
            if roots:
                run_index(store, self.encoders, roots)
            return contents(store)
        finally:
            store.close()
            path.unlink()

    def settles(self) -> bool:
        """Return whether the index becomes what a fresh one is."""
        expected = self.fresh()
        return eventually(lambda: contents(self.store) == expected)


@pytest.fixture
def world(tmp_path: Path, migrated_file: Path) -> Iterator[World]:
    made = World(tmp_path, migrated_file)
    yield made
    made.indexing.close()
    made.store.close()


@pytest.fixture
def root(world: World, tmp_path: Path) -> Path:
    """An indexed root that is watched."""
    folder = tmp_path / "root"
    put(folder / "alpha", "alpha", "old")
    run_index(world.store, world.encoders, [folder])
    world.watch()
    return folder


def test_what_changed_while_nobody_watched_is_indexed_at_the_start(world: World, tmp_path: Path) -> None:
    put(tmp_path / "root" / "alpha", "alpha", "old")
    run_index(world.store, world.encoders, [tmp_path / "root"])
    put(tmp_path / "root" / "alpha", "alpha", "edited while off")
    put(tmp_path / "root" / "new", "newcomer", "new")
    world.watch()
    assert eventually(lambda: world.descriptions() == {"alpha": "edited while off", "newcomer": "new"})


@pytest.mark.parametrize("name", ["next.js", "1.1.0", "plain"])
def test_a_folder_of_any_name_that_is_moved_in_or_out_is_followed(
    world: World, root: Path, tmp_path: Path, name: str
) -> None:
    put(tmp_path / "aside" / name, "moved", "in")
    (tmp_path / "aside" / name).rename(root / name)
    assert eventually(lambda: world.descriptions() == {"alpha": "old", "moved": "in"})
    (root / name).rename(tmp_path / "aside" / name)
    assert eventually(lambda: world.descriptions() == {"alpha": "old"})


def test_edits_below_a_root_that_was_made_anew_are_indexed(world: World, root: Path) -> None:
    shutil.rmtree(root)
    assert eventually(lambda: world.descriptions() == {})
    put(root / "alpha", "alpha", "again")
    assert eventually(lambda: world.descriptions() == {"alpha": "again"})
    put(root / "alpha", "alpha", "edited")
    assert eventually(lambda: world.descriptions() == {"alpha": "edited"})


@pytest.mark.parametrize("adds", ["this service", "another process"])
def test_a_root_that_is_added_while_watching_is_watched_too(
    world: World, root: Path, tmp_path: Path, adds: str
) -> None:
    del root
    put(tmp_path / "more" / "beta", "beta", "old")
    if adds == "this service":
        assert eventually(lambda: world.indexing.status().running_job is None)
        world.indexing.start([tmp_path / "more"])
    else:
        other = open_store(world.database)
        run_index(other, world.encoders, [tmp_path / "more"])
        other.close()
    assert eventually(lambda: world.descriptions() == {"alpha": "old", "beta": "old"})
    put(tmp_path / "more" / "beta", "beta", "edited")
    assert eventually(lambda: world.descriptions() == {"alpha": "old", "beta": "edited"})


def test_an_edit_that_keeps_size_and_time_is_indexed(world: World, root: Path) -> None:
    document = root / "alpha" / "SKILL.md"
    assert eventually(lambda: world.indexing.status().running_job is None)
    before = document.stat()
    put(root / "alpha", "alpha", "new")
    os.utime(document, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert eventually(lambda: world.descriptions() == {"alpha": "new"})


def test_a_watcher_that_hears_nothing_looks_by_itself(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise OSError("no watches left")

    monkeypatch.setattr(watching.watchfiles, "watch", refusing)
    put(tmp_path / "root" / "alpha", "alpha", "old")
    run_index(world.store, world.encoders, [tmp_path / "root"])
    world.watch()
    put(tmp_path / "root" / "beta", "beta", "new")
    assert eventually(lambda: "beta" in world.descriptions())


def test_a_failing_run_is_tried_again_and_does_not_end_the_watching(tmp_path: Path) -> None:
    put(tmp_path / "alpha", "alpha", "old")
    ran = threading.Event()
    results: Iterator[Picture | Exception | None] = iter([RuntimeError("a fault"), None, take_picture([str(tmp_path)])])

    def run() -> Picture | None:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        if result is not None:
            ran.set()
        return result

    watcher = Watcher(lambda: [str(tmp_path)], run)
    watcher.start()
    try:
        assert ran.wait(10)
    finally:
        watcher.close()


def test_a_root_that_cannot_be_read_ends_neither_the_watching_nor_the_index(
    world: World, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refusing(path: Path, **options: bool) -> os.stat_result:
        if path.is_relative_to(root):
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    with monkeypatch.context() as closed:
        closed.setattr(Path, "stat", refusing)
        time.sleep(2.5)
        assert world.descriptions() == {"alpha": "old"}
    put(root / "beta", "beta", "new")
    assert eventually(lambda: "beta" in world.descriptions())


def test_a_folder_that_comes_during_a_run_and_goes_after_it_is_not_kept(tmp_path: Path) -> None:
    put(tmp_path / "alpha", "alpha", "old")
    runs: list[Picture] = []

    def run() -> Picture:
        if not runs:
            put(tmp_path / "beta", "beta", "brief")
        runs.append(take_picture([str(tmp_path)]))
        if len(runs) == 1:
            shutil.rmtree(tmp_path / "beta")
        return runs[-1]

    watcher = Watcher(lambda: [str(tmp_path)], run)
    watcher.start()
    try:
        assert eventually(lambda: len(runs) == 2)
        time.sleep(1.5)
    finally:
        watcher.close()
    assert len(runs) == 2
    assert not any("beta" in path for path in runs[1])


def test_a_picture_tells_a_root_that_is_gone_from_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert take_picture([str(tmp_path / "empty")]) == {str(tmp_path / "empty"): ""}
    assert take_picture([str(tmp_path / "gone")]) == {str(tmp_path / "gone"): "no such file or directory"}


class Operations:
    """Random changes of a few roots."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.roots = [world.folder / "one", world.folder / "two", world.folder / "deep" / "three"]
        self.aside = world.folder / "aside"
        self.aside.mkdir()
        self.count = 0
        self.numbers = itertools.count()
        self.log: list[str] = []
        self.possible = [
            (6, self.write),
            (4, self.edit_in_place),
            (3, self.edit_and_keep_the_time),
            (3, self.replace),
            (3, self.move),
            (2, self.copy),
            (2, self.remove),
            (1, self.move_out),
            (1, self.move_in),
            (1, self.write_command),
            (1, self.link),
            (1, self.remove_root),
            (1, self.rename_root),
            (1, self.add_root),
            (1, self.restart),
        ]

    def __call__(self) -> None:
        weights, actions = zip(*self.possible, strict=True)
        action = self.random.choices(actions, weights)[0]
        self.count += 1
        self.log.append(action.__name__)
        action()

    def root(self) -> Path:
        return self.random.choice(self.roots)

    def free(self, parent: Path) -> Path:
        return parent / f"{self.random.choice(NAMES)}-{next(self.numbers)}"

    def folders(self) -> list[Path]:
        return sorted(path.parent for root in self.roots for path in root.rglob("SKILL.md"))

    def folder(self) -> Path | None:
        return self.random.choice(self.folders() or [None])  # type: ignore[list-item]

    def text(self) -> str:
        return f"---\nname: {self.random.choice(NAMES)}\ndescription: number {self.count}\n---\n# Title\n"

    def write(self) -> None:
        parent = self.random.choice([self.root(), self.folder() or self.root()])
        folder = self.free(parent)
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(self.text(), encoding="utf-8")

    def edit_in_place(self) -> None:
        if (folder := self.folder()) is not None:
            (folder / "SKILL.md").write_text(self.text(), encoding="utf-8")

    def edit_and_keep_the_time(self) -> None:
        if (folder := self.folder()) is not None:
            document = folder / "SKILL.md"
            before = document.stat()
            text = document.read_text(encoding="utf-8")
            document.write_text(text.replace("number", self.random.choice(["volume", "figure"])), encoding="utf-8")
            os.utime(document, ns=(before.st_atime_ns, before.st_mtime_ns))

    def replace(self) -> None:
        if (folder := self.folder()) is not None:
            (folder / "SKILL.md.new").write_text(self.text(), encoding="utf-8")
            (folder / "SKILL.md.new").replace(folder / "SKILL.md")

    def move(self) -> None:
        if (folder := self.folder()) is not None:
            target = self.free(self.root())
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_relative_to(folder):
                folder.rename(target)

    def copy(self) -> None:
        if (folder := self.folder()) is not None:
            target = self.free(self.root())
            if not target.is_relative_to(folder):
                shutil.copytree(folder, target, symlinks=True)

    def remove(self) -> None:
        if (folder := self.folder()) is not None:
            shutil.rmtree(folder)

    def move_out(self) -> None:
        if (folder := self.folder()) is not None:
            folder.rename(self.aside / f"out-{next(self.numbers)}")

    def move_in(self) -> None:
        if outside := sorted(self.aside.iterdir()):
            root = self.root()
            root.mkdir(parents=True, exist_ok=True)
            self.random.choice(outside).rename(self.free(root))

    def write_command(self) -> None:
        folder = self.root() / ".claude" / "commands" / self.random.choice(["", "git"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.random.choice('abc')}.md").write_text(f"Do number {self.count}.\n", encoding="utf-8")

    def link(self) -> None:
        if outside := sorted(self.aside.iterdir()):
            root = self.root()
            root.mkdir(parents=True, exist_ok=True)
            self.free(root).symlink_to(self.random.choice(outside))

    def remove_root(self) -> None:
        shutil.rmtree(self.root(), ignore_errors=True)

    def rename_root(self) -> None:
        one, other = self.random.sample(self.roots, 2)
        if one.exists():
            shutil.rmtree(other, ignore_errors=True)
            other.parent.mkdir(parents=True, exist_ok=True)
            one.rename(other)

    def add_root(self) -> None:
        root = self.world.folder / f"added-{self.count}"
        put(root / "added", "added", f"root {self.count}")
        other = open_store(self.world.database)
        try:
            run_index(other, self.world.encoders, [root])
        finally:
            other.close()
        self.roots.append(root)

    def restart(self) -> None:
        self.world.indexing.close()
        for _ in range(self.random.randrange(3)):
            self.count += 1
            self.random.choice([self.write, self.edit_in_place, self.move, self.remove, self.remove_root])()
        self.world.watch()


@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_operations_the_index_equals_a_fresh_one(world: World, seed: int) -> None:
    operations = Operations(world, seed)
    for number, folder in enumerate(operations.roots):
        put(folder / "first", f"first-{number}", f"of {folder.name}")
    run_index(world.store, world.encoders, operations.roots)
    world.watch()
    while operations.count < OPERATIONS:
        for _ in range(operations.random.randint(1, 8)):
            operations()
            time.sleep(operations.random.choice([0.0, 0.0, 0.05, 0.3]))
        assert world.settles(), f"after {operations.log}: {contents(world.store)} is not {world.fresh()}"
    world.indexing.close()
    report = run_index(world.store, world.encoders)
    assert (report.added, report.changed, report.removed) == (0, 0, 0)
    assert world.store.check() == []
