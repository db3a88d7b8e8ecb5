"""Parses the bytes of a SKILL.md; whatever is wrong with it is repaired and reported."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import msgspec

from indexer.allowed_tools import read_tools
from indexer.characters import replace_control_characters
from indexer.decoding import NotText, decode
from indexer.discovery import Found
from indexer.frontmatter import read_frontmatter
from indexer.markdown import read_lines
from indexer.naming import MAX_NAME_CHARS, normalise_name
from indexer.opening import LeadsOutside, NotOpened, TooLarge, opened_folder, read_below
from indexer.yaml_values import Value
from migrations.errors import SkillrankError

MAX_DOCUMENT_BYTES = 10 * 1024 * 1024
MAX_DESCRIPTION_CHARS = 10_000
MAX_DERIVED_DESCRIPTION_CHARS = 1_024

# A missing description is derived from the beginning of the text.
_SEARCHED_CHARS = 64 * 1024
_MIB = 1024 * 1024
_NOT_PROSE = re.compile(r"[ \t]*(?:\[?!\[|<|\||(?:[-*_][ \t]*){3,}$)")
_KNOWN_KEYS = frozenset({"name", "description", "category", "license", "compatibility", "allowed-tools", "metadata"})
_ALIASES = {"allowedtools": "allowed-tools", "licence": "license"}


class UnparsableDocument(SkillrankError):
    """A document cannot be indexed.

    Attributes
    ----------
    path : str
    reason : str
        Why, without a capital letter and a full stop.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class SkillDocument(msgspec.Struct, frozen=True, kw_only=True):
    r"""A parsed SKILL.md.

    Attributes
    ----------
    path : str
        Absolute path of the file.
    root : str
        The root below which it was found.
    folder : str
        Name of the folder that contains it.
    skill_name : str
        The declared name, or else the folder's; normalised (`indexer.naming.normalise_name`), never empty, not unique.
    description : str
        At most 10,000 characters; empty only when the document has no prose either.
    body : str
        The Markdown below the frontmatter. Lines end with ``\n``; the only control characters are tabs.
    category : str or None
    license : str or None
    compatibility : str or None
    allowed_tools : tuple of str
    metadata : dict
        The frontmatter's `metadata` and all keys that have no attribute here, as JSON values; scalars are the text
        that was written.
    content_hash : str
        See `content_hash`.
    size_bytes : int
    problems : tuple of str
        What was wrong and how it was repaired, one sentence each.
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
    """Return the SHA-256 of a document's bytes as 64 hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


def read_document(found: Found) -> SkillDocument:
    """Read and parse one document.

    Raises
    ------
    UnparsableDocument
    """
    return parse_document(read_bytes(found), found)


def read_bytes(found: Found) -> bytes:
    """Read a document of at most 10 MiB, without blocking and without leaving its root.

    The document must be a regular file or a link to one below its root. The folders above it must not have been
    replaced by links since it was found.

    Raises
    ------
    UnparsableDocument
        When it is larger, is not a regular file, leads out of its root or cannot be read.
    """
    path, root = PurePath(found.path), PurePath(found.root)
    try:
        try:
            return _read_below(path.parent, path)
        except LeadsOutside:
            if root not in path.parent.parents:
                raise
            return _read_below(root, path)
    except LeadsOutside as error:
        raise UnparsableDocument(found.path, "the link leads out of the root, so it is not read") from error
    except TooLarge as error:
        # Rounded up: never shown as the limit itself.
        shown_mib = math.ceil(error.size_bytes / _MIB * 10) / 10
        reason = f"the document is {shown_mib:.1f} MiB; the limit is {MAX_DOCUMENT_BYTES // _MIB} MiB"
        raise UnparsableDocument(found.path, reason) from error
    except NotOpened as error:
        raise UnparsableDocument(found.path, str(error)) from error


def _read_below(base: PurePath, path: PurePath) -> bytes:
    with opened_folder(str(base)) as folder:
        relative = str(path.relative_to(base))
        return read_below(folder, str(base), relative, limit_bytes=MAX_DOCUMENT_BYTES, hidden=True)


def parse_document(raw: bytes, found: Found) -> SkillDocument:
    """Parse a document and repair what can be repaired; the result's `problems` name every repair.

    Raises
    ------
    UnparsableDocument
        When it is binary or empty. No bytes raise anything else.
    """
    problems: list[str] = []
    text = _decode(raw, found.path, problems)
    frontmatter = read_frontmatter(text)
    problems.extend(frontmatter.problems)
    values = _by_plain_key(frontmatter.values, problems)
    if not frontmatter.body and not _text(values.get("name")) and not _text(values.get("description")):
        raise UnparsableDocument(found.path, "it is empty")
    folder = found.flat_name or Path(found.path).parent.name
    if not frontmatter.present and found.flat_name is None:
        problems.append("There is no frontmatter; the name is taken from the folder and the description from the text.")
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
        allowed_tools=read_tools(values.get("allowed-tools")),
        metadata=metadata,
        content_hash=content_hash(raw),
        size_bytes=len(raw),
        problems=tuple(problems),
    )


def _decode(raw: bytes, path: str, problems: list[str]) -> str:
    try:
        decoded = decode(raw)
    except NotText as error:
        raise UnparsableDocument(path, str(error)) from error
    if decoded.problem:
        problems.append(decoded.problem)
    text, count = replace_control_characters(decoded.text.replace("\r\n", "\n").replace("\r", "\n"))
    if count:
        problems.append(f"The document contains control characters; they were replaced by spaces ({count}).")
    return text


def _by_plain_key(values: Mapping[str, Value], problems: list[str]) -> dict[str, Value]:
    """Return the values by normalised key; of several spellings the usual one is used, unless it is empty."""
    spellings: dict[str, list[str]] = {}
    for key in values:
        spellings.setdefault(_plain_key(key), []).append(key)
    plain: dict[str, Value] = {}
    for key, written in spellings.items():
        usual_first = sorted(written, key=lambda spelling: spelling != key)
        counts = next((spelling for spelling in usual_first if _text(values[spelling])), usual_first[0])
        plain[key] = values[counts]
        if len(written) > 1 and key in _KNOWN_KEYS:
            shown = ", ".join(f"'{spelling}'" for spelling in written)
            problems.append(f"The frontmatter gives '{key}' in several spellings ({shown}); '{counts}' is used.")
    return plain


def _plain_key(key: str) -> str:
    plain = key.strip().lower().replace("_", "-")
    return _ALIASES.get(plain, plain)


def _text(value: Value) -> str:
    """Return any value as text; the items of lists and mappings are joined by commas."""
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
            problems.append("The name is a list or a mapping; it was read as text.")
        elif len(written.strip()) > len(name) == MAX_NAME_CHARS:
            problems.append(f"The name is too long; its first {MAX_NAME_CHARS} characters were kept.")
        elif " ".join(written.split()) != name:
            problems.append(f"The name was normalised (invisible characters, Unicode form) to '{name}'.")
        return name
    if frontmatter_present:
        problems.append("The frontmatter has no name; the folder's name was used.")
    return normalise_name(folder) or "skill"


def _read_description(values: Mapping[str, Value], body: str, problems: list[str], *, frontmatter_present: bool) -> str:
    written = values.get("description")
    description = _text(written)
    if not description:
        if frontmatter_present:
            problems.append("The frontmatter has no description; the beginning of the text was used.")
        return _derive_description(body)
    if not isinstance(written, str):
        problems.append("The description is a list or a mapping; it was read as text.")
    if len(description) > MAX_DESCRIPTION_CHARS:
        problems.append(f"The description is too long; its first {MAX_DESCRIPTION_CHARS:,} characters were kept.")
    return description[:MAX_DESCRIPTION_CHARS].rstrip()


def _derive_description(body: str) -> str:
    """Return the first heading and the first paragraph of prose, if any."""
    heading = ""
    paragraph: list[str] = []
    for line in read_lines(body[:_SEARCHED_CHARS]):
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
    own = next((value for key, value in values.items() if _plain_key(key) == "metadata" and value), None)
    if isinstance(own, dict):
        metadata.update(own)
    elif own is not None:
        problems.append("The metadata is not a mapping; it was kept as text.")
        metadata["metadata"] = own
    return metadata


def _read_category(metadata: Mapping[str, Any], values: Mapping[str, Value]) -> str | None:
    for value in (metadata.get("category"), values.get("category")):
        if isinstance(value, str) and (category := normalise_name(value)):
            return category
    return None
