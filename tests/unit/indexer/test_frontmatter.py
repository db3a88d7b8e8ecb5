"""Frontmatter as people write it: each odd form is read, and reported."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from indexer.frontmatter import Frontmatter, read_frontmatter

KEYS = "name: frogs\ndescription: Fold paper frogs.\n"
BLOCK = f"---\n{KEYS}---\n"
LATE = "The frontmatter does not start on the first line."
KEPT = "A value without quotes contains ' #', which starts a comment in YAML; its text was kept."
INVISIBLE = "The frontmatter contains invisible characters or unusual spaces; they were removed."
IN_CODE = "The frontmatter is inside a code block."


def read_block(block: str) -> Frontmatter:
    return read_frontmatter(f"---\n{block}\n---\nText.")


def assert_frogs(read: Frontmatter, *, body: str = "# Fold\n\nSteps.") -> None:
    assert (read.values.get("name"), read.values.get("description")) == ("frogs", "Fold paper frogs.")
    assert read.body == body


class TestHashes:
    @pytest.mark.parametrize(
        "description",
        [
            "Close PR #12 after the merge",
            "Write the note for the #deployments channel",
            "#deployments gets a note",
            "Use # and ## for headings",
            "Fix ##12 and #13",
            "Fold paper. # TODO",
        ],
    )
    def test_a_description_is_kept_whole(self, description: str) -> None:
        read = read_block(f"name: a\ndescription: {description}\nlicense: MIT")
        assert read.values == {"name": "a", "description": description, "license": "MIT"}
        assert read.problems == (KEPT,)

    @pytest.mark.parametrize(
        "lines",
        [
            "Post to\n  #deployments when\n  main is merged",
            "Post to #deployments when\n  main is merged",
            "Post to #deployments\n  when main\n  is merged",
        ],
    )
    def test_a_description_of_several_lines_is_kept_whole(self, lines: str) -> None:
        read = read_block(f"name: a\ndescription: {lines}")
        assert read.values["description"] == " ".join(lines.split())
        assert read.problems == (KEPT,)

    def test_a_last_line_that_begins_with_a_hash_is_kept(self) -> None:
        assert read_block("description: Post to\n  #deployments").values["description"] == "Post to #deployments"

    @pytest.mark.parametrize("style", [">", "|", ">-"])
    def test_folded_and_literal_text_is_no_problem(self, style: str) -> None:
        read = read_block(f"name: a\ndescription: {style}\n  Post to #deployments and\n  #releases")
        assert str(read.values["description"]).split() == ["Post", "to", "#deployments", "and", "#releases"]
        assert read.problems == ()

    @pytest.mark.parametrize("value", ["'b' #c", '"b" #c', "b # c", "b   # c"])
    def test_comments_behind_other_values_stay_comments(self, value: str) -> None:
        read = read_block(f"name: a\nlicense: {value}")
        assert (read.values["license"], read.problems) == ("b", ())

    def test_a_comment_behind_the_name_is_left_out_and_reported(self) -> None:
        read = read_block("name: fold-crane # the name\ndescription: b")
        assert read.values["name"] == "fold-crane"
        assert read.problems == ("The text after ' #' in the name is a YAML comment; it was left out.",)

    def test_a_number_in_the_name_is_kept(self) -> None:
        assert read_block("name: issue #12 helper").values["name"] == "issue #12 helper"

    def test_comments_on_lines_of_their_own_stay_comments(self) -> None:
        block = "#name: old\nname: a\nmetadata:\n  #version: 1\n  a: b\n  # note\n  c: d\ntags:\n  - x\n  #- y\n  - z"
        read = read_block(block)
        assert read.values == {"name": "a", "metadata": {"a": "b", "c": "d"}, "tags": ["x", "z"]}
        assert read.problems == ()

    @pytest.mark.parametrize("tags", ["[ci, #deploy, x]", "\n  - ci\n  - #deploy\n  - x"])
    def test_hashes_in_lists_are_kept(self, tags: str) -> None:
        read = read_block(f"name: a\ntags: {tags}")
        assert read.values["tags"] == ["ci", "#deploy", "x"]
        assert read.problems == (KEPT,)

    def test_hashes_in_a_block_that_is_no_yaml_are_kept(self) -> None:
        read = read_block("name: a\ndescription: Use when: see #12 now\nlicense: x #1")
        assert (read.values["description"], read.values["license"]) == ("Use when: see #12 now", "x #1")

    def test_a_document_that_uses_every_stand_in_is_read(self) -> None:
        every = "".join(map(chr, range(0xE000, 0xF900)))
        assert read_block(f"name: a\ndescription: b #12 {every}").values["name"] == "a"


class TestAbove:
    @pytest.mark.parametrize(
        "above",
        [
            "<!-- banner: do not edit -->\n",
            "<!--\n" + "  a line of a notice\n" * 40 + "-->\n",
            "<!-- a -->\n\n<!-- b\n-->\n\n",
            "# SPDX-License-Identifier: MIT\n",
            "# Copyright 2024 ACME\n#\n# Licensed under the Apache License\n# you may not use it\n\n",
            "#!/usr/bin/env claude\n",
            "# vim: set ft=markdown:\n",
            "<!-- -*- mode: markdown -*- -->\n",
            "// Copyright 2024 ACME\n// All rights reserved\n\n",
            "/*\n * Copyright\n */\n",
            "[//]: # (a comment)\n",
            "{% raw %}\n",
            "{{/* a comment */}}\n",
            "<?xml version='1.0'?>\n",
            "%YAML 1.2\n",
            "---\n",
            "---\n\n",
            "---\n# license: MIT\n",
            "\n \n\t\n",
        ],
    )
    @pytest.mark.parametrize("block", [BLOCK, f"---\nlicense: MIT\n{KEYS}---\n", f"---\n# internal\n{KEYS}---\n"])
    def test_comments_and_licences_are_passed_over(self, above: str, block: str) -> None:
        read = read_frontmatter(f"{above}{block}\n# Fold\n\nSteps.\n")
        assert_frogs(read)
        assert read.problems == (LATE,)

    @pytest.mark.parametrize("above", ["Copyright 2024 ACME.", "> **Note** generated.", "# Frogs", "-*- mode: md -*-"])
    def test_other_text_belongs_to_the_body(self, above: str) -> None:
        read = read_frontmatter(f"{above}\n\n---\nlicense: MIT\n{KEYS}---\nText.\n")
        assert_frogs(read, body=f"{above}\n\nText.")
        assert read.problems == (LATE,)

    @pytest.mark.parametrize("above", ["\u200b", "\ufeff", "\u200b\ufeff\u2060", "\u200e", "\u00ad"])
    def test_invisible_characters_before_the_fence_are_removed(self, above: str) -> None:
        read = read_frontmatter(f"{above}{BLOCK}\n# Fold\n\nSteps.\n")
        assert_frogs(read)
        assert read.problems == (INVISIBLE,)

    @pytest.mark.parametrize("above", ["\u200b\n", "\n\ufeff"])
    def test_a_line_of_invisible_characters_is_a_blank_one(self, above: str) -> None:
        assert_frogs(read_frontmatter(f"{above}{BLOCK}\n# Fold\n\nSteps.\n"))

    @pytest.mark.parametrize(
        "text",
        [
            f"# How to write skills\n\nThey have frontmatter:\n\n{BLOCK}Text.",
            f"# Frogs\n\n## More\n\n{BLOCK}Text.",
            f"```sh\n{BLOCK}```\nText.",
            "<!-- never closed\n" * 11 + BLOCK,
            "A line.\n" * 11 + BLOCK,
            "Text.\n\n---\nlicense: MIT\n---\nText.",
            "***\n\n# Title\n\n***\n\nText.",
            "# Title\n\n---\n\nname\n\n---",
        ],
    )
    def test_blocks_further_down_are_not_frontmatter(self, text: str) -> None:
        read = read_frontmatter(text)
        assert (read.present, read.body) == (False, text.rstrip())


class TestCodeBlocks:
    CODE = "```sh\nls\n```"

    @pytest.mark.parametrize("mark", ["```", "~~~", "````"])
    @pytest.mark.parametrize("language", ["", "yaml", "md", "markdown", "Markdown", " yml"])
    def test_a_document_in_a_code_block_is_taken_out_of_it(self, mark: str, language: str) -> None:
        body = f"# Fold\n\n{self.CODE}\n\nSteps."
        read = read_frontmatter(f"{mark}{language}\n{BLOCK}\n{body}\n{mark}\n")
        assert_frogs(read, body=body)
        assert read.problems == (IN_CODE,)

    @pytest.mark.parametrize("block", [BLOCK, KEYS, f"---\n{KEYS}"])
    @pytest.mark.parametrize("above", ["", "<!-- a comment -->\n"])
    def test_frontmatter_in_a_code_block_is_taken_out_of_it(self, block: str, above: str) -> None:
        body = f"# Fold\n\n{self.CODE}"
        read = read_frontmatter(f"{above}```yaml\n{block}```\n\n{body}\n")
        assert_frogs(read, body=body)
        assert read.problems == (IN_CODE,)

    def test_a_code_block_that_is_never_closed_does_no_harm(self) -> None:
        assert_frogs(read_frontmatter(f"```markdown\n{BLOCK}\n# Fold\n\nSteps."))


class TestFences:
    @pytest.mark.parametrize("fence", ["***", "___", "--", "\u2014", "\u2014-", "- - -", "===", "+++"])
    def test_other_lines_than_three_dashes_are_understood(self, fence: str) -> None:
        read = read_frontmatter(f"{fence}\n{KEYS}{fence}\n\n# Fold\n\nSteps.")
        assert_frogs(read)
        assert read.problems == (f"The frontmatter is enclosed in '{fence}' lines instead of '---'.",)

    @pytest.mark.parametrize("indent", ["  ", "\t", "    "])
    def test_an_indented_document_is_read_without_its_indent(self, indent: str) -> None:
        text = f"{BLOCK}\n# Fold\n\nSteps."
        read = read_frontmatter("\n".join(indent + line for line in text.split("\n")))
        assert_frogs(read)
        assert read.problems == ("The frontmatter is indented.",)

    def test_keys_indented_by_tabs_are_read(self) -> None:
        assert_frogs(read_block("\tname: frogs\n\tdescription: Fold paper frogs."), body="Text.")

    def test_tabs_behind_colons_are_spaces(self) -> None:
        read = read_block("name:\tfrogs\ndescription:\tFold paper frogs.\t")
        assert_frogs(read, body="Text.")
        assert read.problems == ()

    def test_toml_is_read(self) -> None:
        block = 'name = "frogs"\ndescription = "Fold paper frogs."\nversion = 1.10\ntags = ["#a"]\nday = 2024-01-02\n'
        read = read_frontmatter(f"+++\n{block}[metadata]\nok = true\n+++\n# Fold\n\nSteps.")
        assert_frogs(read)
        assert {key: read.values[key] for key in ("version", "tags", "day", "metadata")} == {
            "version": "1.10",
            "tags": ["#a"],
            "day": "2024-01-02",
            "metadata": {"ok": "true"},
        }
        assert read.problems == ("The frontmatter is written in TOML; most agents read YAML only.",)

    def test_invalid_toml_is_read_line_by_line(self) -> None:
        read = read_frontmatter("+++\nname = 'frogs'\ndescription = Fold paper frogs.\n+++\n# Fold\n\nSteps.")
        assert_frogs(read)
        assert "The frontmatter is not valid TOML; it was read line by line." in read.problems

    def test_frontmatter_without_an_opening_line_may_begin_with_any_key(self) -> None:
        assert_frogs(read_frontmatter(f"license: MIT\n{KEYS}---\n# Fold\n\nSteps."))


class TestCharacters:
    def test_invisible_characters_and_spaces_are_cleaned_and_reported(self) -> None:
        read = read_frontmatter(
            "---\n\u200bname: fr\u200bogs\ndescription:\u00a0Fold \u202epaper\u202c frogs.\n---\u200b\nText."
        )
        assert_frogs(read, body="Text.")
        assert read.problems == (INVISIBLE,)

    def test_invisible_characters_that_yaml_escapes_bring_in_are_removed_and_reported(self) -> None:
        read = read_block('name: "fr\\u200bogs"\ndescription: Fold paper frogs.')
        assert_frogs(read, body="Text.")
        assert read.problems == (INVISIBLE,)

    def test_joiners_that_scripts_and_emoji_need_are_kept(self) -> None:
        text = "می\u200cخواهم \U0001f468\u200d\U0001f469 \u2764\ufe0f"
        read = read_block(f"name: a\ndescription: {text}")
        assert (read.values["description"], read.problems) == (text, ())

    def test_typographic_spaces_inside_a_text_are_no_problem(self) -> None:
        assert read_block("name: a\ndescription: «\u00a0grue\u00a0»").problems == ()

    @pytest.mark.parametrize(
        "block",
        [
            "name：折り紙\ndescription：折る。",
            "name:折り紙\ndescription:折る。",
            "name: “折り紙”\ndescription: “折る。”",
        ],
    )
    def test_unusual_colons_and_quotes_are_understood(self, block: str) -> None:
        read = read_block(block)
        assert read.values == {"name": "折り紙", "description": "折る。"}
        assert read.problems == ("The frontmatter has unusual colons, spaces or quotes; they were corrected.",)

    def test_an_address_is_no_key(self) -> None:
        assert read_block("name: a\ndescription: b\nlicense: https://x").values["license"] == "https://x"


class TestRepeatedAndLong:
    TWICE = "The frontmatter gives 'description' more than once; the last value was used."

    def test_a_key_that_is_repeated_in_a_block_that_is_no_yaml_is_reported(self) -> None:
        read = read_block("name: a: b\ndescription: one\ndescription: two")
        assert read.values["description"] == "two"
        assert self.TWICE in read.problems

    @pytest.mark.parametrize("name", ["a", "a: b"])
    def test_an_empty_repetition_does_not_count(self, name: str) -> None:
        read = read_block(f"name: {name}\ndescription: one\ndescription:")
        assert read.values["description"] == "one"
        assert self.TWICE in read.problems

    @pytest.mark.parametrize("quote", ["", '"', "'"])
    def test_of_a_very_long_description_the_beginning_is_read_and_the_keys_below_it_count(self, quote: str) -> None:
        read = read_block(f"description: {quote}{'words ' * 20_000}{quote}\nname: a")
        assert str(read.values["description"]).startswith("words words")
        assert len(str(read.values["description"])) > 10_000
        assert read.values["name"] == "a"
        assert "The frontmatter is very long; only 16 KiB of each value were read." in read.problems

    def test_text_between_two_quoted_parts_is_kept(self) -> None:
        assert read_block('description: "Folds" and "unfolds"').values["description"] == '"Folds" and "unfolds"'


@pytest.mark.parametrize("start", ["", "---\nname: a\n---\n"])
def test_hundreds_of_thousands_of_blank_lines_take_little_memory(start: str) -> None:
    text = start + "\n" * 400_000 + "x"
    tracemalloc.start()
    read_frontmatter(text)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20 * 1024 * 1024


@pytest.mark.parametrize(
    "block",
    [
        "---\nname: a\n" + " " * 200_000 + "x\u00a0\n---\n",
        "--\nname: a\n" + "-" * 200_000 + "x\n--\n",
        "- - -\nname: a\n" + "- " * 200_000 + "x\n- - -\n",
        "# " + "vi " * 100_000 + "\n---\nname: a\n---\n",
        "---\nname: " + "\u201c\u201d" * 100_000 + "\n---\n",
        "---\nname: a\ndescription: " + " #x" * 20_000 + "\n---\n",
        "+++\na = " + "[" * 30_000 + "\n+++\n",
        "<!--\n" * 100_000,
    ],
)
def test_hostile_lines_cost_little(block: str) -> None:
    started = time.process_time()
    read_frontmatter(block)
    assert time.process_time() - started < 5
