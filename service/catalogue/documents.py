"""Reads files of a skill, never one outside its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from migrations.errors import SkillrankError
from store.contract.catalogue import SkillRecord
from store.errors import NotFound

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
MAX_LISTED: Final = 500


class DocumentUnavailable(SkillrankError):
    """A file of a skill that cannot be read; the message says why."""


class SkillContent(msgspec.Struct, frozen=True, kw_only=True):
    """One text file of a skill, and the names of all its files. The text is untrusted."""

    skill_name: str
    file: str
    text: str
    size_bytes: int
    files: list[str]


def read_content(skill: SkillRecord, file: str | None) -> SkillContent:
    """Read the skill's document, or `file` beside it.

    Parameters
    ----------
    skill : SkillRecord
    file : str or None
        A path relative to the skill's folder.

    Raises
    ------
    NotFound
        When the skill has no document, or the folder no such file; a path that leads outside counts as none.
    DocumentUnavailable
        When the file is too large or is no text.
    """
    if skill.document_path is None or skill.removed_at is not None:
        raise NotFound("document of the skill", skill.skill_name)
    document = Path(skill.document_path)
    folder = document.parent
    wanted = document if file is None else _inside(folder, file)
    try:
        size_bytes = wanted.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise DocumentUnavailable(
                f"{wanted.name} has {size_bytes:,} bytes; files of up to {MAX_FILE_BYTES:,} bytes are served"
            )
        text = wanted.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentUnavailable(f"{wanted.name} is not text in UTF-8") from error
    except OSError as error:
        raise DocumentUnavailable(
            f"{wanted.name} of {skill.skill_name!r} cannot be read ({error.strerror}); re-index if it was moved"
        ) from error
    return SkillContent(
        skill_name=skill.skill_name,
        file=wanted.relative_to(folder).as_posix(),
        text=text,
        size_bytes=size_bytes,
        files=_files(folder),
    )


def _inside(folder: Path, file: str) -> Path:
    if "\x00" in file:
        raise NotFound("file", file)
    wanted = (folder / file).resolve()
    # Resolving first means that neither `..` nor a symlink leads outside.
    if not wanted.is_relative_to(folder.resolve()) or not wanted.is_file():
        raise NotFound("file", file)
    return wanted


def _files(folder: Path) -> list[str]:
    inside = folder.resolve()
    names = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(inside):
            names.append(path.relative_to(folder).as_posix())
            if len(names) == MAX_LISTED:
                break
    return names
