"""A skill as a package: its verbatim frontmatter, and every file with size and digest (SEP-2640, "Skill Entries")."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
import yaml

from indexer.discovery import DOCUMENT_NAME
from indexer.opening import NotOpened, files_below, opened_folder, read_below
from store.contract.catalogue import SkillRecord
from store.errors import NotFound
from store.protocol import Store

SCHEME: Final = "skill://"
# What every host must accept of one skill; a larger one is not offered as a package.
MAX_FILES: Final = 512
MAX_BYTES: Final = 16 * 1024 * 1024

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_NAME: Final = 64
_FRONTMATTER: Final = re.compile(rb"\A---[ \t]*\r?\n(.*?\r?\n)---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_FRONTMATTER_BYTES: Final = 64 * 1024


class PackagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a package; `digest` is the SHA-256 of its raw bytes, as ``sha256:`` and 64 hexadecimal digits."""

    file: str
    uri: str
    digest: str
    size_bytes: int


class SkillPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that a host can load and verify. `files` is complete, without hidden files, and begins with SKILL.md."""

    uri: str
    frontmatter: dict[str, Any]
    files: list[PackagedFile]


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, by which a few bytes could become gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def package_uri(skill: SkillRecord, file: str = "SKILL.md") -> str:
    """Return the URI of a skill's file: the parts of its name as the path, the last of which is its declared name."""
    *prefix, _ = skill.skill_name.split(":")
    path = [*prefix, skill.declared_name or skill.skill_name, *file.split("/")]
    return SCHEME + "/".join(quote(part, safe="") for part in path)


def read_package(skill: SkillRecord) -> SkillPackage | None:
    """Return a skill as a package; None when it is none.

    That is a document that is not named SKILL.md, has no frontmatter that reads as plain YAML, or a name or description
    that the format does not allow, and a folder that cannot be read or is over the limits.
    """
    if skill.document_path is None or skill.removed_at is not None:
        return None
    path = PurePath(skill.document_path)
    if path.name.lower() != DOCUMENT_NAME:
        return None
    try:
        with opened_folder(str(path.parent)) as folder:
            raw = _read_all(folder, str(path.parent))
    except NotOpened:
        return None
    frontmatter = _frontmatter(raw.get(path.name, b""))
    if frontmatter is None or frontmatter["name"] != skill.declared_name:
        return None
    ordered = sorted(raw, key=lambda name: (name != path.name, name))
    return SkillPackage(
        uri=package_uri(skill),
        frontmatter=frontmatter,
        files=[_packaged(skill, name, raw[name], is_document=name == path.name) for name in ordered],
    )


def find_packaged(store: Store, uri: str) -> tuple[SkillRecord, str]:
    """Return the served skill that a URI points into, and the file there.

    Raises
    ------
    NotFound
        When no served skill has a file space of that name; whether the file exists is not looked at.
    """
    parts = [unquote(part) for part in uri.removeprefix(SCHEME).split("/")]
    if not uri.startswith(SCHEME) or len(parts) < 2:  # noqa: PLR2004  a name and a file
        raise NotFound("skill", uri)
    # The longest name wins: a file of `a` may lie in a folder that is called like the skill `a:b`.
    names = [":".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
    found = store.skills_named(names)
    for end, name in zip(range(len(parts) - 1, 0, -1), names, strict=True):
        if name in found:
            return found[name], "/".join(parts[end:])
    raise NotFound("skill", uri)


def _read_all(folder: int, base: str) -> dict[str, bytes]:
    """Return every file below a folder. Raises `NotOpened` when one cannot be read or they are over the limits."""
    names = files_below(folder, base, limit=MAX_FILES + 1)
    if len(names) > MAX_FILES:
        raise NotOpened(f"it has more than {MAX_FILES} files")
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    for name in names:
        found[name] = read_below(folder, base, name, limit_bytes=left)
        left -= len(found[name])
    return found


def _packaged(skill: SkillRecord, name: str, raw: bytes, *, is_document: bool) -> PackagedFile:
    return PackagedFile(
        file=name,
        uri=package_uri(skill, "SKILL.md" if is_document else name),
        digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        size_bytes=len(raw),
    )


def _frontmatter(raw: bytes) -> dict[str, Any] | None:
    match = _FRONTMATTER.match(raw)
    if match is None or len(match[1]) > _MAX_FRONTMATTER_BYTES:
        return None
    try:
        read = yaml.load(match[1].decode("utf-8"), Loader=_PlainLoader)  # noqa: S506  a SafeLoader without aliases
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    name, description = (read.get("name"), read.get("description")) if isinstance(read, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(description, str) or not description.strip():
        return None
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        return None
    verbatim: dict[str, Any] = _as_json(read)
    return verbatim


def _as_json(value: Any) -> Any:
    """Return a YAML value as JSON has it: keys are text, dates are written out, what JSON lacks is written as text."""
    if isinstance(value, dict):
        return {str(key): _as_json(cell) for key, cell in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_as_json(cell) for cell in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
