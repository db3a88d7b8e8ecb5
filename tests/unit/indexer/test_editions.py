"""Which edition of a skill counts: the newest plugin version, the main checkout."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from indexer.editions import Place, compare_editions, is_version_name, version_order
from indexer.naming import Assigned, Claim, Named, assign_names, settle_editions

CACHE = "/home/me/.claude/plugins/cache/market"


def at(*paths: str, name: str = "pdf") -> list[Place]:
    return [Place(f"{path}/SKILL.md", name) for path in paths]


def superseded(*places: Place) -> dict[str, str | None]:
    return compare_editions(places).superseded


def skill(version: str) -> str:
    return f"{CACHE}/plugin/{version}/skills/pdf/SKILL.md"


def versions(*names: str) -> list[Place]:
    return [Place(skill(name), "pdf") for name in names]


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.8", "1.9", "1.10", "2"],
        ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1"],
        ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1.dev1", "1.1"],
        ["v1.9.0", "v1.10.0", "2.0.0-SNAPSHOT", "2.0.0"],
        ["0a1b2c3d4e5f", "0.0.1"],
        ["2024.1.15", "2024.12.1"],
    ],
)
def test_versions_are_ordered_as_people_and_packages_do(ordered: list[str]) -> None:
    shuffled = random.Random(0).sample(ordered, len(ordered))
    assert sorted(shuffled, key=version_order) == ordered


def test_forms_of_one_version_are_equal() -> None:
    assert len({version_order(name) for name in ("1.0", "v1.0.0", "1", "1.0+build.7")}) == 1


@pytest.mark.parametrize("name", ["v2", "1.10", "2.0.0-beta.1", "1.0rc1", "1.2.3+linux", "V1.0", "2.0.0-SNAPSHOT.1"])
def test_names_of_versions_are_recognised(name: str) -> None:
    assert is_version_name(name)


@pytest.mark.parametrize(
    "name", ["2024", "pdf", "v8-engine", "3.5-sonnet", "3.5.1-sonnet", "python3.11", "1.", "", "1.0" + "a" * 300]
)
def test_other_names_are_not_taken_for_versions(name: str) -> None:
    assert not is_version_name(name)


class TestPluginVersions:
    def test_the_newest_version_supersedes_the_others_whatever_their_paths_say(self) -> None:
        assert superseded(*versions("1.10.0", "1.9.0", "1.2.0")) == {
            skill("1.9.0"): skill("1.10.0"),
            skill("1.2.0"): skill("1.10.0"),
        }

    def test_a_release_supersedes_its_prereleases(self) -> None:
        assert superseded(*versions("2.0.0", "2.0.0-rc.1")) == {skill("2.0.0-rc.1"): skill("2.0.0")}

    def test_a_release_supersedes_a_commit(self) -> None:
        assert superseded(*versions("ab12cd34ef56", "0.1.0")) == {skill("ab12cd34ef56"): skill("0.1.0")}

    def test_the_commit_that_came_last_supersedes_the_others(self, tmp_path: Path) -> None:
        paths = [
            tmp_path / "cache/market/plugin" / commit / "skills/pdf/SKILL.md" for commit in ("fedcba98", "abcdef12")
        ]
        for age, path in enumerate(paths):
            path.parent.mkdir(parents=True)
            os.utime(path.parents[2], (1_000_000 - age, 1_000_000 - age))
        assert superseded(*(Place(str(path), "pdf") for path in paths)) == {str(paths[1]): str(paths[0])}

    def test_a_skill_that_was_moved_within_its_plugin_is_known_by_its_name(self) -> None:
        moved = f"{CACHE}/plugin/2.0.0/skills/documents/pdf/SKILL.md"
        assert superseded(*versions("1.0.0"), Place(moved, "pdf")) == {skill("1.0.0"): moved}

    def test_a_skill_that_was_renamed_within_its_plugin_is_known_by_its_place(self) -> None:
        assert superseded(*versions("1.0.0"), Place(skill("2.0.0"), "pdf-tools")) == {skill("1.0.0"): skill("2.0.0")}

    def test_a_skill_that_the_newest_version_dropped_is_superseded_by_nothing(self) -> None:
        kept = f"{CACHE}/plugin/2.0.0/skills/kept/SKILL.md"
        assert superseded(*versions("1.0.0"), Place(kept, "kept")) == {skill("1.0.0"): None}

    def test_versions_of_two_plugins_are_not_compared(self) -> None:
        other = f"{CACHE}/other/1.0.0/skills/pdf/SKILL.md"
        assert superseded(*versions("2.0.0"), Place(other, "pdf")) == {}

    def test_a_cache_of_other_things_is_left_alone(self) -> None:
        assert superseded(*at("/data/cache/team/project/alpha", "/data/cache/team/project/beta")) == {}


class TestVersionFolders:
    def test_of_one_skill_in_version_folders_the_newest_counts(self) -> None:
        assert superseded(*at("/r/1.10/pdf", "/r/1.9/pdf")) == {"/r/1.9/pdf/SKILL.md": "/r/1.10/pdf/SKILL.md"}

    def test_skills_of_different_names_or_places_in_version_folders_all_count(self) -> None:
        assert superseded(*at("/r/1.0/a", "/r/2.0/b")) == {}
        assert superseded(*at("/r/1.0/a"), *at("/r/2.0/a", name="other")) == {}


def names(places: list[Place], previous: dict[str, str] | None = None) -> dict[str, str]:
    """Return the names by path, after names were held before; each document has content of its own."""
    claims = [Claim(path=each.path, name=each.name, content_hash=each.path) for each in places]
    held = {path: Assigned(name=name, content_hash=path) for path, name in (previous or {}).items()}
    answer: list[Named] = assign_names(*settle_editions(claims, held, compare_editions(places)))
    return {named.path: named.name for named in answer}


class TestNames:
    def test_the_newest_version_has_the_bare_name_and_older_ones_have_none(self) -> None:
        assert names(versions("2.2.0", "2.5.0", "2.7.0")) == {skill("2.7.0"): "pdf"}

    def test_a_new_version_takes_over_the_name_of_the_one_before(self) -> None:
        assert names(versions("1.0.0", "1.1.0"), {skill("1.0.0"): "plugin:pdf"}) == {skill("1.1.0"): "plugin:pdf"}

    def test_the_bare_name_goes_to_the_newest_version_that_had_a_qualified_one(self) -> None:
        before = {skill("1.0.0"): "pdf", skill("1.1.0"): "1.1.0:pdf"}
        assert names(versions("1.0.0", "1.1.0"), before) == {skill("1.1.0"): "pdf"}

    def test_a_shadowed_plugin_skill_is_qualified_by_its_plugin_not_by_its_version(self) -> None:
        assert names([*at("/r/pdf"), *versions("1.0.0")])[skill("1.0.0")] == "plugin:pdf"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "project"
    (top / ".git").mkdir(parents=True)
    return top


def worktree(top: Path, repository: Path) -> Path:
    top.mkdir(parents=True)
    (top / ".git").write_text(f"gitdir: {repository}/.git/worktrees/{top.name}\n", encoding="utf-8")
    return top


class TestCheckouts:
    @pytest.mark.parametrize("place", [".claude/worktrees/fix", "../a-worktree"])
    def test_the_main_checkout_has_the_name_and_not_its_worktree(self, repository: Path, place: str) -> None:
        tree = worktree(Path(os.path.normpath(repository / place)), repository)
        found = names(at(f"{tree}/skills/pdf", f"{repository}/skills/pdf"))
        assert found[f"{repository}/skills/pdf/SKILL.md"] == "pdf"
        assert found[f"{tree}/skills/pdf/SKILL.md"].endswith(":pdf")

    def test_the_main_checkout_takes_the_name_over_when_it_is_found_later(self, repository: Path) -> None:
        tree = worktree(repository.parent / "a-tree", repository)
        places = at(f"{tree}/skills/pdf", f"{repository}/skills/pdf")
        found = names(places, {places[0].path: "pdf"})
        assert found == {places[1].path: "pdf", places[0].path: "a-tree:pdf"}

    def test_names_that_were_settled_stay(self, repository: Path) -> None:
        tree = worktree(repository.parent / "a-tree", repository)
        places = at(f"{tree}/skills/pdf", f"{repository}/skills/pdf")
        settled = names(places)
        assert names(places, settled) == settled

    def test_a_worktree_without_its_main_checkout_has_the_name(self, repository: Path) -> None:
        tree = worktree(repository.parent / "a-tree", repository)
        assert names(at(f"{tree}/skills/pdf", "/elsewhere/pdf"))[f"{tree}/skills/pdf/SKILL.md"] == "pdf"

    def test_a_worktree_may_name_its_repository_by_a_relative_path(self, repository: Path) -> None:
        tree = repository.parent / "a-tree"
        tree.mkdir()
        (tree / ".git").write_text("gitdir: ../project/.git/worktrees/a-tree\n", encoding="utf-8")
        found = names(at(f"{tree}/skills/pdf", f"{repository}/skills/pdf"))
        assert found[f"{repository}/skills/pdf/SKILL.md"] == "pdf"

    def test_a_submodule_is_no_worktree(self, repository: Path) -> None:
        module = repository / "a-module"
        module.mkdir()
        (module / ".git").write_text("gitdir: ../.git/modules/a-module\n", encoding="utf-8")
        assert compare_editions(at(f"{module}/pdf", f"{repository}/pdf")).later == []

    def test_a_copy_beside_a_checkout_comes_after_it(self, repository: Path) -> None:
        copy = repository.parent / "a-copy"
        (copy / "skills" / "pdf").mkdir(parents=True)
        found = names(at(f"{copy}/skills/pdf", f"{repository}/skills/pdf"))
        assert found == {
            f"{repository}/skills/pdf/SKILL.md": "pdf",
            f"{copy}/skills/pdf/SKILL.md": "a-copy:pdf",
        }

    def test_an_installed_skill_that_is_no_copy_of_a_checkout_keeps_its_precedence(self, repository: Path) -> None:
        places = at("/home/me/.claude/skills/pdf", f"{repository}/skills/pdf")
        assert names(places)["/home/me/.claude/skills/pdf/SKILL.md"] == "pdf"

    def test_a_git_file_that_makes_no_sense_is_no_worktree(self, repository: Path) -> None:
        for text in ("", "gitdir:", "nonsense", "gitdir: \0", "gitdir: " + "x/" * 6_000):
            (repository.parent / "odd").mkdir(exist_ok=True)
            (repository.parent / "odd" / ".git").write_text(text, encoding="utf-8")
            assert compare_editions(at(f"{repository.parent}/odd/pdf", f"{repository}/pdf")).heirs == {}
