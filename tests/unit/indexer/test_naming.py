from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from indexer.naming import Assigned, Claim, Named, assign_names, normalise_name


def claim(path: str, name: str, content: str | None = None) -> Claim:
    return Claim(path=f"{path}/SKILL.md", name=name, content_hash=content or path)


def names(*claims: Claim, previous: dict[str, Assigned] | None = None) -> list[str]:
    return [named.name for named in assign_names(claims, previous or {})]


def remember(claims: list[Claim], answer: list[Named]) -> dict[str, Assigned]:
    contents = {each.path: each.content_hash for each in claims}
    return {
        named.path: Assigned(name=named.name, content_hash=contents[named.path])
        for named in answer
        if named.status != "copy"
    }


class TestNormaliseName:
    @pytest.mark.parametrize("name", ["pdf", "PDF Processing (OCR)", "折り紙", "data_cleaning", "a/b: c", "naïve"])
    def test_ordinary_names_are_kept(self, name: str) -> None:
        assert normalise_name(name) == name

    def test_white_space_is_collapsed(self) -> None:
        assert normalise_name(" a\t\nb\u3000\u2028c ") == "a b c"

    def test_names_that_look_the_same_become_the_same(self) -> None:
        assert normalise_name("cafe\u0301\u200b") == normalise_name("caf\u00e9")

    def test_direction_changes_are_removed(self) -> None:
        assert normalise_name("safe\u202etxe") == "safetxe"

    def test_a_name_of_nothing_that_shows_is_empty(self) -> None:
        assert normalise_name("\u200b\x00 \x1b") == ""

    def test_at_most_200_characters_are_kept(self) -> None:
        assert normalise_name("n" * 199 + " more") == "n" * 199

    @settings(deadline=None)
    @given(st.text())
    def test_is_stable(self, text: str) -> None:
        assert normalise_name(normalise_name(text)) == normalise_name(text)


class TestQualifying:
    def test_the_first_keeps_the_bare_name(self) -> None:
        assert names(claim("/r/one", "pdf"), claim("/r/two", "pdf")) == ["pdf", "two:pdf"]

    def test_a_shadowed_document_says_behind_which(self) -> None:
        answer = assign_names([claim("/r/one", "pdf"), claim("/r/two", "pdf")], {})
        assert answer[1] == Named(path="/r/two/SKILL.md", name="two:pdf", status="shadowed", behind="/r/one/SKILL.md")

    def test_a_folder_that_only_repeats_the_name_is_passed_over(self) -> None:
        assert names(claim("/a/pdf-tools", "PDF Tools"), claim("/b/pdf_tools", "PDF Tools"))[1] == "b:PDF Tools"

    def test_folders_that_hold_everybodys_skills_are_passed_over(self) -> None:
        assert names(claim("/x/pdf", "pdf"), claim("/team/.claude/skills/pdf", "pdf"))[1] == "team:pdf"

    def test_more_folders_are_put_before_while_the_name_is_taken(self) -> None:
        claims = [claim(f"/{top}/tools/pdf", "pdf") for top in "abc"]
        assert names(*claims) == ["pdf", "tools:pdf", "c:tools:pdf"]

    def test_where_no_folder_helps_a_hash_of_the_path_does(self) -> None:
        claims = [Claim(path=f"/pdf/{file}", name="pdf", content_hash=file) for file in ("SKILL.md", "skill.md")]
        bare, qualified = names(*claims)
        prefix, _, name = qualified.partition(":")
        assert (bare, name, len(prefix)) == ("pdf", "pdf", 8)

    def test_a_declared_name_that_looks_qualified_gets_no_second_holder(self) -> None:
        answer = names(claim("/r/one", "pdf"), claim("/r/three", "two:pdf"), claim("/r/two", "pdf"))
        assert answer == ["pdf", "two:pdf", "r:two:pdf"]


class TestCopies:
    def test_exact_copies_fold_into_the_first(self) -> None:
        answer = assign_names([claim("/r/one", "pdf", "same"), claim("/r/two", "pdf", "same")], {})
        assert answer[1] == Named(path="/r/two/SKILL.md", name="pdf", status="copy", behind="/r/one/SKILL.md")

    def test_a_copy_that_held_the_name_before_keeps_it(self) -> None:
        previous = {"/r/two/SKILL.md": Assigned(name="pdf", content_hash="same")}
        answer = assign_names([claim("/r/one", "pdf", "same"), claim("/r/two", "pdf", "same")], previous)
        assert [named.status for named in answer] == ["copy", "bare"]

    def test_a_copy_whose_original_is_gone_takes_over_its_name(self) -> None:
        previous = {
            "/r/one/SKILL.md": Assigned(name="pdf", content_hash="other"),
            "/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="same"),
        }
        assert names(claim("/r/one", "pdf", "other"), claim("/r/new", "pdf", "same"), previous=previous) == [
            "pdf",
            "two:pdf",
        ]


class TestStability:
    def test_a_qualified_name_is_kept_when_the_bare_one_becomes_free(self) -> None:
        previous = {
            "/r/one/SKILL.md": Assigned(name="pdf", content_hash="/r/one"),
            "/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="/r/two"),
        }
        answer = assign_names([claim("/r/two", "pdf")], previous)
        assert answer == [Named(path="/r/two/SKILL.md", name="two:pdf", status="shadowed", behind=None)]

    def test_a_new_document_gets_the_free_bare_name(self) -> None:
        previous = {"/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="/r/two")}
        assert names(claim("/r/two", "pdf"), claim("/r/three", "pdf"), previous=previous) == ["two:pdf", "pdf"]

    def test_a_new_document_of_higher_precedence_does_not_take_a_name_away(self) -> None:
        previous = {"/r/two/SKILL.md": Assigned(name="pdf", content_hash="/r/two")}
        assert names(claim("/r/one", "pdf"), claim("/r/two", "pdf"), previous=previous) == ["one:pdf", "pdf"]

    def test_an_edited_document_keeps_its_name(self) -> None:
        previous = {"/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="before")}
        assert names(claim("/r/two", "pdf", "after"), previous=previous) == ["two:pdf"]

    def test_a_document_that_declares_another_name_gets_it(self) -> None:
        previous = {"/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="before")}
        assert names(claim("/r/two", "ocr", "after"), previous=previous) == ["ocr"]

    def test_a_moved_document_keeps_its_name(self) -> None:
        previous = {
            "/r/one/SKILL.md": Assigned(name="pdf", content_hash="1"),
            "/r/two/SKILL.md": Assigned(name="two:pdf", content_hash="2"),
        }
        assert names(claim("/r/one", "pdf", "1"), claim("/q/two", "pdf", "2"), previous=previous) == ["pdf", "two:pdf"]

    def test_a_removed_document_that_comes_back_gets_its_name_back(self) -> None:
        previous = {"/r/one/SKILL.md": Assigned(name="pdf", content_hash="/r/one")}
        assert names(claim("/r/new", "pdf"), claim("/r/one", "pdf"), previous=previous) == ["new:pdf", "pdf"]


def claims_strategy() -> st.SearchStrategy[list[Claim]]:
    folder = st.sampled_from(["a", "b", "skills", ".claude", "x", "a:b"])
    paths = st.lists(folder, min_size=1, max_size=4).map(lambda folders: "/" + "/".join(folders))
    return st.lists(
        st.builds(claim, paths, st.sampled_from(["a", "b", "a:b", "x"]), st.sampled_from("1234567890")),
        unique_by=lambda each: each.path,
        max_size=12,
    )


@settings(deadline=None)
@given(claims_strategy())
def test_names_are_unique_and_each_content_has_one_holder(claims: list[Claim]) -> None:
    answer = assign_names(claims, {})
    assert [named.path for named in answer] == [each.path for each in claims]
    held = [named.name for named in answer if named.status != "copy"]
    assert len(held) == len(set(held)) == len({each.content_hash for each in claims})


@settings(deadline=None)
@given(claims_strategy())
def test_a_bare_name_is_the_declared_one_and_a_qualified_one_ends_with_it(claims: list[Claim]) -> None:
    for each, named in zip(claims, assign_names(claims, {}), strict=True):
        assert named.status != "bare" or named.name == each.name
        assert named.status != "shadowed" or named.name.endswith(f":{each.name}")


@settings(deadline=None)
@given(claims_strategy(), st.data())
def test_naming_in_steps_equals_naming_at_once(claims: list[Claim], data: st.DataObject) -> None:
    answer = assign_names(claims, {})
    whole = remember(claims, answer)
    part = {path: whole[path] for path in whole if data.draw(st.booleans())}
    assert assign_names(claims, part) == answer


@settings(deadline=None)
@given(claims_strategy(), claims_strategy())
def test_adding_documents_changes_no_name(claims: list[Claim], more: list[Claim]) -> None:
    before = assign_names(claims, {})
    paths = {each.path for each in claims}
    together = [*(each for each in more if each.path not in paths), *claims]
    after = {named.path: named for named in assign_names(together, remember(claims, before))}
    assert [after[named.path].name for named in before] == [named.name for named in before]


@settings(deadline=None)
@given(claims_strategy(), st.data())
def test_removing_documents_changes_no_name_of_the_rest(claims: list[Claim], data: st.DataObject) -> None:
    before = {named.path: named for named in assign_names(claims, {})}
    rest = [each for each in claims if data.draw(st.booleans())]
    after = assign_names(rest, remember(claims, list(before.values())))
    for named in after:
        if before[named.path].status != "copy":
            assert named.name == before[named.path].name
