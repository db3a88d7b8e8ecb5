from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.discovery import Found
from indexer.document import (
    MAX_DOCUMENT_BYTES,
    SkillDocument,
    UnparsableDocument,
    content_hash,
    parse_document,
    read_bytes,
    read_document,
)

FOUND = Found(path="/skills/paper-folding/SKILL.md", root="/skills")

WELL_FORMED = """---
name: fold-crane
description: Folds a crane from one square of paper.
license: MIT
compatibility: needs hands
allowed-tools: Read, Bash(git add:*), Write
metadata:
  category: crafts
  version: 1.10
---

# Fold a crane

Start with a square.
"""


def parse(text: str | bytes) -> SkillDocument:
    return parse_document(text.encode() if isinstance(text, str) else text, FOUND)


def with_frontmatter(block: str, body: str = "Text.") -> SkillDocument:
    return parse(f"---\n{block}\n---\n{body}\n")


def test_a_well_formed_document_is_read_whole_and_without_problems() -> None:
    assert parse(WELL_FORMED) == SkillDocument(
        path=FOUND.path,
        root="/skills",
        folder="paper-folding",
        skill_name="fold-crane",
        description="Folds a crane from one square of paper.",
        body="# Fold a crane\n\nStart with a square.",
        category="crafts",
        license="MIT",
        compatibility="needs hands",
        allowed_tools=("Read", "Bash(git add:*)", "Write"),
        metadata={"category": "crafts", "version": "1.10"},
        content_hash=hashlib.sha256(WELL_FORMED.encode()).hexdigest(),
        size_bytes=len(WELL_FORMED),
        problems=(),
    )


class TestEncoding:
    def test_a_byte_order_mark_is_no_problem(self) -> None:
        document = parse(b"\xef\xbb\xbf" + WELL_FORMED.encode())
        assert (document.skill_name, document.problems) == ("fold-crane", ())

    @pytest.mark.parametrize("newline", ["\r\n", "\r"])
    def test_newlines_are_normalised(self, newline: str) -> None:
        document = parse(WELL_FORMED.replace("\n", newline))
        assert (document.body, document.problems) == ("# Fold a crane\n\nStart with a square.", ())

    def test_bytes_that_are_not_utf8_are_read_as_windows_1252_and_reported(self) -> None:
        document = parse(b"---\nname: a\ndescription: caf\xe9\n---\n")
        assert document.description == "café"
        assert document.problems == ("The document is not encoded in UTF-8; it was read as Windows-1252.",)

    def test_bytes_of_no_known_encoding_are_replaced_and_reported(self) -> None:
        document = parse("---\nname: a\ndescription: caf\u00e9 ".encode() + b"\xff\n---\n")
        assert document.description == "café \ufffd"
        assert document.problems == (
            "Some bytes are not valid in the encoding of the document; they were replaced by U+FFFD.",
        )

    def test_utf16_with_its_mark_is_read_and_reported(self) -> None:
        document = parse(WELL_FORMED.encode("utf-16"))
        assert document.skill_name == "fold-crane"
        assert document.problems == ("The document is encoded in UTF-16; most agents read UTF-8 only.",)

    def test_a_binary_file_is_unparsable(self) -> None:
        with pytest.raises(UnparsableDocument, match="NUL bytes") as raised:
            parse(b"\x7fELF\0\0")
        assert raised.value.path == FOUND.path

    def test_control_characters_become_spaces_and_are_reported(self) -> None:
        document = parse(WELL_FORMED.replace("square", "\x1b[31msquare\x85"))
        assert document.description == "Folds a crane from one  [31msquare  of paper."
        assert document.problems == ("The document contains control characters; they were replaced by spaces (4).",)

    def test_control_characters_that_yaml_escapes_bring_in_become_spaces(self) -> None:
        assert with_frontmatter(r'name: "a\0b\e[0m"').skill_name == "a b [0m"

    def test_cjk_is_kept(self) -> None:
        document = with_frontmatter("name: 折り紙\ndescription: 紙を折る。", "# 鶴\n\n正方形から。")
        assert (document.skill_name, document.description) == ("折り紙", "紙を折る。")


class TestMissingParts:
    @pytest.mark.parametrize("text", ["", " \n\t\n", "---\n---\n", "---\nlicense: MIT\n---\n", "\ufeff"])
    def test_a_document_with_nothing_to_say_is_unparsable(self, text: str) -> None:
        with pytest.raises(UnparsableDocument, match="it is empty"):
            parse(text)

    def test_an_empty_body_below_frontmatter_is_fine(self) -> None:
        document = parse("---\nname: a\ndescription: b\n---")
        assert (document.body, document.problems) == ("", ())

    def test_without_frontmatter_folder_and_text_name_and_describe_it(self) -> None:
        document = parse("# Folding paper\n\n![badge](x)\n\nTurns squares\ninto birds.\n\nMore.")
        assert document.skill_name == "paper-folding"
        assert document.description == "Folding paper. Turns squares into birds."
        assert document.problems == (
            "There is no frontmatter; the name is taken from the folder and the description from the text.",
        )

    def test_a_missing_name_is_the_folders(self) -> None:
        document = with_frontmatter("description: Folds.")
        assert document.skill_name == "paper-folding"
        assert document.problems == ("The frontmatter has no name; the folder's name was used.",)

    @pytest.mark.parametrize("empty", ["", "~", "null", "''", "[]"])
    def test_an_empty_description_is_missing(self, empty: str) -> None:
        document = with_frontmatter(f"name: a\ndescription: {empty}", "# Cranes\n\nHow to fold them.")
        assert document.description == "Cranes. How to fold them."
        assert document.problems == ("The frontmatter has no description; the beginning of the text was used.",)

    def test_a_description_from_the_text_passes_over_code(self) -> None:
        assert parse("```\ncode\n\ncode\n```\n\nProse.").description == "Prose."

    def test_a_description_from_the_text_ends_between_words(self) -> None:
        description = parse("word " * 1_000).description
        assert len(description) <= 1_024
        assert description.endswith(" word")

    def test_a_document_of_code_alone_has_no_description(self) -> None:
        assert parse("```\ncode\n```").description == ""

    def test_a_document_in_no_folder_still_has_a_name(self) -> None:
        assert parse_document(b"Text.", Found(path="/SKILL.md", root="/")).skill_name == "skill"


class TestInvalidYaml:
    def test_an_unquoted_colon_in_the_description_is_read_as_written(self) -> None:
        document = with_frontmatter("name: a\ndescription: Use when: folding (default: paper).\nlicense: MIT")
        assert document.description == "Use when: folding (default: paper)."
        assert document.license == "MIT"
        assert document.problems == (
            "The frontmatter is not valid YAML (line 3 has ': ' in a value without quotes); it was read line by line.",
        )

    def test_what_is_valid_beside_it_is_read_as_yaml(self) -> None:
        document = with_frontmatter("description: a: b\nmetadata:\n  category: x\n  list: [1, two]\nname: 'n'")
        assert (document.skill_name, document.metadata) == ("n", {"category": "x", "list": ["1", "two"]})

    @pytest.mark.parametrize(
        "block",
        [
            "description: one: two\n  three",
            "description: one: two\nthree",
            'description: "one: two three" ',
            "description: >\n\tone: two\n\tthree",
        ],
    )
    def test_a_value_of_several_lines_is_joined(self, block: str) -> None:
        assert with_frontmatter(f"{block}\nlicense: [").description.strip('"') == "one: two three"

    def test_a_literal_block_keeps_its_lines(self) -> None:
        assert with_frontmatter("name: a\ndescription: |\n\tone\n\ttwo").description == "one\ntwo"

    def test_quotes_around_an_invalid_value_are_removed(self) -> None:
        assert with_frontmatter(r'description: "say \"hi\" \z"').description == 'say "hi" \\z'

    def test_a_quote_that_is_never_closed_is_removed(self) -> None:
        assert with_frontmatter('description: "Folds a crane.\nname: a').description == "Folds a crane."

    def test_flow_values_followed_by_text_are_read_as_written(self) -> None:
        document = with_frontmatter("name: a\nargument-hint: [date] [reason]\ndescription: b")
        assert document.metadata == {"argument-hint": "[date] [reason]"}

    def test_an_invalid_line_inside_metadata_spoils_only_itself(self) -> None:
        document = with_frontmatter("name: a\nmetadata:\n  category: x\n  note: b: c")
        assert document.metadata == {"category": "x", "note": "b: c"}

    def test_marks_of_a_merge_conflict_are_left_out(self) -> None:
        block = "name: a\ndescription: b\n<<<<<<< Updated upstream\nlicense: MIT\n=======\n>>>>>>> Stashed"
        document = with_frontmatter(block)
        assert (document.description, document.license) == ("b", "MIT")

    def test_emphasis_that_yaml_takes_for_an_alias_is_read_as_written(self) -> None:
        assert with_frontmatter("description: *Folds* paper.").description == "*Folds* paper."

    def test_a_word_that_yaml_takes_for_a_tag_is_read_as_written(self) -> None:
        assert with_frontmatter("description: !Important folds.").description == "!Important folds."

    def test_repeated_keys_are_reported_and_the_last_counts(self) -> None:
        document = with_frontmatter("name: a\nname: b\ndescription: c")
        assert document.skill_name == "b"
        assert document.problems == ("The frontmatter gives 'name' more than once; the last value was used.",)

    def test_of_many_repeated_keys_three_are_named(self) -> None:
        document = with_frontmatter("name: a\ndescription: b\n" + "\n".join(f"k{i}: 1\nk{i}: 2" for i in range(9)))
        assert document.problems == ("The frontmatter gives 'k0', 'k1', 'k2' more than once; the last value was used.",)

    def test_deep_nesting_is_refused_and_the_rest_is_read(self) -> None:
        document = with_frontmatter(f"name: a\ndescription: b\nx: {'[' * 5_000}{']' * 5_000}")
        assert (document.skill_name, document.description) == ("a", "b")
        assert "nested more than 50 levels deep" in document.problems[0]

    def test_an_alias_bomb_stays_as_small_as_it_was_written(self) -> None:
        levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)]
        document = with_frontmatter("\n".join(["name: a", "l0: &l0 lol", *levels]))
        assert document.skill_name == "a"
        assert len(msgspec.json.encode(document.metadata)) < document.size_bytes * 2
        assert "anchors or aliases" in document.problems[0]

    def test_of_huge_values_the_beginning_is_read(self) -> None:
        filler = "  filler\n" * 20_000
        document = with_frontmatter(f"name: a\ndescription: b\nx: |\n{filler}license: MIT")
        assert (document.skill_name, document.description, document.license) == ("a", "b", "MIT")
        assert len(document.metadata["x"]) < 17_000
        assert document.problems == (
            "The frontmatter is very long; only 16 KiB of each value were read.",
            "The frontmatter is not valid YAML (it is longer than 64 KiB); it was read line by line.",
        )


class TestFrontmatterBorders:
    NOT_CLOSED = "The frontmatter is not closed by a '---' line."

    def test_unclosed_frontmatter_ends_where_markdown_begins(self) -> None:
        document = parse("---\nname: a\ndescription: b\n\n# Title\n\nText.")
        assert (document.skill_name, document.description, document.body) == ("a", "b", "# Title\n\nText.")
        assert document.problems == (self.NOT_CLOSED,)

    def test_unclosed_frontmatter_may_be_all_there_is(self) -> None:
        document = parse("---\nname: a\ndescription: b")
        assert (document.description, document.body, document.problems) == ("b", "", (self.NOT_CLOSED,))

    def test_unclosed_frontmatter_does_not_swallow_the_text_up_to_a_rule(self) -> None:
        document = parse("---\nname: a\ndescription: b\n\n# Title\n\nText of it.\n\n---\n\nEnd.")
        assert document.body == "# Title\n\nText of it.\n\n---\n\nEnd."
        assert document.problems == (self.NOT_CLOSED,)

    def test_an_indented_closing_line_is_taken_with_the_body_indented_like_it(self) -> None:
        document = parse("---\nname: a\ndescription: |\n  b\n\n  ---\n\n  # Title\n\n  Text.")
        assert (document.description, document.body) == ("b", "# Title\n\nText.")

    @pytest.mark.parametrize("above", ["\n\n", "<!-- from a template -->\n", "> See also.\n\n"])
    def test_frontmatter_may_start_a_little_late(self, above: str) -> None:
        document = parse(f"{above}---\nname: a\ndescription: b\n---\n\nText.")
        assert (document.skill_name, document.description) == ("a", "b")
        assert document.body.endswith("Text.")
        assert document.problems == ("The frontmatter does not start on the first line.",)

    def test_what_stands_above_late_frontmatter_stays_in_the_body(self) -> None:
        assert parse("> See also.\n\n---\nname: a\n---\nText.").body == "> See also.\n\nText."

    def test_frontmatter_may_lack_its_opening_line(self) -> None:
        document = parse("name: a\ndescription: b\n---\nText.")
        assert (document.skill_name, document.description, document.body) == ("a", "b", "Text.")
        assert document.problems == ("The frontmatter has no '---' line above it.",)

    def test_dots_close_frontmatter(self) -> None:
        assert parse("---\nname: a\ndescription: b\n...\nText.").body == "Text."

    @pytest.mark.parametrize(
        "text",
        [
            "---\n\n# Title\n\nProse between rules.\n\n---\n\nMore.",
            "---\n- a\n- b\n---\nMore.",
            "# Title\n\n---\nname: an example\n---",
            "```yaml\n---\nname: an example\n---\n```",
            "---\n\n# Title\n\nProse below a rule.",
        ],
    )
    def test_rules_and_examples_are_not_frontmatter(self, text: str) -> None:
        document = parse(text)
        assert (document.skill_name, document.body) == ("paper-folding", text)

    def test_a_rule_below_frontmatter_belongs_to_the_body(self) -> None:
        assert with_frontmatter("name: a\ndescription: b", "\n---\n\nText.").body == "---\n\nText."

    def test_keys_are_known_in_any_case_and_with_underscores(self) -> None:
        document = with_frontmatter("Name: a\nDescription: b\nallowed_tools: [Read]")
        assert (document.skill_name, document.description, document.allowed_tools) == ("a", "b", ("Read",))

    @pytest.mark.parametrize("block", ["Name: A\nname: a\ndescription: b", "name: a\nName: A\ndescription: b"])
    def test_of_several_spellings_of_a_key_the_usual_one_counts(self, block: str) -> None:
        document = with_frontmatter(block)
        assert document.skill_name == "a"
        assert len(document.problems) == 1
        assert "gives 'name' in several spellings" in document.problems[0]
        assert document.problems[0].endswith("'name' is used.")

    def test_an_empty_key_gives_way_to_its_other_spelling(self) -> None:
        document = with_frontmatter("name: a\ndescription:\nDescription: b")
        assert document.description == "b"
        assert len(document.problems) == 1
        assert document.problems[0].endswith("('description', 'Description'); 'Description' is used.")


class TestValues:
    @pytest.mark.parametrize("written", ["2024-01-31", "1.10", "007", "yes", "0x1F"])
    def test_a_name_is_the_text_that_was_written(self, written: str) -> None:
        document = with_frontmatter(f"name: {written}\ndescription: b")
        assert (document.skill_name, document.problems) == (written, ())

    def test_a_description_that_is_a_list_is_read_as_text(self) -> None:
        document = with_frontmatter("name: a\ndescription:\n  - folds\n  - unfolds")
        assert document.description == "folds, unfolds"
        assert document.problems == ("The description is a list or a mapping; it was read as text.",)

    def test_white_space_in_a_name_is_collapsed(self) -> None:
        assert with_frontmatter('name: "  Fold \\n a\\u3000crane "').skill_name == "Fold a crane"

    def test_a_name_that_is_not_normalised_is_reported(self) -> None:
        document = with_frontmatter("name: fu\u0308r\ndescription: b")
        assert document.skill_name == "f\u00fcr"
        assert document.problems == ("The name was normalised (invisible characters, Unicode form) to 'f\u00fcr'.",)

    @pytest.mark.parametrize("character", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad", "\U000e0041"])
    @pytest.mark.parametrize("form", ["a{}b", '"a{}b"', '"a{escape}b"'])
    def test_invisible_characters_in_names_and_descriptions_are_removed_and_reported(
        self, character: str, form: str
    ) -> None:
        written = form.format(character, escape=f"\\U{ord(character):08x}")
        document = with_frontmatter(f"name: {written}\ndescription: {written}")
        assert (document.skill_name, document.description) == ("ab", "ab")
        assert len(document.problems) == 1
        assert "invisible characters" in document.problems[0]

    def test_a_name_is_cut_at_200_characters(self) -> None:
        document = with_frontmatter(f"name: {'n' * 300}\ndescription: b")
        assert document.skill_name == "n" * 200
        assert document.problems == ("The name is too long; its first 200 characters were kept.",)

    def test_a_description_is_cut_at_10000_characters(self) -> None:
        document = with_frontmatter(f"name: a\ndescription: {'d' * 10_001}")
        assert document.description == "d" * 10_000
        assert document.problems == ("The description is too long; its first 10,000 characters were kept.",)

    def test_the_metadata_category_comes_before_the_top_level_one(self) -> None:
        assert with_frontmatter("name: a\ncategory: top\nmetadata: {category: inner}").category == "inner"

    def test_a_top_level_category_counts(self) -> None:
        assert with_frontmatter("name: a\ncategory: top").category == "top"

    @pytest.mark.parametrize("category", ["[a, b]", "{a: b}", "~", "''"])
    def test_a_category_that_is_not_text_is_none(self, category: str) -> None:
        assert with_frontmatter(f"name: a\ncategory: {category}").category is None

    def test_other_keys_are_kept_as_metadata_below_the_documents_own(self) -> None:
        document = with_frontmatter("name: a\nversion: 1\ntags: [x]\nmetadata: {version: 2}")
        assert document.metadata == {"version": "2", "tags": ["x"]}

    def test_metadata_that_is_not_a_mapping_is_kept_as_text_and_reported(self) -> None:
        document = with_frontmatter("name: a\ndescription: b\nmetadata: just text")
        assert document.metadata == {"metadata": "just text"}
        assert document.problems == ("The metadata is not a mapping; it was kept as text.",)


class TestReading:
    def test_reads_a_document_from_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "SKILL.md").write_text(WELL_FORMED)
        document = read_document(Found(path=str(tmp_path / "SKILL.md"), root=str(tmp_path)))
        assert (document.skill_name, document.content_hash) == ("fold-crane", content_hash(WELL_FORMED.encode()))

    def test_a_document_at_the_limit_is_read(self, tmp_path: Path) -> None:
        with (tmp_path / "SKILL.md").open("wb") as file:
            file.truncate(MAX_DOCUMENT_BYTES)
        assert len(read_bytes(Found(path=str(tmp_path / "SKILL.md"), root=""))) == MAX_DOCUMENT_BYTES

    def test_a_larger_document_is_unparsable_and_says_how_large_it_is(self, tmp_path: Path) -> None:
        with (tmp_path / "SKILL.md").open("wb") as file:
            file.truncate(MAX_DOCUMENT_BYTES + 1)
        with pytest.raises(UnparsableDocument) as raised:
            read_bytes(Found(path=str(tmp_path / "SKILL.md"), root=""))
        assert raised.value.reason == "the document is 10.1 MiB; the limit is 10 MiB"

    def test_a_document_that_is_gone_is_unparsable(self, tmp_path: Path) -> None:
        with pytest.raises(UnparsableDocument, match="no such file or directory"):
            read_bytes(Found(path=str(tmp_path / "SKILL.md"), root=""))

    def test_a_document_that_became_a_fifo_is_unparsable_and_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "SKILL.md")
        with pytest.raises(UnparsableDocument, match="not a regular file"):
            read_bytes(Found(path=str(tmp_path / "SKILL.md"), root=""))

    @pytest.mark.parametrize("target", ["../../secret", "{}/secret", "/etc/passwd"])
    def test_a_document_that_became_a_link_out_of_its_root_is_unparsable(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "secret").write_text(WELL_FORMED)
        folder = tmp_path / "root" / "skill"
        folder.mkdir(parents=True)
        (folder / "SKILL.md").symlink_to(target.format(tmp_path))
        with pytest.raises(UnparsableDocument, match="the link leads out of the root"):
            read_bytes(Found(path=str(folder / "SKILL.md"), root=str(tmp_path / "root")))

    @pytest.mark.parametrize("target", ["../.shared/SKILL.md", "README.md", "{}/root/.shared/SKILL.md"])
    def test_a_document_may_be_a_link_within_its_root(self, tmp_path: Path, target: str) -> None:
        folder = tmp_path / "root" / "skill"
        for path in (folder / "README.md", tmp_path / "root" / ".shared" / "SKILL.md"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(WELL_FORMED)
        (folder / "SKILL.md").symlink_to(target.format(tmp_path))
        found = Found(path=str(folder / "SKILL.md"), root=str(tmp_path / "root"))
        assert read_document(found).skill_name == "fold-crane"

    @pytest.mark.parametrize("target", [".env", "../.git/config"])
    def test_a_document_may_not_be_a_link_to_a_hidden_file(self, tmp_path: Path, target: str) -> None:
        for path in (tmp_path / "skill" / ".env", tmp_path / ".git" / "config"):
            path.parent.mkdir(exist_ok=True)
            path.write_text("API_KEY=1")
        (tmp_path / "skill" / "SKILL.md").symlink_to(target)
        with pytest.raises(UnparsableDocument, match="it is hidden"):
            read_bytes(Found(path=str(tmp_path / "skill" / "SKILL.md"), root=str(tmp_path)))

    def test_a_document_that_became_a_folder_is_unparsable(self, tmp_path: Path) -> None:
        with pytest.raises(UnparsableDocument):
            read_bytes(Found(path=str(tmp_path), root=""))


def check(raw: bytes) -> None:
    try:
        document = parse_document(raw, FOUND)
    except UnparsableDocument:
        return
    assert document.skill_name
    msgspec.json.encode(document)
    shown = [document.skill_name, document.description, document.body, str(document.category)]
    assert all(character.isprintable() or not character < " " or character in "\n\t" for character in "".join(shown))


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    check(raw)


FRAGMENTS = ["---", "\n", "\n\n", "  ", "name: ", "description: ", "metadata:", ": ", "- ", "# ", "```", "|", ">", '"']
FRAGMENTS += [
    "'",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "\\x00",
    "\\ud800",
    "\t",
    "\r\n",
    "\ufeff",
    "...",
    "%YAML",
    " #",
    "#x",
    "+++",
    "***",
    "name = ",
    "```yaml\n",
    "<!--",
    "-->",
    "allowed-tools: ",
    "(",
    ")",
    "\u200b",
    "\u00a0",
    "\uff1a",
    "\u201c",
    "\u201d",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=40))
def test_any_mixture_of_markup_is_read_or_refused(parts: list[str]) -> None:
    for start in ("---\n", ""):
        check((start + "".join(parts)).encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.text(), st.text())
def test_quoted_json_values_are_read_as_they_are(name: str, description: str) -> None:
    encoded = msgspec.json.encode({"name": name, "description": description}).decode()
    document = parse(f"---\n{encoded}\n---\nText.")
    unusual_spaces = [0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F]
    blanks = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160), *unusual_spaces], " ")
    expected = description.replace("\r\n", "\n").translate(blanks).strip()
    if document.problems == () and expected:
        assert document.description == expected
