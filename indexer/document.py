"""Turns the bytes of a SKILL.md into what is indexed; whatever is wrong with it is repaired and said."""

from __future__ import annotations

import codecs
import hashlib
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from indexer.discovery import Found
from indexer.frontmatter import Value, read_frontmatter, replace_control_characters
from indexer.markdown import read_lines
from indexer.naming import MAX_NAME_CHARS, normalise_name
from migrations.errors import SkillrankError

MAX_DOCUMENT_BYTES = 10 * 1024 * 1024
MAX_DESCRIPTION_CHARS = 10_000
MAX_DERIVED_DESCRIPTION_CHARS = 1_024

_MIB = 1024 * 1024
_NOT_PROSE = re.compile(r"[ \t]*(?:\[?!\[|<|\||(?:[-*_][ \t]*){3,}$)")
_TOOL = re.compile(r"[^\s,(]+(?:\([^)]*\)?)?")
_KNOWN_KEYS = frozenset({"name", "description", "category", "license", "compatibility", "allowed-tools", "metadata"})


class UnparsableDocument(SkillrankError):
    """A document cannot be indexed at all.

    Attributes
    ----------
    path : str
    reason : str
        What is the matter, as half a sentence.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class SkillDocument(msgspec.Struct, frozen=True, kw_only=True):
    r"""What a SKILL.md says.

    Attributes
    ----------
    path : str
        Absolute real path of the file.
    root : str
        The root it was found below.
    folder : str
        Name of the folder it lies in.
    skill_name : str
        The declared name, or else the folder's; normalised (`indexer.naming.normalise_name`), never empty, not unique.
    description : str
        At most 10,000 characters; empty only when the document has nothing to say.
    body : str
        The Markdown below the frontmatter. Lines end with ``\n``; there are no control characters but tabs.
    category : str or None
    license : str or None
    compatibility : str or None
    allowed_tools : tuple of str
    metadata : dict
        The frontmatter's `metadata`, and every other key that has no attribute here. JSON values; scalars are text
        as it was written.
    content_hash : str
        See `content_hash`.
    size_bytes : int
    problems : tuple of str
        What was wrong and how it was read, one sentence each.
    """

    path: str
    root: str
    folder: str
    skill_name: str
    description: str
    body: str
    category: str | None
    license: str | None
    compatibility: str | None
    allowed_tools: tuple[str, ...]
    metadata: dict[str, Any]
    content_hash: str
    size_bytes: int
    problems: tuple[str, ...]


def content_hash(raw: bytes) -> str:
    """Return the SHA-256 of a document's bytes as 64 hexadecimal digits: equal exactly when the bytes are."""
    return hashlib.sha256(raw).hexdigest()


def read_document(found: Found) -> SkillDocument:
    """Read and parse one document.

    Raises
    ------
    UnparsableDocument
    """
    return parse_document(read_bytes(found), found)


def read_bytes(found: Found) -> bytes:
    """Read a document of at most 10 MiB. Nothing but a regular file is read, and nothing blocks.

    Raises
    ------
    UnparsableDocument
        When it is larger, is not a regular file or cannot be read.
    """
    try:
        with open(found.path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnparsableDocument(found.path, "it is not a regular file")
            _check_size(status.st_size, found.path)
            raw = file.read()
    except OSError as error:
        raise UnparsableDocument(found.path, (error.strerror or type(error).__name__).lower()) from error
    _check_size(len(raw), found.path)
    return raw


def _open_without_waiting(path: str, flags: int) -> int:
    # A file may have been replaced by a fifo since it was found; opening that would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_size(size_bytes: int, path: str) -> None:
    if size_bytes > MAX_DOCUMENT_BYTES:
        # Rounded up: never shown as the limit itself.
        shown_mib = math.ceil(size_bytes / _MIB * 10) / 10
        raise UnparsableDocument(
            path, f"the document is {shown_mib:.1f} MiB; the limit is {MAX_DOCUMENT_BYTES // _MIB} MiB"
        )


def parse_document(raw: bytes, found: Found) -> SkillDocument:
    """Parse a document, repairing what can be repaired; every repair is among the result's problems.

    Raises
    ------
    UnparsableDocument
        When it is binary or has nothing in it. Nothing else is raised, whatever the bytes.
    """
    problems: list[str] = []
    text = _decode(raw, found.path, problems)
    frontmatter = read_frontmatter(text)
    problems.extend(frontmatter.problems)
    values = _by_plain_key(frontmatter.values)
    if not frontmatter.body and not _text(values.get("name")) and not _text(values.get("description")):
        raise UnparsableDocument(found.path, "it is empty")
    folder = found.flat_name or Path(found.path).parent.name
    if not frontmatter.present and found.flat_name is None:
        problems.append("There is no frontmatter: the folder gives the name and the text the description.")
    metadata = _read_metadata(frontmatter.values, problems)
    return SkillDocument(
        path=found.path,
        root=found.root,
        folder=folder,
        skill_name=_read_name(
            values, folder, problems, frontmatter_present=frontmatter.present and found.flat_name is None
        ),
        description=_read_description(values, frontmatter.body, problems, frontmatter_present=frontmatter.present),
        body=frontmatter.body,
        category=_read_category(metadata, values),
        license=_text(values.get("license")) or None,
        compatibility=_text(values.get("compatibility")) or None,
        allowed_tools=_read_tools(values.get("allowed-tools")),
        metadata=metadata,
        content_hash=content_hash(raw),
        size_bytes=len(raw),
        problems=tuple(problems),
    )


def _decode(raw: bytes, path: str, problems: list[str]) -> str:
    encoding = "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
        problems.append("The document is encoded in UTF-16; most agents read UTF-8 only.")
    elif b"\0" in raw:
        raise UnparsableDocument(path, "it holds NUL bytes, so it is not text")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode(encoding, errors="replace")
        problems.append(
            "Some of the document is not valid text in its encoding; it reads as \N{REPLACEMENT CHARACTER}."
        )
    text, count = replace_control_characters(text.replace("\r\n", "\n").replace("\r", "\n"))
    if count:
        problems.append(f"The document holds control characters; they were made spaces ({count}).")
    return text


def _by_plain_key(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values by key in one spelling; the first of several spellings counts."""
    plain: dict[str, Value] = {}
    for key, value in values.items():
        plain.setdefault(_plain_key(key), value)
    return plain


def _plain_key(key: str) -> str:
    return key.strip().lower().replace("_", "-")


def _text(value: Value) -> str:
    """Read any value as text: lists and mappings as their items, separated by commas."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    items = value if isinstance(value, list) else [f"{key}: {_text(item)}" for key, item in value.items()]
    return ", ".join(part for part in map(_text, items) if part)


def _read_name(values: Mapping[str, Value], folder: str, problems: list[str], *, frontmatter_present: bool) -> str:
    written = values.get("name")
    name = normalise_name(_text(written))
    if name:
        if not isinstance(written, str):
            problems.append("The name is not text; it was read as if it were.")
        elif len(written.strip()) > len(name) == MAX_NAME_CHARS:
            problems.append(f"The name is too long; its first {MAX_NAME_CHARS} characters are kept.")
        return name
    if frontmatter_present:
        problems.append("The frontmatter has no name; the folder's name is used.")
    return normalise_name(folder) or "skill"


def _read_description(values: Mapping[str, Value], body: str, problems: list[str], *, frontmatter_present: bool) -> str:
    written = values.get("description")
    description = _text(written)
    if not description:
        if frontmatter_present:
            problems.append("The frontmatter has no description; the beginning of the text is used.")
        return _derive_description(body)
    if not isinstance(written, str):
        problems.append("The description is not text; it was read as if it were.")
    if len(description) > MAX_DESCRIPTION_CHARS:
        problems.append(f"The description is too long; its first {MAX_DESCRIPTION_CHARS:,} characters are kept.")
    return description[:MAX_DESCRIPTION_CHARS].rstrip()


def _derive_description(body: str) -> str:
    """Return the first heading and the first paragraph of prose, as far as there are such."""
    heading = ""
    paragraph: list[str] = []
    for line in read_lines(body):
        if line.kind == "prose" and not _NOT_PROSE.match(line.text):
            paragraph.append(line.text.strip())
        elif paragraph:
            break
        else:
            heading = heading or line.title
    description = ". ".join(part for part in (heading.rstrip("."), " ".join(paragraph)) if part)
    if len(description) <= MAX_DERIVED_DESCRIPTION_CHARS:
        return description
    cut = description[:MAX_DERIVED_DESCRIPTION_CHARS]
    return (cut.rpartition(" ")[0] or cut).rstrip()


def _read_metadata(values: Mapping[str, Value], problems: list[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {key: value for key, value in values.items() if _plain_key(key) not in _KNOWN_KEYS}
    own = next((value for key, value in values.items() if _plain_key(key) == "metadata"), None)
    if isinstance(own, dict):
        metadata.update(own)
    elif own is not None:
        problems.append("The metadata does not consist of keys and values; it is kept as text.")
        metadata["metadata"] = own
    return metadata


def _read_category(metadata: Mapping[str, Any], values: Mapping[str, Value]) -> str | None:
    for value in (metadata.get("category"), values.get("category")):
        if isinstance(value, str) and (category := normalise_name(value)):
            return category
    return None


def _read_tools(value: Value) -> tuple[str, ...]:
    """Read a list, or text that separates tools by commas or spaces; ``Bash(git add:*)`` is one tool."""
    if isinstance(value, list):
        return tuple(tool for tool in map(_text, value) if tool)
    return tuple(match[0] for match in _TOOL.finditer(_text(value)))
