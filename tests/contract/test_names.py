"""A use belongs to the skill that its name means, in whatever form the name is given."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from store.contract.catalogue import DocumentWrite
from store.contract.projects import NewProject
from store.contract.tracking import Invocation, NewInvocation, NewOutcome
from store.errors import Conflict
from store.protocol import Store

Make = Callable[..., DocumentWrite]
PLUGIN = "/home/a/.claude/plugins/cache/market/superpowers/4.0.3/skills/brainstorm/SKILL.md"


@pytest.fixture
def generation(store: Store) -> int:
    return store.open_generation("m", 4, 1).generation


@pytest.fixture
def library(store: Store, generation: int, document: Make) -> Store:
    for name, fields in {
        "brainstorming": {"document_path": PLUGIN},
        "café-Menü": {},
        "fix-types": {"declared_name": "Type Fixer"},
        "Lint": {},
        "lint": {"document_path": "/skills/other/SKILL.md"},
        "team:deploy": {"declared_name": "deploy", "document_path": "/team/deploy/SKILL.md"},
        "ops:deploy": {"declared_name": "deploy", "document_path": "/ops/deploy/SKILL.md"},
    }.items():
        store.write_document(document(name, **fields), generation)
    return store


def track(store: Store, name: str, **fields: Any) -> Invocation:
    started = store.start_invocation(NewInvocation(skill_name=name, **fields))
    return store.finish_invocation(started.id, NewOutcome(outcome="completed", duration_seconds=1.0)).invocation


FORMS = [
    ("brainstorming", "brainstorming"),
    ("superpowers:brainstorming", "brainstorming"),
    ("Superpowers:Brainstorming", "brainstorming"),
    ("superpowers:brainstorm", "brainstorming"),
    ("unknown-plugin:brainstorming", "brainstorming"),
    ("BRAINSTORMING", "brainstorming"),
    ("ｂｒａｉｎｓｔｏｒｍｉｎｇ", "brainstorming"),
    ("superpowers：brainstorming", "brainstorming"),
    ("brainstorm", "brainstorming"),
    ("brain\u200bstorming", "brainstorming"),
    (unicodedata.normalize("NFD", "café-menü"), "café-Menü"),
    (unicodedata.normalize("NFC", "CAFÉ-MENÜ"), "café-Menü"),
    ("fix types", "fix-types"),
    ("fix_types", "fix-types"),
    ("type-fixer", "fix-types"),
    ("Lint", "Lint"),
    ("lint", "lint"),
    ("team:deploy", "team:deploy"),
    ("Team:Deploy", "team:deploy"),
]


@pytest.mark.parametrize(("given", "meant"), FORMS)
def test_a_use_finds_its_skill_by_any_form_of_its_name(library: Store, given: str, meant: str) -> None:
    use = track(library, given)
    assert (use.skill_name, use.skill_known, use.skill_version_id is not None) == (meant, True, True)
    assert use.given_name == (None if given == meant else given)
    assert library.invocation(use.id) == use
    for name in (given, meant):
        metrics = library.skill_metrics(name)
        assert metrics is not None
        assert (metrics.skill_name, metrics.completed_invocations, metrics.completion_rate) == (meant, 1, 100.0)
    assert library.first_difference() is None


@pytest.mark.parametrize("given", ["LINT", "deploy", "Deploy", "x:deploy", "nobody", "nobody:lint-python", ":", "🙈"])
def test_a_name_that_means_no_skill_or_several_stays_as_it_is_given(library: Store, given: str) -> None:
    use = track(library, given)
    assert (use.skill_name, use.given_name, use.skill_known) == (given, None, False)
    assert library.invocation(use.id) == use


@pytest.mark.parametrize(("given", "meant"), FORMS)
def test_an_imported_use_finds_its_skill_too(library: Store, given: str, meant: str) -> None:
    uses = [
        (NewInvocation(id="1", skill_name=given), NewOutcome(outcome="completed", duration_seconds=1.0)),
        (NewInvocation(id="2", skill_name="nobody"), NewOutcome(outcome="failed")),
        (NewInvocation(id="3", skill_name=given, session_id="s"), None),
    ]
    assert library.import_invocations(uses).imported == 3
    assert library.import_invocations(uses).duplicates == 3
    assert [(use.skill_name, use.skill_known) for use in library.invocations()] == [
        (meant, True),
        ("nobody", False),
        (meant, True),
    ]
    assert library.invocation("1").given_name == (None if given == meant else given)
    assert library.first_difference() is None


def test_rows_that_are_imported_one_by_one_find_their_skills_too(library: Store) -> None:
    uses = [
        (NewInvocation(id="1", skill_name="LINT-x" * 100), None),  # refused, so the others are added one by one
        (NewInvocation(id="2", skill_name="Superpowers:Brainstorming"), NewOutcome(outcome="completed")),
    ]
    assert library.import_invocations(uses).imported == 1
    assert library.invocation("2").skill_name == "brainstorming"
    assert library.first_difference() is None


def test_the_same_use_again_is_no_conflict_under_the_given_or_the_meant_name(library: Store) -> None:
    first = library.start_invocation(NewInvocation(id="u", skill_name="Superpowers:Brainstorming"))
    for name in ("Superpowers:Brainstorming", "brainstorming"):
        assert library.start_invocation(NewInvocation(id="u", skill_name=name)) == first
    with pytest.raises(Conflict):
        library.start_invocation(NewInvocation(id="u", skill_name="lint"))


def test_a_use_that_was_recorded_before_its_skill_was_indexed_is_still_the_same(
    store: Store, generation: int, document: Make
) -> None:
    before = store.start_invocation(NewInvocation(id="u", skill_name="LINT"))
    assert not before.skill_known
    store.write_document(document("lint"), generation)
    again = store.start_invocation(NewInvocation(id="u", skill_name="LINT"))
    assert (again.skill_name, again.given_name) == ("LINT", None)
    assert track(store, "LINT").skill_name == "lint"
    store.remove_document(store.skill("lint").id)
    assert store.start_invocation(NewInvocation(id="u", skill_name="LINT")) == again


def test_the_old_name_of_a_renamed_skill_means_the_new_one(store: Store, generation: int, document: Make) -> None:
    place = {"document_path": "/skills/x/SKILL.md"}
    for name in ("first", "second", "third"):
        store.write_document(document(name, **place), generation)
    for given in ("first", "First", "plugin:first", "second", "third"):
        assert track(store, given).skill_name == "third"


def test_a_removed_skill_keeps_its_name(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("lint"), generation)
    store.write_document(document("format", document_path="/skills/sub/lint/SKILL.md"), generation)
    store.remove_document(store.skill("lint").id)
    use = track(store, "lint")
    assert (use.skill_name, use.skill_known) == ("lint", True)


def test_a_document_that_moves_is_known_by_its_new_folder(store: Store, generation: int, document: Make) -> None:
    skill_id = store.write_document(document("lint", document_path="/skills/old/SKILL.md"), generation)
    assert track(store, "old").skill_name == "lint"
    store.update_document(skill_id, document_path="/skills/new/SKILL.md", root="/skills", copies=[], problems=[])
    assert track(store, "new").skill_name == "lint"
    assert track(store, "old").skill_name == "old"


def test_of_skills_of_one_name_the_plugin_s_own_is_meant(store: Store, generation: int, document: Make) -> None:
    store.write_document(
        document("a:review", declared_name="review", document_path="/p/alpha/x/a/SKILL.md"), generation
    )
    store.write_document(document("b:review", declared_name="review", document_path="/p/beta/x/b/SKILL.md"), generation)
    assert track(store, "Beta:review").skill_name == "b:review"
    assert track(store, "alpha:review").skill_name == "a:review"
    assert track(store, "gamma:review").skill_name == "gamma:review"


def test_a_copy_below_the_plugin_s_folder_counts_too(store: Store, generation: int, document: Make) -> None:
    store.write_document(document("review", copies=["/cache/alpha/1.0/skills/review/SKILL.md"]), generation)
    store.write_document(document("x:review", declared_name="review", document_path="/x/SKILL.md"), generation)
    assert track(store, "alpha:review").skill_name == "review"


def test_evidence_of_a_skill_that_was_used_before_it_was_indexed_is_given_under_its_name(
    store: Store, generation: int, document: Make
) -> None:
    from store.contract.evidence import EvidenceSum  # noqa: PLC0415  used here alone

    track(store, "Lint")
    sums = EvidenceSum(skill_name="Lint", version=-1, query=None, reporter_slot=0, sums=[1.0] * 10)
    assert store.add_evidence(after=0, upto=1, cells=[], sums=[sums], affinities=[])
    assert [row[0] for row in store.evidence_since(-1, -1, -1).sums] == ["Lint"]
    store.write_document(document("lint"), generation)
    (row,) = store.evidence_since(-1, -1, -1).sums
    assert row[0] == "lint"
    assert row[1] < -1  # what has no version must not fall together with rows of the present name


# --- projects by their folders ---------------------------------------------------------------------------------


@pytest.fixture
def projects(store: Store) -> Store:
    def work(transaction: Any) -> None:
        transaction.add_project(NewProject(id="outer", name="outer", paths=["/home/a/work/"]))
        transaction.add_project(NewProject(id="inner", name="inner", paths=["/srv/x", "/home/a/work/café"]))
        transaction.add_project(NewProject(id="twin 1", name="twin", paths=["/home/a/twin"]))
        transaction.add_project(NewProject(id="twin 2", name="twin", paths=["/home/a/twin"]))
        transaction.add_project(NewProject(id="windows", name="windows", paths=["C:\\Work\\App"]))
        transaction.add_project(NewProject(id="odd", name="odd", paths=["", "."]))

    store.transaction(work)
    return store


@pytest.mark.parametrize(
    ("path", "project"),
    [
        ("/home/a/work", "outer"),
        ("/home/a/work/other/deep", "outer"),
        ("/home/a/./work//other/../x/", "outer"),
        ("/home/a/work/café/src", "inner"),
        (unicodedata.normalize("NFD", "/home/a/work/café"), "inner"),
        ("/srv/x", "inner"),
        ("/srv/xy", None),
        ("/home/a/workshop", None),
        ("/home/a/twin/x", None),
        ("c:/work/app/src", "windows"),
        ("/", None),
        ("", None),
        ("relative", None),
    ],
)
def test_a_use_without_a_project_belongs_to_the_one_whose_folder_contains_its_path(
    projects: Store, path: str, project: str | None
) -> None:
    use = projects.start_invocation(NewInvocation(id="u", skill_name="lint", project_path=path, session_id="s"))
    assert (use.project_id, use.project_path, projects.session("s").project_id) == (project, path, project)
    assert projects.start_invocation(NewInvocation(id="u", skill_name="lint", project_path=path, session_id="s")) == use
    projects.import_invocations([(NewInvocation(id="i", skill_name="lint", project_path=path), None)])
    assert projects.invocation("i").project_id == project


def test_a_project_that_is_named_is_not_looked_up(projects: Store) -> None:
    use = projects.start_invocation(NewInvocation(skill_name="lint", project_path="/srv/x", project_id="mine"))
    assert use.project_id == "mine"
