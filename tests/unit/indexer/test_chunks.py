from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.chunks import CHUNK_CHARS, HEAD_CHARS, MAX_CHUNKS, Chunk, chunk_texts, embedded_text, split
from indexer.discovery import Found
from indexer.document import SkillDocument, parse_document
from indexer.markdown import read_lines

PARAGRAPH = "Fold the corner to the middle and press the edge flat. " * 8


def document(body: str, name: str = "fold-crane", description: str = "Folds a crane.") -> SkillDocument:
    text = f'---\nname: "{name}"\ndescription: "{description}"\n---\n{body}'
    return parse_document(text.encode(), Found(path="/r/x/SKILL.md", root="/r"))


def body_chunks(body: str) -> list[Chunk]:
    return split(document(body))[1:]


class TestSummary:
    def test_the_first_chunk_is_the_name_as_spoken_and_the_description(self) -> None:
        assert split(document("Text.", "fold-paper_crane"))[0] == Chunk(
            ordinal=0, kind="summary", heading="", text="fold paper crane: Folds a crane.", span_start=0, span_end=0
        )

    def test_a_document_without_body_has_only_the_summary(self) -> None:
        assert len(split(document(""))) == 1

    def test_the_summary_of_a_document_without_description_is_its_name(self) -> None:
        silent = parse_document(b"```\ncode\n```", Found(path="/r/fold-crane/SKILL.md", root="/r"))
        assert split(silent)[0].text == "fold crane"

    def test_a_name_of_separators_alone_is_spoken_as_it_is(self) -> None:
        assert split(document("Text.", "---"))[0].text == "---: Folds a crane."


class TestSections:
    def test_small_sections_are_packed_together(self) -> None:
        assert [chunk.text for chunk in body_chunks("# A\n\nOne.\n\n## B\n\nTwo.")] == ["# A\n\nOne.\n\n## B\n\nTwo."]

    def test_a_chunk_ends_before_a_heading_when_it_is_long_enough(self) -> None:
        chunks = body_chunks(f"# A\n\n{PARAGRAPH}\n\n# B\n\nTwo.")
        assert [chunk.heading for chunk in chunks] == ["A", "B"]

    def test_a_heading_stays_with_what_is_below_it(self) -> None:
        body = f"{PARAGRAPH}\n\n## B\n\n{PARAGRAPH}\n\n## C\n\n### D\n\n{PARAGRAPH * 3}"
        assert not [chunk for chunk in body_chunks(body) if re.search(r"^#+ \w$\Z", chunk.text, re.MULTILINE)]

    def test_a_chunk_is_named_by_the_heading_nearest_above_it(self) -> None:
        chunks = body_chunks(f"# A\n\n## B ##\n\n{PARAGRAPH}\n\n{PARAGRAPH}\n\n{PARAGRAPH}")
        assert {chunk.heading for chunk in chunks} == {"B"}

    def test_a_comment_in_code_is_no_heading(self) -> None:
        code = "```bash\n# not a heading\nls\n```"
        assert [chunk.heading for chunk in body_chunks(f"# A\n\n{code}\n\n{PARAGRAPH}")] == ["A"]

    def test_a_code_block_is_kept_whole_when_it_fits(self) -> None:
        code = "```\n" + "line\n\n" * 150 + "```"
        assert code in [chunk.text for chunk in body_chunks(f"{PARAGRAPH}\n\n{code}\n\n{PARAGRAPH}")]

    def test_paragraphs_are_kept_whole_when_they_fit(self) -> None:
        chunks = body_chunks("\n\n".join([PARAGRAPH] * 6))
        assert [chunk.text.count(PARAGRAPH.strip()) for chunk in chunks] == [2, 2, 2]


class TestCutting:
    def test_a_long_paragraph_is_cut_between_sentences(self) -> None:
        chunks = body_chunks(PARAGRAPH * 10)
        assert all(chunk.text.endswith("flat.") for chunk in chunks)
        assert all(len(chunk.text) > CHUNK_CHARS // 2 for chunk in chunks[:-1])

    def test_a_long_list_is_cut_between_lines(self) -> None:
        chunks = body_chunks("\n".join(f"- item {i}. and more of it" for i in range(200)))
        assert all(chunk.text.startswith("- item") for chunk in chunks)

    def test_text_without_sentences_is_cut_between_words(self) -> None:
        chunks = body_chunks("word " * 1_000)
        assert all(set(chunk.text.split()) == {"word"} for chunk in chunks)

    def test_chinese_is_cut_at_its_own_sentence_ends(self) -> None:
        chunks = body_chunks("把纸的一角折到中间，然后压平。" * 300)
        assert all(chunk.text.endswith("。") for chunk in chunks)

    def test_chinese_without_punctuation_is_cut_to_size(self) -> None:
        chunks = body_chunks("紙" * 5_000)
        assert "".join(chunk.text for chunk in chunks) == "紙" * 5_000
        assert max(len(chunk.text) for chunk in chunks) == CHUNK_CHARS

    def test_latin_words_inside_chinese_are_not_cut(self) -> None:
        chunks = body_chunks("用paper折" * 1_000)
        assert sum(chunk.text.count("paper") for chunk in chunks) == 1_000

    def test_a_composed_character_is_not_cut(self) -> None:
        chunks = body_chunks("か\u3099" * 2_000)
        assert all(chunk.text.startswith("か") for chunk in chunks)

    def test_a_word_longer_than_a_chunk_is_cut(self) -> None:
        chunks = body_chunks("x" * 3_000)
        assert [len(chunk.text) for chunk in chunks] == [1_200, 1_200, 600]

    @pytest.mark.parametrize("length", [80_000, 1_000_000])
    def test_a_very_long_document_gets_longer_chunks_and_loses_nothing(self, length: int) -> None:
        body = (PARAGRAPH + "\n\n") * (length // len(PARAGRAPH))
        chunks = body_chunks(body)
        assert len(chunks) < MAX_CHUNKS
        assert [word for chunk in chunks for word in chunk.text.split()] == body.split()


class TestEmbeddedText:
    def test_is_the_name_the_description_and_the_head_of_the_body(self) -> None:
        assert embedded_text(document("# Title\n\nText.")) == "fold crane. Folds a crane.\n# Title\n\nText."

    def test_takes_the_beginning_of_a_long_body(self) -> None:
        assert embedded_text(document("x" * 5_000)).count("x") == HEAD_CHARS

    def test_is_never_empty(self) -> None:
        assert embedded_text(document("", "---", ""))

    def test_chunks_are_embedded_with_the_name_of_their_document(self) -> None:
        short = document("# Title\n\nText.", "fold-paper_crane")
        assert chunk_texts(short, split(short)) == ["fold paper crane. # Title\n\nText."]

    def test_the_first_three_body_chunks_are_embedded_in_order(self) -> None:
        long = document((PARAGRAPH + "\n\n") * 20)
        chunks = split(long)
        assert len(chunks) > 5
        assert chunk_texts(long, chunks) == [f"fold crane. {chunk.text}" for chunk in chunks[1:4]]

    def test_a_document_without_body_has_no_chunk_to_embed(self) -> None:
        assert chunk_texts(document(""), split(document(""))) == []


class TestReadLines:
    @pytest.mark.parametrize(
        ("line", "title"),
        [("# A", "A"), ("###### A b ##", "A b"), ("# C#", "C#"), ("   ## A", "A"), ("#", ""), ("## ##", "")],
    )
    def test_headings_have_a_title(self, line: str, title: str) -> None:
        assert [(each.kind, each.title) for each in read_lines(line)] == [("heading", title)]

    @pytest.mark.parametrize("line", ["#tag", "####### A", "    # A", "A # B"])
    def test_what_only_looks_like_a_heading_is_prose(self, line: str) -> None:
        assert [each.kind for each in read_lines(line)] == ["prose"]

    @pytest.mark.parametrize("fence", ["```", "~~~~"])
    def test_code_ends_at_a_fence_of_its_own_kind(self, fence: str) -> None:
        other = "~~~" if fence == "```" else "```"
        kinds = [line.kind for line in read_lines(f"{fence}py\n# x\n{other}\n\n{fence}\nend")]
        assert kinds == ["fence", "code", "code", "code", "fence", "prose"]

    def test_inline_code_of_three_backticks_opens_nothing(self) -> None:
        assert [line.kind for line in read_lines("```x``` y\n# A")] == ["prose", "heading"]

    def test_code_that_is_never_closed_goes_to_the_end(self) -> None:
        assert [line.kind for line in read_lines("```\n# x\n")] == ["fence", "code", "code"]

    @settings(deadline=None)
    @given(st.text(alphabet="# `~\nab", max_size=60))
    def test_lines_are_the_whole_text(self, text: str) -> None:
        lines = list(read_lines(text))
        assert "\n".join(line.text for line in lines) == text
        assert all(text[line.start : line.start + len(line.text)] == line.text for line in lines)


BLOCKS = [
    "# Heading\n",
    "## C#\n",
    "\n\n",
    "\n",
    "```\n",
    "~~~\n",
    "- item\n",
    "Some words here. ",
    "x" * 700,
    "  ",
    "> q\n",
]
BLOCKS += ["紙を折る。" * 60, "word " * 300, "が" * 500, "👩\u200d🚀" * 200, "\u2028", "a" * 1_300]

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
BODIES = st.lists(st.sampled_from(BLOCKS) | ANY_TEXT, max_size=30).map("".join)


@settings(deadline=None)
@given(BODIES)
def test_chunks_hold_every_character_but_white_space_in_order(body: str) -> None:
    whole = document(body)
    chunks = split(whole)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    position = 0
    for chunk in chunks[1:]:
        assert not whole.body[position : chunk.span_start].strip()
        assert chunk.text == whole.body[chunk.span_start : chunk.span_end] == chunk.text.strip() != ""
        position = chunk.span_end
    assert not whole.body[position:].strip()


@settings(deadline=None)
@given(BODIES)
def test_chunks_are_neither_too_long_nor_too_many(body: str) -> None:
    chunks = split(document(body))
    assert all(len(chunk.text) <= CHUNK_CHARS for chunk in chunks[1:])
    assert len(chunks) <= MAX_CHUNKS


@settings(deadline=None)
@given(BODIES)
def test_a_word_that_fits_a_chunk_is_not_cut(body: str) -> None:
    whole = document(body)
    borders = {chunk.span_end for chunk in split(whole)[1:]} | {chunk.span_start for chunk in split(whole)[1:]}
    for word in re.finditer(r"(?<!\S)[A-Za-z]+(?!\S)", whole.body):
        if len(word[0]) <= CHUNK_CHARS:
            assert not borders & set(range(word.start() + 1, word.end()))


def test_a_document_of_very_many_paragraphs_is_cut_within_little_memory() -> None:
    whole = document("a\n\n" * 20_000)
    tracemalloc.start()
    chunks = split(whole)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chunks) <= MAX_CHUNKS
    # The chunks themselves are a copy of the body.
    assert peak_bytes < 4 * len(whole.body)
