"""Gives every document a name of its own, though names are not unique in the wild.

A name is what history hangs on, so it outlives changes around it: see `assign_names`.
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

from indexer.editions import Editions, is_version_name
from indexer.frontmatter import replace_control_characters

MAX_NAME_CHARS = 200
MAX_QUALIFIERS = 4

# Names of folders that hold everybody's skills and so distinguish nothing. Neither do hidden folders (`.claude`) and
# those that are named after a version.
_CONTAINERS = frozenset({"commands", "skill", "skills"})

# Invisible and direction-changing characters let two names look the same, or one name look like another.
_INVISIBLE = re.compile(r"[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SEPARATORS = re.compile(r"[\s_-]+")


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A document that wants the name it declares.

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
    """A name that a document held when the index was last written."""

    name: str
    content_hash: str


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claim.

    Attributes
    ----------
    path : str
    name : str
        The name to serve it under. For a copy: the name of the document that it is a copy of.
    status : {'bare', 'shadowed', 'copy'}
        'bare': holds the name it declares. 'shadowed': holds a qualified one. 'copy': folded into another document.
    behind : str or None
        For a copy the path of the document it is folded into; for a shadowed one the path of the document that
        holds the bare name, None when nothing does any more.
    """

    path: str
    name: str
    status: Literal["bare", "shadowed", "copy"]
    behind: str | None


def normalise_name(text: str) -> str:
    """Return a name in the one form that is stored; empty when nothing of it can be shown.

    Unicode NFC, without control, invisible and direction-changing characters, white space collapsed, at most 200
    characters. Everything else is kept as written: spaces, capitals, CJK.
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
    """Give every document that is no copy a name of its own.

    Guarantees, for the same input always the same answer:

    - Documents of one content are one: the first of those that held a name before, else the first, keeps; the others
      are its copies.
    - A document keeps the name it held as long as it declares the same name. A document that was moved, or a copy
      whose original is gone, inherits by its content the name of the vanished one. A qualified name is kept even
      when the bare one becomes free; a free bare name goes to the first document without a name that declares it.
    - A document without a name gets the bare one, or when that is taken ``folder:name``. The folder is the nearest
      one that says something the name does not and that is not just a place for skills (``skills``, ``.claude``);
      while that is taken too, folders further up are put before it (``team:folder:name``), at last a short hash of
      the path.
    - Naming in steps equals naming at once: with any part of an answer as `previous`, the same documents get the
      same answer.

    Parameters
    ----------
    documents : sequence of Claim
        Every document that is to be in the catalogue, not only what is new, in order of precedence.
    previous : mapping from path to Assigned
        The names now or last held. Those of paths that are not among the documents are free again, so it is right to
        pass those of removed documents too: one that comes back gets its name back while nobody else has it.

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
    # Reversed, so that of several with one content the first path counts, whatever order the mapping has.
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
    """Yield the names a document may get, best first; the last ones nobody else can have."""
    yield document.name
    qualified = document.name
    for folder in _distinguishing_folders(document)[:MAX_QUALIFIERS]:
        qualified = f"{folder}:{qualified}"
        yield qualified
    digest = hashlib.sha256(document.path.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest) + 1):
        yield f"{digest[:length]}:{document.name}"


def _distinguishing_folders(document: Claim) -> list[str]:
    """Return the names of the folders above a document that tell it from others of its name, nearest first."""
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
