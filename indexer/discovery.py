"""Finds skill documents below roots: ordered, each once, whatever links and folders lie in the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from migrations.errors import SkillrankError

DOCUMENT_NAME = "skill.md"

# Folders that tools fill and people do not write skills in. Hidden folders in general are walked:
# `.claude/skills` and `.agents/skills` are where most skills live.
SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".jj",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "bower_components",
        "node_modules",
    }
)

# A virtual environment may have any name; this file in it does not.
_VIRTUAL_ENVIRONMENT_MARK = "pyvenv.cfg"


class RootNotFound(SkillrankError):
    """A root is not a folder that exists, nor a skill document.

    Attributes
    ----------
    root : str
        The root as it was given.
    """

    def __init__(self, message: str, *, root: str) -> None:
        super().__init__(message)
        self.root = root


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A skill document that exists.

    Attributes
    ----------
    path : str
        Absolute real path of the file.
    root : str
        Absolute real path of the root it was found below; of the document itself when that was the root.
    """

    path: str
    root: str


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or a skill document that could not be looked at. What lies below such a folder is unknown, not gone.

    Attributes
    ----------
    path : str
        Absolute; real as far as that could be found out. Always valid text, for showing.
    root : str
    reason : str
        What is the matter, as half a sentence.
    """

    path: str
    root: str
    reason: str


def find_documents(roots: Sequence[Path]) -> Iterator[Found | Unreadable]:
    """Find every file named SKILL.md (in any case) below the roots, each exactly once, as a stream.

    Links to folders and files are followed; loops end, and a document that is reached by several ways is found
    once, by its real path, for the first root that reaches it. Version control, caches, `node_modules` and virtual
    environments are not entered, unless they are a root themselves. Only regular files are found: what else is
    named SKILL.md is reported and never opened. A link that leads nowhere is reported when it is named SKILL.md.

    Parameters
    ----------
    roots : sequence of Path
        Folders to walk, or skill documents.

    Returns
    -------
    iterator of Found or Unreadable
        In the order of the roots; within a folder its own documents first, then its folders, both by name.

    Raises
    ------
    RootNotFound
        Before anything is walked, when one of the roots does not exist or is a file of another name.
    """
    starts = [_resolve_root(root) for root in roots]
    return _walk_roots(starts)


def _resolve_root(root: Path) -> str:
    try:
        mode = root.stat().st_mode
    except (OSError, ValueError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise RootNotFound(
            f"cannot index {_showable(str(root))}: {reason}; give a folder that holds skills",
            root=_showable(str(root)),
        ) from error
    if not stat.S_ISDIR(mode) and root.name.lower() != DOCUMENT_NAME:
        raise RootNotFound(
            f"cannot index {_showable(str(root))}: it is neither a folder nor a file named SKILL.md",
            root=_showable(str(root)),
        )
    return os.path.realpath(root)


def _walk_roots(starts: list[str]) -> Iterator[Found | Unreadable]:
    walked: set[tuple[int, int]] = set()
    found: set[str] = set()
    for start in starts:
        for item in _walk(start, walked):
            if isinstance(item, Found):
                if item.path in found:
                    continue
                found.add(item.path)
            yield item


def _walk(root: str, walked: set[tuple[int, int]]) -> Iterator[Found | Unreadable]:
    """Walk one root depth first; `walked` holds (device, inode) of every folder that any walk has entered."""
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            status = Path(folder).stat()
            if not stat.S_ISDIR(status.st_mode):
                yield _examine_document(folder, root)
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in walked:
                continue
            walked.add(identity)
            documents, folders = _list_folder(folder, is_root=folder == root)
        except OSError as error:
            yield Unreadable(path=_showable(folder), root=root, reason=_reason(error))
            continue
        for path in documents:
            yield _examine_document(path, root)
        pending.extend(reversed(folders))


def _list_folder(folder: str, *, is_root: bool) -> tuple[list[str], list[str]]:
    """Return the paths of what may be documents and of the folders to enter, each by name."""
    documents: list[os.DirEntry[str]] = []
    folders: list[os.DirEntry[str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == _VIRTUAL_ENVIRONMENT_MARK and not is_root:
                return [], []
            if _is_folder(entry):
                if entry.name not in SKIPPED_FOLDERS:
                    folders.append(entry)
            elif entry.name.lower() == DOCUMENT_NAME:
                documents.append(entry)
    return _real_paths(documents), _real_paths(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        # A link in a loop of links (ELOOP) leads nowhere; what else cannot be asked is reported when it is entered.
        return error.errno != errno.ELOOP


def _real_paths(entries: list[os.DirEntry[str]]) -> list[str]:
    """Return paths in order of name. The parent's path is real, so that only links need to be resolved."""
    entries.sort(key=lambda entry: entry.name)
    return [os.path.realpath(entry.path) if entry.is_symlink() else entry.path for entry in entries]


def _examine_document(path: str, root: str) -> Found | Unreadable:
    shown = _showable(path)
    if shown != path:
        return Unreadable(path=shown, root=root, reason="its path is not valid text (UTF-8); rename the folder")
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return Unreadable(path=path, root=root, reason=_reason(error))
    if not stat.S_ISREG(mode):
        return Unreadable(path=path, root=root, reason="it is not a regular file")
    return Found(path=path, root=root)


def _showable(path: str) -> str:
    """Return `path` as valid text: bytes of a file name that are not UTF-8 are written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
