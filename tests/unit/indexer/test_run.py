"""What an index run does to the store, and that it does no more than it must."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import msgspec
import pytest

from embeddings.hashing import HashingEncoder
from indexer.chunks import CHUNKS_SCHEMA
from indexer.discovery import Found, RootNotFound
from indexer.document import SkillDocument, parse_document
from indexer.editions import Editions
from indexer.report import IndexReport
from indexer.run import BATCH, run_index
from service.catalogue.staleness import stale_documents
from store.contract.evidence import EvidenceSum
from store.contract.tracking import NewInvocation, NewOutcome
from store.protocol import Store
from store.sqlite import open_store


@dataclass
class CountingSource:
    """A source that counts the documents it is asked to embed."""

    dimension: int = 64
    loaded: int = 0
    encoder: HashingEncoder = field(init=False)

    def __post_init__(self) -> None:
        self.encoder = HashingEncoder(self.dimension)

    @property
    def model_id(self) -> str:
        return self.encoder.model_id

    def load(self) -> HashingEncoder:
        self.loaded += 1
        return self.encoder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "index.db")
    yield opened
    opened.close()


@pytest.fixture
def source() -> CountingSource:
    return CountingSource()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    for name in ("fix-types", "find-flaky-tests", "tune-queries"):
        put(folder / name, name)
    return folder


def put(folder: Path, name: str, says: str = "does useful things") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SKILL.md"
    path.write_text(f"---\nname: {name}\ndescription: {name} {says}\n---\n# {name}\n\nSteps.\n", encoding="utf-8")
    return path


def names(store: Store) -> list[str]:
    return [skill.skill_name for skill in store.skills()]


def tally(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.removed, report.unchanged, report.embedded


def nearest(store: Store, source: CountingSource, query: str) -> str:
    vectors = source.encoder.encode_queries([query])
    found = store.candidates("", vectors, depth=1)
    return found[0].skill_name


def stopped_after_a_batch(store: Store, source: CountingSource, root: Path) -> IndexReport:
    stages: set[str] = set()
    return run_index(
        store,
        source,
        [root],
        on_progress=lambda progress: stages.add(progress.stage),
        should_stop=lambda: "indexing" in stages,
    )


def test_a_first_run_adds_every_document(store: Store, source: CountingSource, root: Path) -> None:
    assert tally(run_index(store, source, [root])) == (3, 0, 0, 0, 3)
    assert names(store) == ["find-flaky-tests", "fix-types", "tune-queries"]


def test_a_run_with_nothing_changed_never_loads_the_model(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    source.loaded = 0
    assert tally(run_index(store, source, [root])) == (0, 0, 0, 3, 0)
    assert source.loaded == 0


def test_only_an_edited_document_is_embedded(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    put(root / "fix-types", "fix-types", "mends annotations")
    assert tally(run_index(store, source, [root])) == (0, 1, 0, 2, 1)
    assert store.skill("fix-types").description == "fix-types mends annotations"
    assert len(store.versions("fix-types")) == 2


def test_a_removed_document_leaves_the_answers_and_keeps_its_history(
    store: Store, source: CountingSource, root: Path
) -> None:
    run_index(store, source, [root])
    store.finish_invocation(
        store.start_invocation(NewInvocation(skill_name="fix-types")).id, NewOutcome(outcome="completed")
    )
    shutil.rmtree(root / "fix-types")
    assert tally(run_index(store, source, [root])) == (0, 0, 1, 2, 0)
    assert "fix-types" not in {c.skill_name for c in store.candidates("fix types", None, depth=10)}
    assert store.skill("fix-types").removed_at is not None
    metrics = store.skill_metrics("fix-types")
    assert metrics is not None
    assert metrics.completed_invocations == 1


def test_a_document_that_comes_back_is_the_same_skill(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    before = store.skill("fix-types").id
    shutil.move(root / "fix-types", root.parent / "aside")
    run_index(store, source, [root])
    shutil.move(root.parent / "aside", root / "fix-types")
    run_index(store, source, [root])
    assert store.skill("fix-types").id == before
    assert store.skill("fix-types").removed_at is None


def test_a_moved_document_keeps_its_name(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    shutil.move(root / "fix-types", root / "python-types")
    report = run_index(store, source, [root])
    assert report.embedded == 0
    assert store.skill("fix-types").document_path == str(root / "python-types" / "SKILL.md")


def test_a_name_that_is_taken_is_qualified_and_reported(store: Store, source: CountingSource, root: Path) -> None:
    put(root / "zz" / "other", "fix-types", "in another way")
    report = run_index(store, source, [root])
    assert [(s.declared_name, s.skill_name) for s in report.shadowed] == [("fix-types", "other:fix-types")]
    assert "other:fix-types" in names(store)


def test_an_exact_copy_is_folded_into_the_first(store: Store, source: CountingSource, root: Path) -> None:
    shutil.copytree(root / "fix-types", root / "zz-copy")
    report = run_index(store, source, [root])
    assert [(c.skill_name, c.path) for c in report.copies] == [("fix-types", str(root / "zz-copy" / "SKILL.md"))]
    assert len(names(store)) == 3
    assert store.skill("fix-types").copies == [str(root / "zz-copy" / "SKILL.md")]


def test_when_the_original_goes_its_copy_takes_over(store: Store, source: CountingSource, root: Path) -> None:
    shutil.copytree(root / "fix-types", root / "zz-copy")
    run_index(store, source, [root])
    shutil.rmtree(root / "fix-types")
    assert tally(run_index(store, source, [root]))[2] == 0
    assert store.skill("fix-types").document_path == str(root / "zz-copy" / "SKILL.md")


def test_one_bad_document_is_reported_and_stops_nothing(store: Store, source: CountingSource, root: Path) -> None:
    bad = put(root / "bad", "bad")
    bad.write_bytes(b"\x00\x01\x02")
    report = run_index(store, source, [root])
    assert [u.path for u in report.unparsable] == [str(bad)]
    assert report.added == 3


def test_a_document_that_becomes_unreadable_is_served_as_it_was(
    store: Store, source: CountingSource, root: Path
) -> None:
    run_index(store, source, [root])
    (root / "fix-types" / "SKILL.md").write_bytes(b"\x00\x01\x02")
    report = run_index(store, source, [root])
    assert report.removed == 0
    assert len(report.unparsable) == 1
    assert "fix-types" in names(store)


def test_documents_of_other_roots_stay(store: Store, source: CountingSource, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    put(other / "cook", "cook")
    run_index(store, source, [root])
    run_index(store, source, [other])
    assert len(names(store)) == 4
    assert store.roots() == [str(root), str(other)]


def test_a_forgotten_root_is_no_longer_served(store: Store, source: CountingSource, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    put(other / "cook", "cook")
    run_index(store, source, [root, other])
    shutil.rmtree(root)
    run_index(store, source, [other], forget=[root])
    assert names(store) == ["cook"]
    assert store.roots() == [str(other)]


def test_a_missing_root_changes_nothing(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    with pytest.raises(RootNotFound):
        run_index(store, source, [root / "nowhere"])
    assert len(names(store)) == 3


# --- roots that vanish, and roots that cannot be read ---------------------------------------------------------------


def test_a_run_without_roots_indexes_all_that_were_indexed_before(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    put(tmp_path / "more" / "cook", "cook")
    run_index(store, source, [root])
    run_index(store, source, [tmp_path / "more"])
    put(root / "fix-types", "fix-types", "mends annotations")
    put(tmp_path / "more" / "cook", "cook", "a stew")
    report = run_index(store, source)
    assert tally(report) == (0, 2, 0, 2, 2)
    assert [(each.path, each.status, each.documents) for each in report.roots] == [
        (str(root), "indexed", 3),
        (str(tmp_path / "more"), "indexed", 1),
    ]


def test_a_root_that_is_gone_is_reported_loses_its_skills_and_stays_known(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    put(tmp_path / "more" / "cook", "cook")
    run_index(store, source, [root, tmp_path / "more"])
    root.rename(tmp_path / "aside")
    report = run_index(store, source)
    assert (report.removed, report.unchanged) == (3, 1)
    assert (report.roots[0].path, report.roots[0].status) == (str(root), "gone")
    (tmp_path / "aside").rename(root)
    assert run_index(store, source).added + len(names(store)) >= 4
    assert names(store) == ["cook", "find-flaky-tests", "fix-types", "tune-queries"]


def test_a_root_that_cannot_be_read_is_reported_and_keeps_its_skills(
    store: Store, source: CountingSource, root: Path
) -> None:
    run_index(store, source, [root])
    shutil.rmtree(root)
    root.symlink_to(root)  # a loop: something is there, but nobody can say what
    report = run_index(store, source)
    assert (report.removed, report.roots[0].status) == (0, "unreachable")
    assert len(names(store)) == 3
    assert store.roots() == [str(root)]


def test_a_root_that_was_never_indexed_cannot_be_forgotten(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    with pytest.raises(RootNotFound, match="is not an indexed root; the indexed roots are: " + str(root)):
        run_index(store, source, forget=[root / "fix-types"])
    assert len(names(store)) == 3


def test_a_root_behind_a_link_that_is_gone_can_be_forgotten(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    run_index(store, source, [root])
    shutil.rmtree(root)
    root.symlink_to(tmp_path / "elsewhere")
    run_index(store, source, forget=[root])
    assert (names(store), store.roots()) == ([], [])


def test_a_run_that_is_stopped_while_it_searches_changes_nothing(
    store: Store, source: CountingSource, root: Path
) -> None:
    run_index(store, source, [root])
    shutil.rmtree(root / "fix-types")
    report = run_index(store, source, should_stop=lambda: True)
    assert not report.complete
    assert len(names(store)) == 3


# --- one run at a time, in order --------------------------------------------------------------------------------


def test_eight_runs_at_once_lose_no_root_and_no_document(store: Store, source: CountingSource, tmp_path: Path) -> None:
    roots = [tmp_path / f"root-{number}" for number in range(8)]
    for number, each in enumerate(roots):
        put(each / "shared", "shared", f"in its way number {number}")
        put(each / "own", f"own-{number}")
    stores = [open_store(tmp_path / "index.db") for _ in roots]
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda each, mine: run_index(each, CountingSource(), [mine]), stores, roots))
    for each in stores:
        each.close()
    assert sum(report.added for report in reports) == 16
    assert sorted(store.roots()) == [str(each) for each in roots]
    assert len(names(store)) == 16
    assert tally(run_index(store, source)) == (0, 0, 0, 16, 0)


def test_a_run_that_waits_for_its_turn_can_be_stopped(store: Store, source: CountingSource, root: Path) -> None:
    with store.index_turn() as mine:
        assert mine
        report = run_index(store, source, [root], should_stop=lambda: True)
    assert (report.complete, names(store)) == (False, [])


def test_a_run_under_a_clock_that_is_ahead_does_not_stay_the_last_one(
    store: Store, source: CountingSource, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "more" / "cook", "cook")
    with monkeypatch.context() as ahead:
        ahead.setattr("indexer.run.system_clock", lambda: datetime.now(UTC) + timedelta(days=400))
        run_index(store, source, [root])
    run_index(store, source, [tmp_path / "more"])
    assert store.roots() == [str(root), str(tmp_path / "more")]
    put(root / "fix-types", "fix-types", "mends annotations")
    assert stale_documents(store) == [str(root / "fix-types" / "SKILL.md")]
    assert run_index(store, source).changed == 1
    run_index(store, source, forget=[root])
    assert store.roots() == [str(tmp_path / "more")]


# --- renaming ---------------------------------------------------------------------------------------------------


def told_of(store: Store, *recorded: str) -> list[str]:
    """Record evidence of skills, and return under which names evidence is told."""
    sums = [EvidenceSum(skill_name=name, version=1, query=None, reporter_slot=0, sums=[1.0] * 10) for name in recorded]
    store.add_evidence(after=0, upto=1, cells=[], sums=sums, affinities=[])
    return [row[0] for row in store.evidence_since(-1, -1, -1).sums]


def renames(tmp_path: Path) -> set[tuple[str, str]]:
    with closing(apsw.Connection(str(tmp_path / "index.db"))) as connection:
        return set(connection.execute("SELECT old_name, new_name FROM skill_rename"))


def test_a_skill_whose_document_is_given_another_name_keeps_its_history(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    run_index(store, source, [root])
    put(root / "fix-types", "mend-types")
    report = run_index(store, source)
    assert (report.added, report.removed) == (1, 1)
    assert renames(tmp_path) == {("fix-types", "mend-types")}


def test_a_skill_whose_folder_and_name_change_at_once_keeps_its_history(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    steps = "\n\nRun the type checker, read every error, and mend the cause instead of the symptom.\n"
    path = put(root / "fix-types", "fix-types")
    path.write_text(path.read_text(encoding="utf-8") + steps, encoding="utf-8")
    run_index(store, source, [root])
    shutil.rmtree(root / "fix-types")
    path = put(root / "mend-types", "mend-types")
    path.write_text(path.read_text(encoding="utf-8") + steps, encoding="utf-8")
    run_index(store, source)
    assert renames(tmp_path) == {("fix-types", "mend-types")}


def test_a_skill_that_goes_back_to_its_former_name_keeps_its_history(
    store: Store, source: CountingSource, root: Path
) -> None:
    run_index(store, source, [root])
    put(root / "fix-types", "mend-types")
    run_index(store, source)
    assert told_of(store, "mend-types") == ["mend-types"]
    put(root / "fix-types", "fix-types", "as before")
    run_index(store, source)
    assert told_of(store) == ["fix-types"]


def test_a_new_skill_beside_one_that_leaves_is_not_its_successor(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    run_index(store, source, [root])
    shutil.rmtree(root / "fix-types")
    put(root / "cook", "cook", "a stew")
    run_index(store, source)
    assert renames(tmp_path) == set()


# --- editions ---------------------------------------------------------------------------------------------------


def test_a_new_plugin_version_takes_the_place_of_the_one_before(
    store: Store, source: CountingSource, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "market" / "jigsaw"
    put(cache / "1.9.0" / "skills" / "spec", "spec", "release 1.9")
    run_index(store, source, [tmp_path / "cache"])
    before = store.skill("spec").id
    put(cache / "1.10.0" / "skills" / "spec", "spec", "release 1.10")
    report = run_index(store, source)
    assert (store.skill("spec").id, store.skill("spec").description) == (before, "spec release 1.10")
    assert names(store) == ["spec"]
    assert [(each.path, each.by) for each in report.superseded] == [
        (str(cache / "1.9.0/skills/spec/SKILL.md"), str(cache / "1.10.0/skills/spec/SKILL.md"))
    ]
    shutil.rmtree(cache / "1.10.0")
    run_index(store, source)
    assert store.skill("spec").description == "spec release 1.9"


def test_older_versions_that_an_earlier_release_served_are_no_longer_served(
    store: Store, source: CountingSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "market" / "jigsaw"
    for version in ("2.2.0", "2.5.0", "2.7.0"):
        put(cache / version / "skills" / "spec", "spec", f"release {version}")
    with monkeypatch.context() as before:
        before.setattr("indexer.run.compare_editions", lambda _: Editions())
        run_index(store, source, [tmp_path / "cache"])
    assert len(names(store)) == 3
    run_index(store, source)
    assert [(each.skill_name, each.description) for each in store.skills()] == [("spec", "spec release 2.7.0")]


# --- skills without a folder of their own -----------------------------------------------------------------------


def test_flat_skills_and_commands_are_indexed_under_the_names_of_their_files(
    store: Store, source: CountingSource, tmp_path: Path
) -> None:
    claude = tmp_path / "project" / ".claude"
    for place, text in (
        ("skills/review.md", "Review the changes of a branch.\n"),
        ("commands/git/commit.md", "---\ndescription: Write a commit message\n---\nLook at the diff.\n"),
        ("commands/README.md", "What lies here.\n"),
    ):
        (claude / place).parent.mkdir(parents=True, exist_ok=True)
        (claude / place).write_text(text, encoding="utf-8")
    report = run_index(store, source, [tmp_path / "project"])
    assert names(store) == ["git:commit", "review"]
    assert report.repaired == []
    (claude / "skills" / "review.md").rename(claude / "skills" / "check.md")
    run_index(store, source)
    assert names(store) == ["check", "git:commit"]
    assert tally(run_index(store, CountingSource(dimension=32)))[4] == 2
    assert names(store) == ["check", "git:commit"]


# --- stale documents --------------------------------------------------------------------------------------------


def test_a_changed_document_is_stale_whatever_its_time_is_and_whatever_was_indexed_since(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    put(tmp_path / "more" / "cook", "cook")
    run_index(store, source, [root, tmp_path / "more"])
    assert stale_documents(store) == []
    document = put(root / "fix-types", "fix-types", "mends annotations")
    os.utime(document, (1_000_000_000, 1_000_000_000))
    run_index(store, source, [tmp_path / "more"])
    assert stale_documents(store) == [str(document)]


def test_a_document_that_was_only_touched_is_not_stale(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    (root / "fix-types" / "SKILL.md").touch()
    assert stale_documents(store) == []


def test_documents_and_copies_that_vanished_or_changed_are_stale(
    store: Store, source: CountingSource, root: Path
) -> None:
    for name in ("zz-one", "zz-two"):
        shutil.copytree(root / "fix-types", root / name)
    run_index(store, source, [root])
    shutil.rmtree(root / "tune-queries")
    shutil.rmtree(root / "zz-one")
    changed = put(root / "zz-two", "fix-types", "otherwise")
    expected = [root / "tune-queries" / "SKILL.md", root / "zz-one" / "SKILL.md", changed]
    assert sorted(stale_documents(store)) == sorted(map(str, expected))
    run_index(store, source)
    assert stale_documents(store) == []


def test_two_documents_may_swap_their_names(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    put(root / "fix-types", "tune-queries", "first")
    put(root / "tune-queries", "fix-types", "second")
    run_index(store, source, [root])
    assert store.skill("tune-queries").document_path == str(root / "fix-types" / "SKILL.md")
    assert store.skill("fix-types").document_path == str(root / "tune-queries" / "SKILL.md")
    assert names(store) == ["find-flaky-tests", "fix-types", "tune-queries"]


def test_two_folders_may_swap_their_places(store: Store, source: CountingSource, root: Path) -> None:
    run_index(store, source, [root])
    (root / "fix-types").rename(root / "aside")
    (root / "tune-queries").rename(root / "fix-types")
    (root / "aside").rename(root / "tune-queries")
    assert run_index(store, source, [root]).embedded == 0
    assert store.skill("tune-queries").document_path == str(root / "fix-types" / "SKILL.md")
    assert store.skill("fix-types").document_path == str(root / "tune-queries" / "SKILL.md")


def test_the_old_generation_serves_until_the_new_one_is_whole(
    store: Store, source: CountingSource, tmp_path: Path
) -> None:
    root = tmp_path / "many"
    for number in range(BATCH + 5):
        put(root / f"skill-{number}", f"skill-{number}")
    run_index(store, source, [root])
    other = CountingSource(dimension=32)
    assert not stopped_after_a_batch(store, other, root).complete
    live, building = store.live_generation(), store.building_generation()
    assert live is not None
    assert building is not None
    assert (live.dimension, building.dimension) == (64, 32)
    assert nearest(store, source, "skill-7 does useful things") == "skill-7"
    resumed = run_index(store, other, [root])
    assert resumed.embedded == 5
    live = store.live_generation()
    assert live is not None
    assert live.dimension == 32
    assert store.building_generation() is None
    assert nearest(store, other, "skill-7 does useful things") == "skill-7"


def chunks_of(store: Store, source: CountingSource, name: str, query: str) -> list[float]:
    skill_id = store.skill(name).id
    found = store.chunk_similarities([skill_id], source.encoder.encode_queries([query]))
    return [round(float(cosine), 2) for cosine in found.get(skill_id, [])]


def test_the_first_chunks_are_embedded_beside_the_document(store: Store, source: CountingSource, root: Path) -> None:
    sections = [f"## Part {number}\n\n" + f"{word} " * 180 for number, word in enumerate(("ink", "oil", "wax", "tar"))]
    path = put(root / "long", "long")
    path.write_text(path.read_text(encoding="utf-8") + "\n" + "\n\n".join(sections), encoding="utf-8")
    run_index(store, source, [root])
    ids = {name: store.skill(name).id for name in names(store)}
    found = store.chunk_similarities(list(ids.values()), source.encoder.encode_queries(["oil"]))
    assert {name: len(found[skill_id]) for name, skill_id in ids.items()} == {
        "find-flaky-tests": 1,
        "fix-types": 1,
        "long": 3,
        "tune-queries": 1,
    }
    cosines = found[ids["long"]].tolist()
    assert max(range(3), key=cosines.__getitem__) == 1
    assert chunks_of(store, source, "fix-types", "fix types. # fix-types\n\nSteps.") == [1.0]
    path.write_text("---\nname: long\ndescription: nothing more\n---\n", encoding="utf-8")
    run_index(store, source, [root])
    assert chunks_of(store, source, "long", "oil") == []


def test_an_index_without_chunks_serves_until_one_with_them_is_whole(
    store: Store, source: CountingSource, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("indexer.run.CHUNKS_SCHEMA", CHUNKS_SCHEMA - 1)
        before.setattr("indexer.run.chunk_texts", lambda *_: [])
        run_index(store, source, [root])
    assert chunks_of(store, source, "fix-types", "steps") == []
    for number in range(BATCH):
        put(root / f"skill-{number}", f"skill-{number}")
    assert not stopped_after_a_batch(store, source, root).complete
    live, building = store.live_generation(), store.building_generation()
    assert live is not None
    assert building is not None
    assert (live.chunks_schema, building.chunks_schema) == (CHUNKS_SCHEMA - 1, CHUNKS_SCHEMA)
    assert nearest(store, source, "fix-types does useful things") == "fix-types"
    assert all(chunks_of(store, source, name, "steps") == [] for name in names(store))
    run_index(store, source, [root])
    assert all(len(chunks_of(store, source, name, "steps")) == 1 for name in names(store))
    assert store.check() == []


def test_a_document_that_was_read_by_other_rules_is_read_again(
    store: Store, source: CountingSource, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_badly(raw: bytes, found: Found) -> SkillDocument:
        return msgspec.structs.replace(parse_document(raw, found), description="read badly", problems=("bad",))

    with monkeypatch.context() as before:
        before.setattr("indexer.run.CHUNKS_SCHEMA", CHUNKS_SCHEMA - 1)
        before.setattr("indexer.run.parse_document", read_badly)
        run_index(store, source, [root])
    assert store.skill("fix-types").description == "read badly"
    report = run_index(store, source, [root])
    assert store.skill("fix-types").description == "fix-types does useful things"
    assert report.repaired == []


def test_a_check_names_chunk_vectors_that_belong_to_no_document(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    run_index(store, source, [root])
    with closing(apsw.Connection(str(tmp_path / "index.db"))) as other:
        other.execute("DELETE FROM skill_embedded").fetchall()
    assert any(problem.startswith("3 sets of chunk vectors belong to no document") for problem in store.check())


def test_a_store_that_is_open_elsewhere_answers_from_the_new_index(
    store: Store, source: CountingSource, root: Path, tmp_path: Path
) -> None:
    run_index(store, source, [root])
    assert nearest(store, source, "cook a stew") != "cook"
    other = open_store(tmp_path / "index.db")
    put(root / "cook", "cook", "a stew")
    run_index(other, source, [root])
    other.close()
    assert nearest(store, source, "cook a stew") == "cook"
