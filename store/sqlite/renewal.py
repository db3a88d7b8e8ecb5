"""Brings what an earlier release indexed up to date, where a migration cannot do it in SQL."""

from __future__ import annotations

import unicodedata
from typing import Final

import apsw

from store.sqlite.fulltext import searchable
from store.sqlite.names import aliases_missing, fill_aliases
from store.sqlite.rows import rows

_TEXTS: Final = "SELECT rowid, name, description, body FROM skill_fts WHERE rowid > ? ORDER BY rowid LIMIT 100"
_UPDATE: Final = "UPDATE skill_fts SET name = ?, description = ?, body = ? WHERE rowid = ?"


def renew(connection: apsw.Connection) -> None:
    """Add missing aliases of skills and normalise the texts of the full-text index, as one transaction.

    Does nothing if that was done before.
    """
    if not aliases_missing(connection):
        return  # without the write lock, which another process may hold for long
    connection.execute("BEGIN IMMEDIATE")
    try:
        if aliases_missing(connection):
            fill_aliases(connection)
            _normalise_texts(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _normalise_texts(connection: apsw.Connection) -> None:
    after = -(2**63)
    while found := rows(connection, _TEXTS, (after,)):
        for row_id, *texts in found:
            if any(not unicodedata.is_normalized("NFKC", text) for text in texts):
                connection.execute(_UPDATE, (*map(searchable, texts), row_id))
        after = found[-1][0]
