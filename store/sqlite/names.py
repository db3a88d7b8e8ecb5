"""Finds the skill that a name means, in whatever form it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import apsw
import msgspec

from store.names import fold_name, path_parts, split_qualified
from store.sqlite.rows import one, rows, value

_EXACT: Final = """
SELECT s.removed_at IS NOT NULL, v.id
FROM skills s LEFT JOIN skill_version v ON v.skill_id = s.id AND v.content_hash = s.content_hash
WHERE s.skill_name = ?
"""
_ALIASES: Final = """
SELECT s.skill_name, a.kind, s.removed_at IS NULL AND s.document_path IS NOT NULL, s.document_path, s.copies
FROM skill_alias a JOIN skills s ON s.id = a.skill_id WHERE a.folded = ?
"""
_RENAMED: Final = """
SELECT r.new_name, new.removed_at IS NULL FROM skill_rename r JOIN skills new ON new.skill_name = r.new_name
WHERE r.old_name = ?
"""
_SKILL: Final = "SELECT id, skill_name, declared_name, document_path FROM skills WHERE id = ?"
_TO_FILL: Final = """
SELECT EXISTS (SELECT 1 FROM skills WHERE document_path IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM skill_alias)
"""
_DOCUMENTS: Final = "SELECT id, skill_name, declared_name, document_path FROM skills WHERE document_path IS NOT NULL"
_DROP: Final = "DELETE FROM skill_alias WHERE skill_id = ?"
# If several names of a skill have one form, the strongest kind counts; it is written first.
_ADD: Final = "INSERT INTO skill_alias(folded, skill_id, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_OWN, _DECLARED, _FOLDER = range(3)


class Resolved(NamedTuple):
    """The skill that a name means.

    Attributes
    ----------
    skill_name : str
        The name as given when it means no skill, or more than one.
    version : int or None
        The version of its document that is served.
    known : bool
        Whether the catalogue has, or once had, a skill of that name.
    """

    skill_name: str
    version: int | None
    known: bool


class _Alias(NamedTuple):
    skill_name: str
    kind: int
    served: bool
    document_path: str | None
    copies: str


def resolve(connection: apsw.Connection, given: str) -> Resolved:
    """Return the skill that `given` means.

    In this order: the skill of exactly this name, unless it was removed; the one whose name is this in another form;
    what a removed skill of this name was renamed to; the one whose document declares this name, or lies in a folder of
    this name; for ``plugin:name`` the same for the part behind the colon, below a folder of the plugin's name if there
    is one. Where several fit equally well, none is meant.
    """
    exact = one(connection, _EXACT, (given,))
    if exact is not None and not exact[0]:
        return Resolved(given, exact[1], known=True)
    meant = _meant(connection, given, removed=exact is not None)
    if meant is None:
        return Resolved(given, None, known=exact is not None)
    return Resolved(meant, (one(connection, _EXACT, (meant,)) or (None, None))[1], known=True)


def resolve_all(connection: apsw.Connection, given: Iterable[str]) -> dict[str, Resolved]:
    """Return what `resolve` returns for each of these names."""
    return {name: resolve(connection, name) for name in set(given)}


def write_aliases(connection: apsw.Connection, skill_id: int) -> None:
    """Update the aliases of a skill after its row was written."""
    row = one(connection, _SKILL, (skill_id,))
    if row is not None:
        connection.execute(_DROP, (skill_id,))
        connection.executemany(_ADD, _aliases(*row))


def aliases_missing(connection: apsw.Connection) -> bool:
    """Return whether there are documents, indexed by an earlier release, and no aliases."""
    return bool(value(connection, _TO_FILL))


def fill_aliases(connection: apsw.Connection) -> None:
    """Add the aliases of every document."""
    for row in rows(connection, _DOCUMENTS):
        connection.executemany(_ADD, _aliases(*row))


def _aliases(
    skill_id: int, skill_name: str, declared_name: str | None, document_path: str | None
) -> list[tuple[str, int, int]]:
    folder = path_parts(document_path)[-2:-1] if document_path else ()
    names = [(skill_name, _OWN), (declared_name or "", _DECLARED), *((name, _FOLDER) for name in folder)]
    return [(folded, skill_id, kind) for name, kind in names if (folded := fold_name(name))]


def _meant(connection: apsw.Connection, given: str, *, removed: bool) -> str | None:
    folded = fold_name(given)
    found = [_Alias(*row) for row in rows(connection, _ALIASES, (folded,))]
    former = {each.skill_name for each in found if not each.served}
    meant = (
        _best([each for each in found if each.kind == _OWN])
        or _renamed(connection, {given} if removed else former)
        or (None if removed else _best(found))
    )
    qualified = split_qualified(folded)
    if meant is not None or removed or found or qualified is None:
        return meant
    plugin, name = qualified
    found = [_Alias(*row) for row in rows(connection, _ALIASES, (name,))]
    inside = [each for each in found if _lies_in(each, plugin)]
    return _best(inside) or _best(found) or _renamed(connection, {each.skill_name for each in found})


def _best(found: list[_Alias]) -> str | None:
    """Return the one served skill that fits best, None when there is none or more than one."""
    served = [each for each in found if each.served]
    best = [each for each in served if each.kind == min(each.kind for each in served)]
    return best[0].skill_name if len(best) == 1 else None


def _renamed(connection: apsw.Connection, former: set[str]) -> str | None:
    """Return the one served name that these former names lead to, through any number of renames."""
    seen, present = set(former), set()
    while former:
        steps = [step for name in former for step in rows(connection, _RENAMED, (name,))]
        present |= {name for name, served in steps if served}
        former = {name for name, served in steps if not served} - seen
        seen |= former
    return present.pop() if len(present) == 1 else None


def _lies_in(alias: _Alias, plugin: str) -> bool:
    """Return whether a document or one of its copies is below a folder named like the plugin."""
    paths = [alias.document_path or "", *msgspec.json.decode(alias.copies)]
    return any(plugin in map(fold_name, path_parts(path)[:-1]) for path in paths)
