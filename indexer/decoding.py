"""Decodes text files, in the same way for indexing and for serving them."""

from __future__ import annotations

import codecs
import re

import msgspec

# Longest marks first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"}

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ASCII = re.compile(r"[\t\n\r\x20-\x7e]")
# UTF-16 without a mark is recognised if at least this share of it is ASCII, as frontmatter is.
_LEAST_ASCII = 0.1

# Letters and typographic signs of Western European text in Windows-1252 and Latin-1.
_WESTERN = re.compile(rb"[\x80\x84\x85\x8a\x8c\x8e\x91-\x97\x99\x9a\x9c\x9e-\xff]{1,3}")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")

# A file with a larger share of undecodable text is not worth serving.
_MOST_LOST = 0.1


class NotText(Exception):
    """Bytes are not text; the message says why."""


class Decoded(msgspec.Struct, frozen=True):
    r"""A decoded file.

    Attributes
    ----------
    text : str
        Without byte order marks at its start; newlines as they are in the file.
    problem : str or None
        What is unusual about the encoding, as a sentence.
    garbled : bool
        Whether more than a tenth of the text could not be decoded.
    """

    text: str
    problem: str | None
    garbled: bool


def decode(raw: bytes) -> Decoded:
    """Decode UTF-8, UTF-16 or UTF-32 with or without a byte order mark, and Windows-1252.

    Other bytes are read as UTF-8, with U+FFFD in place of what is invalid.

    Raises
    ------
    NotText
        When the bytes contain NUL and are neither UTF-16 nor UTF-32.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _decode_as(raw.removeprefix(mark), encoding)
    if b"\0" in raw:
        guessed = _guess_utf16(raw)
        if guessed is None:
            raise NotText("it contains NUL bytes, so it is not text")
        return _decode_as(raw, guessed)
    return _decode_as(raw, "utf-8")


def _decode_as(raw: bytes, encoding: str) -> Decoded:
    problem = None
    garbled = False
    if encoding in _SHOWN:
        problem = f"The document is encoded in {_SHOWN[encoding]}; most agents read UTF-8 only."
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8" and _is_western(raw):
            text = raw.decode("cp1252")
            problem = "The document is not encoded in UTF-8; it was read as Windows-1252."
        else:
            text = raw.decode(encoding, errors="replace")
            problem = "Some bytes are not valid in the encoding of the document; they were replaced by U+FFFD."
            garbled = text.count("\N{REPLACEMENT CHARACTER}") > len(text) * _MOST_LOST
    unmarked = text.lstrip("\N{BYTE ORDER MARK}")
    if problem is None and len(unmarked) < len(text):
        problem = "The document begins with more than one byte order mark; they were removed."
    return Decoded(unmarked, problem, garbled)


def _guess_utf16(raw: bytes) -> str | None:
    """Return the byte order in which the bytes are text with enough ASCII and without control characters, if any."""
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        sample = text[:4096]
        if not _CONTROL.search(text) and len(_ASCII.findall(sample)) >= len(sample) * _LEAST_ASCII:
            return encoding
    return None


def _is_western(raw: bytes) -> bool:
    """Whether bytes that are not UTF-8 look like Windows-1252: short runs of high bytes that are common there.

    Encodings of other scripts have long runs of high bytes, and damaged UTF-8 still has valid sequences.
    """
    runs = _HIGH_RUN.findall(raw)
    return all(_WESTERN.fullmatch(run) for run in runs) and not any(_is_utf8(run) for run in runs)


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True
