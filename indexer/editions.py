"""Which of several editions of one skill counts: newer plugin versions and main checkouts come before the rest.

The same skill often lies on a disk several times. Clients keep old versions of a plugin beside the current one, and
people keep copies and git worktrees of a repository. The names belong to what runs: the newest version, the main
checkout.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final, Literal

# `<anything>/cache/<marketplace>/<plugin>/<version>/…`: how clients keep the plugins that they installed.
_CACHE: Final = "cache"
_BELOW_CACHE: Final = 3
_VERSION: Final = re.compile(r"[vV]?(\d+(?:\.\d+)*)(.*)", re.DOTALL)
_PLAIN_VERSION: Final = re.compile(
    r"(?>v\d+(?:\.\d+)*|\d+(?:\.\d+)+)"
    r"(?:[-+._]?(?:(?:a|alpha|b|beta|c|canary|dev|next|nightly|post|pre|preview|r|rc|rev|snapshot)(?![A-Za-z])|\d|\+)"
    r"[0-9A-Za-z.+_-]*)?",
    re.IGNORECASE,
)
_COMMIT: Final = re.compile(r"(?=.*[a-f])[0-9a-f]{7,40}")
_IDENTIFIER: Final = re.compile(r"\d+|[a-z]+")
_SAME_WORD: Final = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_AFTER_RELEASE: Final = frozenset({"post", "rev", "r"})
# The order of what follows a release number: dev, nothing more, a number, a word.
_DEV, _END, _NUMBER, _WORD = range(4)
_BEFORE_RELEASE, _RELEASE, _AFTER = range(3)

Order = tuple[Any, ...]
_NO_VERSION: Final[Order] = (0,)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document lies and which name it declares."""

    path: str
    name: str


@dataclass(slots=True)
class Editions:
    """What is known of documents that are editions of others.

    Attributes
    ----------
    superseded : dict
        From the path of a document of an older version to the path of the same one in the newest version; None when
        the newest version has it no more.
    later : list of str
        Documents that come after all others in precedence: those of worktrees and of copies of a checkout.
    heirs : dict
        From the path of the edition that counts to the paths of those whose name it takes over, best first.
    """

    superseded: dict[str, str | None] = field(default_factory=dict)
    later: list[str] = field(default_factory=list)
    heirs: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Versioned:
    """A path cut at the folder that names a version."""

    place: Place
    above: str
    version: str
    below: str
    cached: bool


def compare_editions(places: Sequence[Place]) -> Editions:
    """Find out which documents are older versions, worktrees or copies of others among them.

    - In a plugin cache only the newest version of a plugin counts; so do documents of one name that lie at the same
      place in version folders side by side anywhere else (``1.9/pdf/SKILL.md``, ``1.10/pdf/SKILL.md``).
    - A git worktree comes after the main checkout of its repository, and a folder without version control after the
      checkout beside it that holds the same file.

    Parameters
    ----------
    places : sequence of Place
        Every document that is to be in the catalogue, in order of precedence.
    """
    editions = Editions()
    _compare_versions(places, editions)
    current = [place for place in places if place.path not in editions.superseded]
    _compare_checkouts(current, editions)
    return editions


def version_order(version: str) -> Order:
    """Return a key that orders version names as PEP 440 and semantic versioning do where these agree.

    ``1.10`` is above ``1.9``; ``2.0.0-rc.1`` and ``2.0b1`` are below ``2.0.0``; build metadata is ignored; ``v`` may
    stand in front. A name that is not a version is below all that are.
    """
    match = _VERSION.fullmatch(version.strip().partition("+")[0])
    if match is None or _COMMIT.fullmatch(version):
        return _NO_VERSION
    release = tuple(int(number) for number in match[1].split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    words = [_SAME_WORD.get(word, word) for word in _IDENTIFIER.findall(match[2].lower())]
    if not words:
        return (1, release, _RELEASE)
    phase = _AFTER if words[0] in _AFTER_RELEASE else _BEFORE_RELEASE
    return (1, release, phase, *(_identifier(word) for word in words), (_END, 0, ""))


def _identifier(word: str) -> tuple[int, int, str]:
    if word.isdigit():
        return (_NUMBER, int(word), "")
    return (_DEV if word == "dev" else _WORD, 0, word)


def is_version_name(name: str) -> bool:
    """Return whether a folder's name is that of a version: ``v2``, ``1.10``, ``2.0.0-beta.1``, but not ``2024``."""
    return _PLAIN_VERSION.fullmatch(name) is not None


def _compare_versions(places: Iterable[Place], editions: Editions) -> None:
    families: dict[tuple[str, ...], list[_Versioned]] = {}
    for place in places:
        cut = _cut_at_version(place)
        if cut is not None:
            key = (cut.above,) if cut.cached else (cut.above, cut.below, place.name)
            families.setdefault(key, []).append(cut)
    for family in families.values():
        _supersede(family, editions)


def _supersede(family: Sequence[_Versioned], editions: Editions) -> None:
    ages = {each.version: _age(each) for each in family}
    newest = max(ages, key=ages.__getitem__)
    current = [each for each in family if each.version == newest]
    older = [each for each in family if each.version != newest]
    for each in sorted(older, key=lambda each: ages[each.version], reverse=True):
        at_the_same_place = [one for one in current if one.below == each.below]
        of_the_same_name = [one for one in current if one.place.name == each.place.name]
        same = next(iter(at_the_same_place + of_the_same_name), None)
        editions.superseded[each.place.path] = same.place.path if same else None
        if same:
            editions.heirs.setdefault(same.place.path, []).append(each.place.path)


def _cut_at_version(place: Place) -> _Versioned | None:
    parts = PurePath(place.path).parts
    for index in range(1, len(parts) - 1):
        cached = index >= _BELOW_CACHE and parts[index - _BELOW_CACHE] == _CACHE
        named = is_version_name(parts[index])
        if named or (cached and (_COMMIT.fullmatch(parts[index]) or parts[index].isdigit())):
            above, below = str(PurePath(*parts[:index])), str(PurePath(*parts[index + 1 :]))
            return _Versioned(place, above, parts[index], below, cached)
    return None


def _age(versioned: _Versioned) -> tuple[Order, int, str]:
    """Order versions; names without an order, such as commits, by the time at which they came."""
    order = version_order(versioned.version)
    arrived = 0
    if order == _NO_VERSION:
        with suppress(OSError):
            arrived = (Path(versioned.above) / versioned.version).stat().st_mtime_ns
    return order, arrived, versioned.version


def _compare_checkouts(places: Sequence[Place], editions: Editions) -> None:
    paths = {place.path for place in places}
    known: dict[str, _Checkout | None] = {}
    checkouts = {place.path: _checkout_of(os.path.dirname(place.path), known) for place in places}  # noqa: PTH120
    mains = {each.top for each in checkouts.values() if each is not None and each.kind == "main"}
    beside: dict[str, list[str]] = {}
    for top in sorted(mains):
        beside.setdefault(str(PurePath(top).parent), []).append(top)
    for place in places:
        checkout = checkouts[place.path]
        if checkout is None:
            original = _original_of(place.path, beside, paths)
        elif checkout.kind == "worktree" and checkout.main in mains:
            original = str(PurePath(checkout.main) / PurePath(place.path).relative_to(checkout.top))
        else:
            continue
        if checkout is None and original is None:
            continue
        editions.later.append(place.path)
        if original in paths and original is not None:
            editions.heirs.setdefault(original, []).append(place.path)


def _original_of(path: str, beside: Mapping[str, Sequence[str]], paths: set[str]) -> str | None:
    """Return the same file in a checkout that lies beside one of the folders above `path`."""
    pure = PurePath(path)
    for folder in pure.parents:
        for top in beside.get(str(folder.parent), ()):
            candidate = str(PurePath(top) / pure.relative_to(folder))
            if candidate in paths:
                return candidate
    return None


@dataclass(frozen=True, slots=True)
class _Checkout:
    """The folder of a repository; `main` is the top of the main checkout of a worktree's repository."""

    top: str
    kind: Literal["main", "worktree"]
    main: str = ""


def _checkout_of(folder: str, known: dict[str, _Checkout | None]) -> _Checkout | None:
    """Return the checkout that a folder lies in; `known` remembers those of all folders that were looked at."""
    climbed = []
    found: _Checkout | None = None
    while folder not in known:
        climbed.append(folder)
        found = _checkout_at(folder)
        above = os.path.dirname(folder)  # noqa: PTH120  called for every folder of a library
        if found is not None or above == folder:
            break
        folder = above
    else:
        found = known[folder]
    known.update(dict.fromkeys(climbed, found))
    return found


def _checkout_at(folder: str) -> _Checkout | None:
    """Return the checkout whose top is `folder`: `.git` is a folder in the main one and a file in a worktree."""
    git = Path(folder) / ".git"
    try:
        mode = git.stat().st_mode
    except (OSError, ValueError):
        return None
    main = _main_checkout(git) if stat.S_ISREG(mode) else None
    return _Checkout(folder, "worktree", main) if main else _Checkout(folder, "main")


def _main_checkout(git: Path) -> str | None:
    """Read where a worktree's repository lies; None for a `.git` file of another kind, such as a submodule's."""
    try:
        with git.open(encoding="utf-8", errors="replace") as file:
            line = file.read(8192)
    except OSError:
        return None
    marker, _, target = line.partition(":")
    if marker.strip() != "gitdir":
        return None
    store = (git.parent / target.strip()).absolute()
    if store.parent.name != "worktrees" or store.parent.parent.name != ".git":
        return None
    return str(Path(str(store.parent.parent.parent)).resolve())
