"""Opens files below a folder and guarantees that nothing outside the folder is read.

Between checking a path and opening it, any part of the path can be replaced by a link. So each component is opened
relative to the descriptor of the previous one without following links. Links are resolved here, one component at a
time, and only if they stay inside the folder.
"""

from __future__ import annotations

import errno
import heapq
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import PurePath
from typing import Final

MAX_LINKS: Final = 40
MAX_DEPTH: Final = 64
MAX_LISTED_FOLDERS: Final = 2_000
MAX_PATH_CHARS: Final = 4096

_FOLLOW_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
# Traversing a folder takes search permission, not read permission.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | _FOLLOW_NO_LINK
_LIST = os.O_RDONLY | os.O_DIRECTORY | _FOLLOW_NO_LINK
# Opening a FIFO would block until there is a writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | _FOLLOW_NO_LINK

_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})

# Some file systems ignore these characters in names, so that a name with them can denote a hidden file.
_IGNORABLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_VERSION_CONTROL = frozenset(
    {".bzr", ".git", ".gitmodules", ".hg", ".jj", ".svn", "_darcs", "_mtn", "cvs", "rcs", "sccs"}
)


class NotOpened(Exception):
    """A file was not opened; the message says why.

    Attributes
    ----------
    missing : bool
        True if the path leads to no file, to a hidden file or out of the folder; none of these may be disclosed.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


class LeadsOutside(NotOpened):
    """A path or a link leads out of the folder."""

    def __init__(self) -> None:
        super().__init__("it leads out of its folder", missing=True)


class TooLarge(NotOpened):
    """A file is larger than allowed."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"it has {size_bytes:,} bytes")
        self.size_bytes = size_bytes


def is_version_control(name: str) -> bool:
    """Return whether a file or folder of this name belongs to a version control system."""
    return _IGNORABLE.sub("", name).casefold() in _VERSION_CONTROL


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or belongs to a version control system."""
    return _IGNORABLE.sub("", name).startswith(".") or is_version_control(name)


@contextmanager
def opened_folder(path: str) -> Iterator[int]:
    """Open a folder by its absolute path, no component of which may be a link, and yield its descriptor.

    Raises
    ------
    NotOpened
    """
    with ExitStack() as stack:
        try:
            folder = _keep(stack, os.open(os.sep, _PASS))
            for part in PurePath(path).parts[1:]:
                status = os.stat(part, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    raise NotOpened(f"the folder {part!r} was replaced by a link")
                folder = _keep(stack, os.open(part, _PASS, dir_fd=folder))
        except (OSError, ValueError) as error:
            raise NotOpened(_reason(error)) from error
        # A folder that can be traversed but not listed may contain readable files.
        with suppress(PermissionError):
            folder = _keep(stack, os.open(".", _LIST, dir_fd=folder))
        yield folder


def read_below(folder: int, base: str, path: str, *, limit_bytes: int, hidden: bool = False) -> bytes:
    """Read a regular file of at most `limit_bytes` below an open folder.

    Parameters
    ----------
    folder : int
        Descriptor of the folder that must not be left.
    base : str
        Its path, to recognise absolute links that stay inside.
    path : str
        Relative to the folder. Links are followed if they stay inside.
    limit_bytes : int
    hidden : bool
        Whether the path may lead through hidden folders. Hidden files and files of version control are never read.

    Raises
    ------
    NotOpened
    """
    with ExitStack() as stack:
        descriptor = _open_below(stack, folder, base, path, hidden=hidden)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotOpened("it is not a regular file")
        if status.st_size > limit_bytes:
            raise TooLarge(status.st_size)
        try:
            with open(descriptor, "rb", closefd=False) as file:
                # One more byte than allowed shows that the file has grown.
                raw = file.read(limit_bytes + 1)
        except OSError as error:
            raise NotOpened(_reason(error)) from error
    if len(raw) > limit_bytes:
        raise TooLarge(len(raw))
    return raw


def _open_below(stack: ExitStack, folder: int, base: str, path: str, *, hidden: bool) -> int:
    """Return the descriptor of the file, which `stack` closes."""
    if len(path) > MAX_PATH_CHARS:
        raise NotOpened("its path is too long", missing=True)
    walk = _Walk(folder, base, hidden=hidden)
    stack.callback(walk.close)
    walk.add(path)
    while (part := walk.next_part()) is not None:
        try:
            status = os.stat(part, dir_fd=walk.here, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                walk.follow(os.readlink(part, dir_fd=walk.here))
            elif walk.has_more:
                walk.enter(os.open(part, _PASS, dir_fd=walk.here))
            elif stat.S_ISREG(status.st_mode):
                return _keep(stack, os.open(part, _READ, dir_fd=walk.here))
            else:
                raise NotOpened("it is not a regular file", missing=stat.S_ISDIR(status.st_mode))
        except OSError as error:
            raise NotOpened(_reason(error), missing=error.errno in _NOTHING_THERE) from error
        except ValueError as error:
            raise NotOpened("its path is not valid", missing=True) from error
    raise NotOpened("it is a folder", missing=True)


class _Walk:
    """The folders that a path has led through so far, and the rest of the path."""

    def __init__(self, folder: int, base: str, *, hidden: bool) -> None:
        self._folders = [folder]
        self._base = PurePath(base)
        self._hidden = hidden
        self._pending: list[str] = []
        self._links = 0

    @property
    def here(self) -> int:
        return self._folders[-1]

    @property
    def has_more(self) -> bool:
        return bool(self._pending)

    def add(self, path: str) -> None:
        self._pending.extend(part for part in reversed(path.split("/")) if part not in {"", "."})

    def next_part(self) -> str | None:
        """Return the next name to look up; None if the path ends at a folder."""
        while self._pending:
            part = self._pending.pop()
            if part == "..":
                if len(self._folders) == 1:
                    raise LeadsOutside
                os.close(self._folders.pop())
                continue
            if is_version_control(part) or (is_hidden(part) and not (self._hidden and self._pending)):
                raise NotOpened("it is hidden", missing=True)
            return part
        return None

    def enter(self, folder: int) -> None:
        self._folders.append(folder)
        if len(self._folders) > MAX_DEPTH:
            raise NotOpened(f"it lies more than {MAX_DEPTH} folders deep", missing=True)

    def follow(self, target: str) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise NotOpened("its links form a loop", missing=True)
        if PurePath(target).is_absolute():
            if not PurePath(target).is_relative_to(self._base):
                raise LeadsOutside
            target = str(PurePath(target).relative_to(self._base))
            self.close()
        self.add(target)

    def close(self) -> None:
        """Return to the folder where the walk started."""
        while len(self._folders) > 1:
            os.close(self._folders.pop())


def files_below(folder: int, base: str, *, limit: int) -> list[str]:
    """Return the relative paths of the first `limit` files below an open folder, in order of their names.

    Hidden files and folders, version control, names that are not valid text, links that lead outside and linked
    folders are left out.
    """
    listing = _Listing(folder, base, limit)
    listing.add(folder, "", 0)
    return listing.files


class _Listing:
    def __init__(self, top: int, base: str, limit: int) -> None:
        self.files: list[str] = []
        self._top = top
        self._base = base
        self._limit = limit
        self._folders_left = MAX_LISTED_FOLDERS

    def add(self, folder: int, prefix: str, depth: int) -> None:
        try:
            entries = self._entries(folder, prefix)
        except OSError:
            # The files of a folder that cannot be listed are left out.
            return
        for name, is_folder in entries:
            if len(self.files) >= self._limit:
                return
            if not is_folder:
                self.files.append(prefix + name)
            elif depth < MAX_DEPTH and self._folders_left:
                self._folders_left -= 1
                self._enter(folder, name, prefix, depth)

    def _entries(self, folder: int, prefix: str) -> list[tuple[str, bool]]:
        """Return the first names in a folder and whether each is a folder, without sorting all names."""
        with os.scandir(folder) as entries:
            shown = ((e.name, e.is_dir(follow_symlinks=False)) for e in entries if self._is_shown(e, prefix))
            return heapq.nsmallest(self._limit - len(self.files) + MAX_LISTED_FOLDERS, shown)

    def _is_shown(self, entry: os.DirEntry[str], prefix: str) -> bool:
        if is_hidden(entry.name) or not _is_text(entry.name):
            return False
        if not entry.is_symlink():
            return entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        try:
            with ExitStack() as stack:
                _open_below(stack, self._top, self._base, prefix + entry.name, hidden=False)
        except NotOpened:
            return False
        return True

    def _enter(self, folder: int, name: str, prefix: str, depth: int) -> None:
        try:
            inner = os.open(name, _LIST, dir_fd=folder)
        except OSError:
            return
        try:
            self.add(inner, f"{prefix}{name}/", depth + 1)
        finally:
            os.close(inner)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _keep(stack: ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _reason(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or str(error) or type(error).__name__).lower()
