"""Gives every document a unique name, although declared names are not unique.

History is recorded under a name, so a name stays the same when other documents come and go: see `assign_names`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import PurePath
from typing import Literal

import msgspec

from indexer.characters import replace_control_characters
from indexer.editions import Editions, is_version_name

MAX_NAME_CHARS = 200
MAX_QUALIFIERS = 4

# Names of folders that hold everybody's skills and so distinguish nothing. Neither do hidden folders (`.claude`) and
# those that are named after a version.
_CONTAINERS = frozenset({"commands", "skill", "skills"})

# Invisible and direction-changing characters let two names look the same, or one name look like another.
_INVISIBLE = re.compile(r"[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SEPARATORS = re.compile(r"[\s_-]+")


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A document and the name it declares.

    Attributes
    ----------
    path : str
        Absolute path of the document; unique among the claims.
    name : str
        The declared name, as `normalise_name` gives it.
    content_hash : str
    """

    path: str
    name: str
    content_hash: str


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """The name and the content that a document had when the index was last written."""

    name: str
    content_hash: str


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The name that a document was given.

    Attributes
    ----------
    path : str
    name : str
        The name it is served under; for a copy, that of the document it is a copy of.
    status : {'bare', 'shadowed', 'copy'}
        'bare': it has the name it declares. 'shadowed': it has a qualified one, because another document has the
        declared one. 'copy': its content is that of another document, which stands for both.
    behind : str or None
        The path of the document that stands for a copy, or of the one that has the bare name of a shadowed document;
        None when no document has that name now.
    """

    path: str
    name: str
    status: Literal["bare", "shadowed", "copy"]
    behind: str | None


def normalise_name(text: str) -> str:
    """Return a name in its stored form; empty when it has no visible character.

    The stored form is Unicode NFC without control, invisible and direction-changing characters, with runs of white
    space as one space, and at most 200 characters long. Everything else is kept as written.
    """
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    spaced, _ = replace_control_characters(visible)
    return " ".join(spaced.split())[:MAX_NAME_CHARS].rstrip()


def settle_editions(
    documents: Sequence[Claim], previous: Mapping[str, Assigned], editions: Editions
) -> tuple[list[Claim], dict[str, Assigned]]:
    """Return the claims and the names held before, as `assign_names` needs them where editions of one skill exist.

    Older versions make no claim, worktrees and copies of a checkout come last, and the edition that counts takes over
    the best name that any of them held: its declared name before a qualified one.
    """
    claims = {claim.path: claim for claim in documents if claim.path not in editions.superseded}
    later = set(editions.later)
    ordered = [claim for claim in claims.values() if claim.path not in later]
    ordered += [claim for claim in claims.values() if claim.path in later]
    held = dict(previous)
    for path, others in editions.heirs.items():
        holders = [each for each in (path, *others) if each in held]
        if path not in claims or not holders:
            continue
        best = next((each for each in holders if held[each].name == claims[path].name), holders[0])
        name = held.pop(best)
        held.pop(path, None)
        held[path] = name
    for path in editions.superseded:
        held.pop(path, None)
    return ordered, held


def assign_names(documents: Sequence[Claim], previous: Mapping[str, Assigned]) -> list[Named]:
    """Give every document that is not a copy a unique name.

    The same input always gives the same names:

    - Documents with the same content count as one. The first of them that had a name before stands for all, or else
      the first; the others are its copies.
    - A document keeps its name as long as it declares the same one. A document that was moved, or a copy whose
      original is gone, inherits the name that belonged to its content. A qualified name is kept even when the bare
      one becomes free; a free bare name goes to the first document without a name that declares it.
    - A document without a name gets the bare one or, when that is taken, ``folder:name``. The folder is the nearest
      one whose name adds something: not ``skills`` or ``.claude``, a version or the name itself. While the qualified
      name is taken too, folders further up are added (``team:folder:name``), and finally a short hash of the path.
    - With any part of an answer as `previous`, the same documents get the same names again.

    Parameters
    ----------
    documents : sequence of Claim
        Every document that is to be in the catalogue, not only the new ones, in order of precedence.
    previous : mapping from path to Assigned
        The names that documents have or had last. Names of paths that are not among `documents` are free; passing
        those of removed documents gives a document that returns its name back, unless another one has it now.

    Returns
    -------
    list of Named
        In the order of `documents`.
    """
    keepers = _choose_keepers(documents, previous)
    held = _keep_names(keepers, documents, previous)
    taken = set(held.values())
    for document in keepers:
        if document.path not in held:
            name = next(name for name in _candidates(document) if name not in taken)
            held[document.path] = name
            taken.add(name)
    keeper_of = {document.content_hash: document.path for document in keepers}
    holder_of = {name: path for path, name in held.items()}
    return [_describe(document, held, keeper_of, holder_of) for document in documents]


def _choose_keepers(documents: Sequence[Claim], previous: Mapping[str, Assigned]) -> list[Claim]:
    """Choose one document per content."""
    keepers: dict[str, Claim] = {}
    for document in documents:
        keeper = keepers.setdefault(document.content_hash, document)
        if keeper.path not in previous and document.path in previous:
            keepers[document.content_hash] = document
    chosen = {keeper.path for keeper in keepers.values()}
    return [document for document in documents if document.path in chosen]


def _keep_names(
    keepers: Sequence[Claim], documents: Sequence[Claim], previous: Mapping[str, Assigned]
) -> dict[str, str]:
    """Return the names, by path, that documents held before and may keep."""
    alive = {document.path for document in documents}
    # Reversed, so that the first path wins among several with the same content, whatever the mapping's order.
    vanished = {
        assigned.content_hash: assigned.name
        for path, assigned in sorted(previous.items(), key=itemgetter(0), reverse=True)
        if path not in alive
    }
    kept: dict[str, str] = {}
    taken: set[str] = set()
    for document in keepers:
        before = previous.get(document.path)
        if before and before.name not in taken and _may_hold(document, before.name):
            kept[document.path] = before.name
            taken.add(before.name)
    for document in keepers:
        name = vanished.get(document.content_hash)
        if document.path not in kept and name and name not in taken and _may_hold(document, name):
            kept[document.path] = name
            taken.add(name)
    return kept


def _may_hold(document: Claim, name: str) -> bool:
    return name == document.name or name.endswith(f":{document.name}")


def _candidates(document: Claim) -> Iterator[str]:
    """Yield the names a document may get, best first; the last ones are unique."""
    yield document.name
    qualified = document.name
    for folder in _distinguishing_folders(document)[:MAX_QUALIFIERS]:
        qualified = f"{folder}:{qualified}"
        yield qualified
    digest = hashlib.sha256(document.path.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest) + 1):
        yield f"{digest[:length]}:{document.name}"


def _distinguishing_folders(document: Claim) -> list[str]:
    """Return the names of the folders above a document that distinguish it, nearest first."""
    path = PurePath(document.path)
    names = (normalise_name(folder.name) for folder in path.parents)
    said = {_plain(document.name), ""}
    folders = []
    for name in names:
        if name.startswith(".") or name.casefold() in _CONTAINERS or is_version_name(name) or _plain(name) in said:
            continue
        folders.append(name)
    return folders


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()


def _describe(
    document: Claim, held: Mapping[str, str], keeper_of: Mapping[str, str], holder_of: Mapping[str, str]
) -> Named:
    keeper = keeper_of[document.content_hash]
    name = held[keeper]
    if keeper != document.path:
        return Named(path=document.path, name=name, status="copy", behind=keeper)
    if name == document.name:
        return Named(path=document.path, name=name, status="bare", behind=None)
    return Named(path=document.path, name=name, status="shadowed", behind=holder_of.get(document.name))
