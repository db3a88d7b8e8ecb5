from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.decoding import NotText, decode

TEXT = "---\r\nname: prüfen\r\n---\r\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_read_by_their_mark_and_reported(encoding: str) -> None:
    decoded = decode(f"\ufeff{TEXT}".encode(encoding))
    assert decoded.text == TEXT
    assert decoded.problem == f"The document is encoded in {encoding[:6].upper()}; most agents read UTF-8 only."


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [TEXT, "---\nname: 折り紙\ndescription: 紙を折る。\n---\n"])
def test_utf16_without_its_mark_is_recognised(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


def test_one_mark_is_removed_without_a_word() -> None:
    decoded = decode(codecs.BOM_UTF8 + b"text")
    assert (decoded.text, decoded.problem) == ("text", None)


@pytest.mark.parametrize("marks", [2, 3])
def test_several_marks_are_removed_and_reported(marks: int) -> None:
    decoded = decode(codecs.BOM_UTF8 * marks + b"text")
    assert decoded.text == "text"
    assert decoded.problem == "The document begins with more than one byte order mark; they were removed."


@pytest.mark.parametrize("text", ["Prüfe Rechnungen", "«naïve»", "C’est œuvre – 5 € …", "Größe", "ÄÖÜ"])
def test_western_text_is_read_as_windows_1252(text: str) -> None:
    decoded = decode(text.encode("cp1252"))
    assert decoded.text == text
    assert decoded.problem == "The document is not encoded in UTF-8; it was read as Windows-1252."


@pytest.mark.parametrize(
    "raw", ["折り紙で鶴を折る。".encode("shift_jis"), "Сложить журавля".encode("cp1251"), "折纸鹤".encode("gbk")]
)
def test_other_encodings_are_not_taken_for_windows_1252(raw: bytes) -> None:
    decoded = decode(b"---\nname: a\n---\n" + raw)
    assert decoded.text.startswith("---\nname: a\n---\n")
    assert "\ufffd" in decoded.text
    assert decoded.problem == "Some bytes are not valid in the encoding of the document; they were replaced by U+FFFD."


def test_a_damaged_byte_among_utf8_costs_only_itself() -> None:
    decoded = decode("Größe und Maß\n".encode() * 9 + b"\xff")
    assert decoded.text.count("\ufffd") == 1
    assert not decoded.garbled


def test_a_file_of_which_much_cannot_be_decoded_is_garbled() -> None:
    assert decode(b"\x89PNG\xff").garbled


@pytest.mark.parametrize("raw", [b"\x7fELF\0\0", b"\0", b"a\0b", b"text\0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_binary_files_are_no_text(raw: bytes) -> None:
    with pytest.raises(NotText, match="NUL bytes"):
        decode(raw)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        decode(raw)
    except NotText:
        assert b"\0" in raw
