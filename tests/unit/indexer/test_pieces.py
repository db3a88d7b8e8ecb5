from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.discovery import Found
from indexer.document import SkillDocument, parse_document
from indexer.markdown import read_lines
from indexer.pieces import HEAD_CHARS, MAX_PIECES, PIECE_CHARS, Piece, embedded_text, piece_texts, split

PARAGRAPH = "Fold the corner to the middle and press the edge flat. " * 8


def document(body: str, name: str = "fold-crane", description: str = "Folds a crane.") -> SkillDocument:
    text = f'---\nname: "{name}"\ndescription: "{description}"\n---\n{body}'
    return parse_document(text.encode(), Found(path="/r/x/SKILL.md", root="/r"))


def body_pieces(body: str) -> list[Piece]:
    return split(document(body))[1:]


class TestSummary:
    def test_the_first_piece_is_the_name_as_spoken_and_the_description(self) -> None:
        assert split(document("Text.", "fold-paper_crane"))[0] == Piece(
            ordinal=0, kind="summary", heading="", text="fold paper crane: Folds a crane.", start=0, end=0
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
        assert [piece.text for piece in body_pieces("# A\n\nOne.\n\n## B\n\nTwo.")] == ["# A\n\nOne.\n\n## B\n\nTwo."]

    def test_a_piece_ends_before_a_heading_when_it_is_long_enough(self) -> None:
        pieces = body_pieces(f"# A\n\n{PARAGRAPH}\n\n# B\n\nTwo.")
        assert [piece.heading for piece in pieces] == ["A", "B"]

    def test_a_heading_stays_with_what_is_below_it(self) -> None:
        body = f"{PARAGRAPH}\n\n## B\n\n{PARAGRAPH}\n\n## C\n\n### D\n\n{PARAGRAPH * 3}"
        assert not [piece for piece in body_pieces(body) if re.search(r"^#+ \w$\Z", piece.text, re.MULTILINE)]

    def test_a_piece_is_named_by_the_heading_nearest_above_it(self) -> None:
        pieces = body_pieces(f"# A\n\n## B ##\n\n{PARAGRAPH}\n\n{PARAGRAPH}\n\n{PARAGRAPH}")
        assert {piece.heading for piece in pieces} == {"B"}

    def test_a_comment_in_code_is_no_heading(self) -> None:
        code = "```bash\n# not a heading\nls\n```"
        assert [piece.heading for piece in body_pieces(f"# A\n\n{code}\n\n{PARAGRAPH}")] == ["A"]

    def test_a_code_block_is_kept_whole_when_it_fits(self) -> None:
        code = "```\n" + "line\n\n" * 150 + "```"
        assert code in [piece.text for piece in body_pieces(f"{PARAGRAPH}\n\n{code}\n\n{PARAGRAPH}")]

    def test_paragraphs_are_kept_whole_when_they_fit(self) -> None:
        pieces = body_pieces("\n\n".join([PARAGRAPH] * 6))
        assert [piece.text.count(PARAGRAPH.strip()) for piece in pieces] == [2, 2, 2]


class TestCutting:
    def test_a_long_paragraph_is_cut_between_sentences(self) -> None:
        pieces = body_pieces(PARAGRAPH * 10)
        assert all(piece.text.endswith("flat.") for piece in pieces)
        assert all(len(piece.text) > PIECE_CHARS // 2 for piece in pieces[:-1])

    def test_a_long_list_is_cut_between_lines(self) -> None:
        pieces = body_pieces("\n".join(f"- item {i}. and more of it" for i in range(200)))
        assert all(piece.text.startswith("- item") for piece in pieces)

    def test_text_without_sentences_is_cut_between_words(self) -> None:
        pieces = body_pieces("word " * 1_000)
        assert all(set(piece.text.split()) == {"word"} for piece in pieces)

    def test_chinese_is_cut_at_its_own_sentence_ends(self) -> None:
        pieces = body_pieces("把纸的一角折到中间，然后压平。" * 300)
        assert all(piece.text.endswith("。") for piece in pieces)

    def test_chinese_without_punctuation_is_cut_to_size(self) -> None:
        pieces = body_pieces("紙" * 5_000)
        assert "".join(piece.text for piece in pieces) == "紙" * 5_000
        assert max(len(piece.text) for piece in pieces) == PIECE_CHARS

    def test_latin_words_inside_chinese_are_not_cut(self) -> None:
        pieces = body_pieces("用paper折" * 1_000)
        assert sum(piece.text.count("paper") for piece in pieces) == 1_000

    def test_a_composed_character_is_not_cut(self) -> None:
        pieces = body_pieces("か\u3099" * 2_000)
        assert all(piece.text.startswith("か") for piece in pieces)

    def test_a_word_longer_than_a_piece_is_cut(self) -> None:
        pieces = body_pieces("x" * 3_000)
        assert [len(piece.text) for piece in pieces] == [1_200, 1_200, 600]

    @pytest.mark.parametrize("length", [80_000, 1_000_000])
    def test_a_very_long_document_gets_longer_pieces_and_loses_nothing(self, length: int) -> None:
        body = (PARAGRAPH + "\n\n") * (length // len(PARAGRAPH))
        pieces = body_pieces(body)
        assert len(pieces) < MAX_PIECES
        assert [word for piece in pieces for word in piece.text.split()] == body.split()


class TestEmbeddedText:
    def test_is_the_name_the_description_and_the_head_of_the_body(self) -> None:
        assert embedded_text(document("# Title\n\nText.")) == "fold crane. Folds a crane.\n# Title\n\nText."

    def test_takes_the_beginning_of_a_long_body(self) -> None:
        assert embedded_text(document("x" * 5_000)).count("x") == HEAD_CHARS

    def test_is_never_empty(self) -> None:
        assert embedded_text(document("", "---", ""))

    def test_pieces_are_embedded_with_the_name_of_their_document(self) -> None:
        short = document("# Title\n\nText.", "fold-paper_crane")
        assert piece_texts(short, split(short)) == ["fold paper crane. # Title\n\nText."]

    def test_the_first_three_body_pieces_are_embedded_in_order(self) -> None:
        long = document((PARAGRAPH + "\n\n") * 20)
        pieces = split(long)
        assert len(pieces) > 5
        assert piece_texts(long, pieces) == [f"fold crane. {piece.text}" for piece in pieces[1:4]]

    def test_a_document_without_body_has_no_piece_to_embed(self) -> None:
        assert piece_texts(document(""), split(document(""))) == []


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
def test_pieces_hold_every_character_but_white_space_in_order(body: str) -> None:
    whole = document(body)
    pieces = split(whole)
    assert [piece.ordinal for piece in pieces] == list(range(len(pieces)))
    position = 0
    for piece in pieces[1:]:
        assert not whole.body[position : piece.start].strip()
        assert piece.text == whole.body[piece.start : piece.end] == piece.text.strip() != ""
        position = piece.end
    assert not whole.body[position:].strip()


@settings(deadline=None)
@given(BODIES)
def test_pieces_are_neither_too_long_nor_too_many(body: str) -> None:
    pieces = split(document(body))
    assert all(len(piece.text) <= PIECE_CHARS for piece in pieces[1:])
    assert len(pieces) <= MAX_PIECES


@settings(deadline=None)
@given(BODIES)
def test_a_word_that_fits_a_piece_is_not_cut(body: str) -> None:
    whole = document(body)
    borders = {piece.end for piece in split(whole)[1:]} | {piece.start for piece in split(whole)[1:]}
    for word in re.finditer(r"(?<!\S)[A-Za-z]+(?!\S)", whole.body):
        if len(word[0]) <= PIECE_CHARS:
            assert not borders & set(range(word.start() + 1, word.end()))
