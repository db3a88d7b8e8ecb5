"""What is printed fits its terminal: other encodings, few columns, pipes, and counts that agree."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from service.cli import output
from service.text import counted

ROWS = [
    (f"skill-number-{place}-with-a-name", f"{place * 1111:,}", "87% (71–95%)", "a few words that wrap")
    for place in range(3)
]
HEADERS = ("skill", "uses", "completed", "about")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    console = Console(file=written, width=60, height=25, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr(output, "_OUT", console)
    return written


def test_a_table_on_sixty_columns_cuts_no_word_and_no_figure(terminal: io.StringIO) -> None:
    output.table(HEADERS, ROWS)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    words = terminal.getvalue().split()
    for name, *cells in ROWS:
        assert name in words
        assert all(word in words for cell in cells for word in cell.split())


def test_a_table_that_is_too_wide_becomes_a_block_for_each_row(terminal: io.StringIO) -> None:
    output.table((*HEADERS, *(f"measure {place}" for place in range(8))), [(*row, *(["0.123"] * 8)) for row in ROWS])
    assert max(map(len, terminal.getvalue().splitlines())) <= 60
    assert "  completed: 87% (71–95%)" in terminal.getvalue().splitlines()


def test_text_is_wrapped_at_words_and_keeps_its_indent(terminal: io.StringIO) -> None:
    output.say("word " * 40, indent=4)
    lines = terminal.getvalue().splitlines()
    assert all(line.startswith("    word") and line == line.rstrip() and len(line) <= 60 for line in lines)


def test_paths_are_not_wrapped(terminal: io.StringIO) -> None:
    output.say("/a/path/" * 20, wrap=False)
    assert terminal.getvalue() == "/a/path/" * 20 + "\n"


def test_an_empty_line_is_a_line(terminal: io.StringIO) -> None:
    output.say()
    assert terminal.getvalue() == "\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "shift_jis", "utf-8"])
def test_no_encoding_of_the_terminal_is_too_small(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    output.prepare_streams()
    output.say("“日本” – é … ████ 👩 \udcff")
    output.table(HEADERS, ROWS)
    output.print_value("日本")
    output.print_document("日本\n\x1b[2J")
    output.print_json({"name": "日本 é"})
    sys.stdout.flush()
    printed = raw.getvalue().decode(encoding)
    assert json.loads(printed[printed.index("{") :]) == {"name": "日本 é"}
    if encoding == "ascii":
        assert printed.startswith('"\\u65e5\\u672c" - \\xe9 ... #### ')


def test_json_of_a_name_that_is_not_utf_8_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"path": "/skills/\udcff/SKILL.md"})
    assert json.loads(capsys.readouterr().out) == {"path": "/skills/\\xff/SKILL.md"}


def test_json_means_what_it_meant_though_nothing_in_it_acts(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "\x1b[2J \x9b31m \u202e \x7f 日本", "\u2066": ["\ufeff"]}
    output.print_json(value)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == value


def test_a_document_goes_into_a_pipe_unchanged_and_to_a_terminal_written_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.print_document("# E\x1b[2J\n\tindented\r\n")
    assert capsys.readouterr().out == "# E\x1b[2J\n\tindented\r\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_document("# E\x1b[2J\r\n\tinden\rted\n")
    assert capsys.readouterr().out == "# E^[[2J\n\tinden^Mted\n"


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 searches"), (1, "1 search"), (2, "2 searches"), (1200, "1,200 searches")]
)
def test_counts_agree_with_their_nouns(number: int, words: str) -> None:
    assert counted(number, "search", "searches") == words


def test_a_plural_is_formed_when_none_is_given() -> None:
    assert (counted(1, "day"), counted(3, "day")) == ("1 day", "3 days")
