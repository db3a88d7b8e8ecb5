"""Finds skill documents below roots: in order, each once, and never outside what a root or a link names."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Literal

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

# A link that leads out of a root is followed into at most so many folders. A library of skills has far fewer; a link
# to a home folder or to `/usr` has more.
MAX_LINKED_FOLDERS: Final = 10_000

# Where there are processes and devices, and no files.
_SYSTEM_FOLDERS: Final = ("/dev", "/proc", "/sys")

# A virtual environment may have any name; this file in it does not.
_VIRTUAL_ENVIRONMENT_MARK = "pyvenv.cfg"

_FLAT_PARENT: Final = ".claude"
# Markdown files that describe the folder they lie in.
_NOT_FLAT: Final = frozenset({"agents", "changelog", "claude", "contributing", "index", "license", "readme"})

_Kind = Literal["skills", "commands"]
_Entries = list[os.DirEntry[str]]


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
        Absolute path of the file. The folder part is real, and so is the file unless it is a link to a file of
        another name.
    root : str
        Absolute real path of the root it was found below, or of the document itself when that was the root.
    flat_name : str or None
        The name that the file gives to a skill that has no folder of its own: ``review`` for
        ``.claude/skills/review.md``, ``git:commit`` for ``.claude/commands/git/commit.md``.
    target : str or None
        The real path of the file when `path` is a link.
    stamp : str
        What the file system says of the file: see `file_stamp`.
    """

    path: str
    root: str
    flat_name: str | None = None
    target: str | None = None
    stamp: str = ""


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or a skill document that could not be looked at. What lies below such a folder is unknown, not gone.

    Attributes
    ----------
    path : str
        Absolute, as it was found: a link is named itself, not its target. Always valid text, for showing.
    root : str
    reason : str
        What is wrong, as half a sentence.
    target : str or None
        Where the link at `path` leads, when it is one.
    """

    path: str
    root: str
    reason: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to be walked.

    `bound` is the real folder that links below may not leave: the root, or the target of the link that led out of it.
    `prefix` holds the folders between ``.claude/commands`` and this one.
    """

    path: str
    bound: str
    in_skill: bool = False
    kind: _Kind | None = None
    prefix: tuple[str, ...] = ()


@dataclass(slots=True)
class _Walk:
    """What the walks of one search have seen: (device, inode) of folders, and folders by the link they lie behind."""

    should_stop: Callable[[], bool]
    walked: set[tuple[int, int]] = field(default_factory=set)
    behind_links: Counter[str] = field(default_factory=Counter)


def find_documents(
    roots: Sequence[Path], *, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Found | Unreadable]:
    """Find every skill document below the roots, each exactly once, as a stream.

    A skill document is a file named SKILL.md (in any case); or a Markdown file directly inside ``.claude/skills``, or
    anywhere inside ``.claude/commands``, that is not a README or the like. Version control, caches, `node_modules` and
    virtual environments are not entered, unless they are a root themselves. Only regular files are found: anything
    else named SKILL.md is reported and never opened.

    Links to folders are followed. A link that leads out of the root is followed into its target and no further: not
    inside a skill, not from behind another such link, not to a folder that contains the root, and into at most
    `MAX_LINKED_FOLDERS` folders. A document may be a link to a file below the root or below such a target. What is
    not followed is reported, except links inside a skill, which are its own affair.

    Parameters
    ----------
    roots : sequence of Path
        Folders to walk, or skill documents.
    should_stop : callable
        Asked for every folder; True ends the search early.

    Returns
    -------
    iterator of Found or Unreadable
        In the order of the roots; within a folder its own documents first, then its folders, both by name.

    Raises
    ------
    RootNotFound
        Before anything is walked, when one of the roots does not exist or is a file of another name.
    """
    starts = [resolve_root(root) for root in roots]
    return _walk_roots(starts, _Walk(should_stop))


def root_problem(root: Path | str) -> str | None:
    """Return why a root cannot be walked, as half a sentence; None when it can."""
    try:
        mode = Path(root).stat().st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(root):
                return None
    except (OSError, ValueError) as error:
        return _reason(error)
    if PurePath(real_path(root)).name.lower() != DOCUMENT_NAME:
        return "it is neither a folder nor a file named SKILL.md"
    return None


def root_is_gone(root: Path | str) -> bool:
    """Return whether nothing exists at a root, as opposed to something that cannot be read at the moment."""
    try:
        Path(root).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def file_stamp(status: os.stat_result) -> str:
    """Return what changes whenever a file is written to or replaced, as text.

    The change time is part of it, which no program can set: an edit that keeps the size and puts the old
    modification time back still gives another stamp.
    """
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def is_document_name(name: str) -> bool:
    """Return whether a file of this name may be a skill document somewhere."""
    return name.lower().endswith(".md")


def real_path(path: Path | str) -> str:
    """Return the absolute path without links, as far as these can be read. Raises `ValueError` for a NUL byte."""
    try:
        return os.path.realpath(path)
    except OSError:  # a link that may not be read, such as another user's in /proc
        return os.path.abspath(path)  # noqa: PTH100  nothing is asked of the file system again


def resolve_root(root: Path) -> str:
    """Return the real path of a root.

    Raises
    ------
    RootNotFound
        When it does not exist, cannot be read or is a file of another name.
    """
    reason = root_problem(root)
    if reason is not None:
        shown = _showable(str(root))
        hint = "" if reason.startswith("it is neither") else "; give a folder that holds skills"
        raise RootNotFound(f"cannot index {shown}: {reason}{hint}", root=shown)
    return real_path(root)


def _walk_roots(starts: list[str], walk: _Walk) -> Iterator[Found | Unreadable]:
    found: set[str] = set()
    for start in starts:
        for item in _walk(start, walk):
            if isinstance(item, Found):
                if item.path in found:
                    continue
                found.add(item.path)
            yield item


def _walk(root: str, walk: _Walk) -> Iterator[Found | Unreadable]:
    """Walk one root depth first."""
    above = str(PurePath(root).parent)
    pending = [_entered(_Folder(above, bound=root), root, bound=root)]
    if not Path(root).is_dir():
        yield from _examine(root, pending.pop(), root, is_link=False)
    while pending and not walk.should_stop():
        folder = pending.pop()
        listed = _enter(folder, root, walk)
        if isinstance(listed, Unreadable):
            yield listed
        if listed is None or isinstance(listed, Unreadable):
            continue
        documents, folders = listed
        for entry in documents:
            yield from _examine(entry.path, folder, root, is_link=entry.is_symlink())
        in_skill = folder.in_skill or (folder.path != root and any(map(_is_named_skill, documents)))
        steps = [_step_into(entry, folder, root, in_skill=in_skill) for entry in folders]
        yield from (step for step in steps if isinstance(step, Unreadable))
        pending.extend(step for step in reversed(steps) if isinstance(step, _Folder))


def _enter(folder: _Folder, root: str, walk: _Walk) -> tuple[_Entries, _Entries] | Unreadable | None:
    """Return what lies in a folder; None when there is nothing more to be found there."""
    if folder.bound != root:
        walk.behind_links[folder.bound] += 1
        excess = walk.behind_links[folder.bound] - MAX_LINKED_FOLDERS
        if excess > 0:
            return _too_large(folder.bound, root) if excess == 1 else None
    try:
        status = Path(folder.path).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in walk.walked:
            return None
        walk.walked.add(identity)
        return _list_folder(folder, is_root=folder.path == root)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and folder.path != root:
            return None  # it was removed while its parent was being read
        return Unreadable(path=_showable(folder.path), root=root, reason=_reason(error))


def _list_folder(folder: _Folder, *, is_root: bool) -> tuple[_Entries, _Entries]:
    """Return what may be documents and the folders that may be entered, both by name."""
    documents: _Entries = []
    folders: _Entries = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name == _VIRTUAL_ENVIRONMENT_MARK and not is_root:
                return [], []
            if _is_folder(entry):
                if entry.name not in SKIPPED_FOLDERS:
                    folders.append(entry)
            elif _is_named_skill(entry) or (folder.kind and _is_flat(entry.name)):
                documents.append(entry)
    documents.sort(key=lambda entry: entry.name)
    folders.sort(key=lambda entry: entry.name)
    return documents, folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        # A loop of links leads nowhere; anything else that cannot be asked is reported when it is entered.
        return error.errno != errno.ELOOP


def _is_named_skill(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower() == DOCUMENT_NAME


def _is_flat(name: str) -> bool:
    stem, extension = os.path.splitext(name)  # noqa: PTH122  a name, not a path
    return extension.lower() == ".md" and not stem.startswith(".") and stem.lower() not in _NOT_FLAT


def _step_into(entry: os.DirEntry[str], folder: _Folder, root: str, *, in_skill: bool) -> _Folder | Unreadable | None:
    """Return the folder to walk, or why a link is not followed; None where nothing is to be said of it."""
    if not entry.is_symlink():
        return _entered(folder, entry.path, bound=folder.bound, in_skill=in_skill)
    target = real_path(entry.path)
    for bound in (root, folder.bound):
        if _is_within(target, bound):
            return _entered(folder, target, bound=bound, in_skill=in_skill, name=entry.name)
    if in_skill:
        return None
    reason = None
    if any(_is_within(target, system) for system in _SYSTEM_FOLDERS):
        reason = "the link leads to the system's own files, so it is not followed"
    elif _is_within(root, target):
        reason = "the link leads to a folder that contains the root, so it is not followed"
    elif folder.bound != root:
        reason = "the link leads out of a folder that was itself reached by a link; index its target as a root"
    if reason is not None:
        return Unreadable(path=_showable(entry.path), root=root, reason=reason, target=_showable(target))
    return _entered(folder, target, bound=target, name=entry.name)


def _entered(parent: _Folder, path: str, *, bound: str, in_skill: bool = False, name: str | None = None) -> _Folder:
    name = name or PurePath(path).name
    if parent.kind == "commands":
        return _Folder(path, bound, in_skill, "commands", (*parent.prefix, name))
    if PurePath(parent.path).name == _FLAT_PARENT and name in {"skills", "commands"}:
        return _Folder(path, bound, in_skill, "skills" if name == "skills" else "commands")
    if parent.kind is None and (place := _commands_above(path)) is not None:
        return _Folder(path, bound, in_skill, "commands", place)
    return _Folder(path, bound, in_skill)


def _commands_above(path: str) -> tuple[str, ...] | None:
    """Return the folders below ``.claude/commands`` that lead to `path`, None when it does not lie there."""
    parts = PurePath(path).parts
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] == "commands" and parts[place - 1] == _FLAT_PARENT:
            return parts[place + 1 :]
    return None


def _examine(path: str, folder: _Folder, root: str, *, is_link: bool) -> Iterator[Found | Unreadable]:
    """Look at what may be a document; nothing comes when it has just been removed."""
    shown = _showable(path)
    target = _showable(real_path(path)) if is_link else None

    def refused(reason: str) -> Unreadable:
        return Unreadable(path=shown, root=root, reason=reason, target=target)

    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        if target is not None:
            yield refused(_reason(error))
        return
    except OSError as error:
        yield refused(_reason(error))
        return
    if shown != path:
        yield refused("its path is not valid text (UTF-8); rename the folder")
    elif not stat.S_ISREG(status.st_mode):
        yield refused("it is not a regular file")
    elif target is not None and not any(_is_within(target, bound) for bound in (root, folder.bound)):
        yield refused("the link leads out of the root, so it is not read")
    else:
        name = PurePath(path).name
        if target is not None and PurePath(target).name.lower() == DOCUMENT_NAME == name.lower():
            path, target = target, None
        is_flat = folder.kind is not None and name.lower() != DOCUMENT_NAME
        flat = ":".join((*folder.prefix, PurePath(name).stem)) if is_flat else None
        yield Found(path=path, root=root, flat_name=flat, target=target, stamp=file_stamp(status))


def _too_large(folder: str, root: str) -> Unreadable:
    return Unreadable(
        path=_showable(folder),
        root=root,
        reason=f"a link leads to it, and it holds more than {MAX_LINKED_FOLDERS:,} folders; index it as a root",
    )


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _showable(path: str) -> str:
    """Return `path` as valid text: bytes of a file name that are not UTF-8 are written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return str(error)
