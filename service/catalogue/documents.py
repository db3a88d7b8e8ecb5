"""Reads a skill's document and the files beside it, and nothing outside the skill's folder."""

from __future__ import annotations

import posixpath
from pathlib import PurePath
from typing import Final

import msgspec

from indexer.decoding import NotText, decode
from indexer.discovery import DOCUMENT_NAME, Found
from indexer.document import UnparsableDocument, read_bytes
from indexer.opening import NotOpened, TooLarge, files_below, opened_folder, read_below
from migrations.errors import SkillrankError
from store.contract.catalogue import SkillRecord
from store.errors import NotFound

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
MAX_LISTED: Final = 500

_SHOWN_PATH_CHARS: Final = 200


class DocumentUnavailable(SkillrankError):
    """A file of a skill cannot be read; the message says why."""


class SkillContent(msgspec.Struct, frozen=True, kw_only=True):
    """One text file of a skill and the names of the skill's files, at most 500. The text is untrusted."""

    skill_name: str
    file: str
    text: str
    size_bytes: int
    files: list[str]


class RawFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a skill as it lies there; `files` as in `SkillContent`."""

    file: str
    raw: bytes
    files: list[str]


def read_content(skill: SkillRecord, file: str | None) -> SkillContent:
    """Read the skill's document, or `file` beside it, decoded as the indexer decodes; otherwise as `read_raw`.

    Raises
    ------
    NotFound
    DocumentUnavailable
        Also when the file is not text.
    """
    found = read_raw(skill, file)
    is_document = found.file == PurePath(skill.document_path or "").name
    return SkillContent(
        skill_name=skill.skill_name,
        file=found.file,
        text=_decode(found.file, found.raw, is_document=is_document),
        size_bytes=len(found.raw),
        files=found.files,
    )


def read_raw(skill: SkillRecord, file: str | None) -> RawFile:
    """Read the bytes of the skill's document, or of `file` beside it.

    Only a document named SKILL.md has files beside it: other documents share their folder with other skills.

    Parameters
    ----------
    skill : SkillRecord
    file : str or None
        A path relative to the skill's folder. Links are followed if they stay in the folder.

    Raises
    ------
    NotFound
        When the skill has no document or its folder has no such file. Hidden files, files of version control and
        paths that lead out of the folder count as missing.
    DocumentUnavailable
        When the file is too large or cannot be read.
    """
    if skill.document_path is None or skill.removed_at is not None:
        raise NotFound("document of the skill", skill.skill_name)
    path = PurePath(skill.document_path)
    has_folder = path.name.lower() == DOCUMENT_NAME
    try:
        with opened_folder(str(path.parent)) as folder:
            if file is None or PurePath(file) == PurePath(path.name):
                name, raw = path.name, _read_document(skill, path)
            elif has_folder:
                name, raw = _read_neighbour(folder, path.parent, file)
            else:
                raise NotFound("file", _short(file))
            files = files_below(folder, str(path.parent), limit=MAX_LISTED) if has_folder else [path.name]
    except NotOpened as error:
        raise DocumentUnavailable(
            f"the folder of {skill.skill_name!r} cannot be read: {error}; re-index if it was moved"
        ) from error
    return RawFile(file=name, raw=raw, files=files)


def _read_document(skill: SkillRecord, path: PurePath) -> bytes:
    try:
        return read_bytes(Found(path=str(path), root=skill.root or str(path.parent)))
    except UnparsableDocument as error:
        raise DocumentUnavailable(
            f"{path.name} of {skill.skill_name!r} cannot be read: {error.reason}; re-index if it was moved"
        ) from error


def _read_neighbour(folder: int, base: PurePath, file: str) -> tuple[str, bytes]:
    try:
        raw = read_below(folder, str(base), file, limit_bytes=MAX_FILE_BYTES)
    except TooLarge as error:
        raise DocumentUnavailable(
            f"{_short(file)} has {error.size_bytes:,} bytes; only files of up to {MAX_FILE_BYTES:,} bytes are served"
        ) from error
    except NotOpened as error:
        if error.missing:
            raise NotFound("file", _short(file)) from error
        raise DocumentUnavailable(f"{_short(file)} cannot be read: {error}") from error
    return posixpath.normpath(file), raw


def _decode(name: str, raw: bytes, *, is_document: bool) -> str:
    try:
        decoded = decode(raw)
    except NotText as error:
        raise DocumentUnavailable(f"{_short(name)} is not text: {error}") from error
    if decoded.garbled and not is_document:
        raise DocumentUnavailable(f"{_short(name)} is not text in a known encoding")
    return decoded.text


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN_PATH_CHARS else f"{path[:_SHOWN_PATH_CHARS]}\N{HORIZONTAL ELLIPSIS}"
