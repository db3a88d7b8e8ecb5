"""Forgets the text of queries where it is not kept, and everything about queries that are old enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import apsw

from store.clock import format_time
from store.contract.searches import Forgotten
from store.query_hash import hash_of
from store.sqlite.database import Database
from store.sqlite.rows import encode, rows

# Few rows at a time, so that nobody waits long for the writer.
CHUNK: Final = 1000

# The conditions are those of partial indexes that contain just what is left to forget.
_WORDS_OF_SEARCHES: Final = f"SELECT id, session_id FROM search WHERE query IS NOT NULL LIMIT {CHUNK}"
_WORDS_OF_USES: Final = f"""
SELECT seq, session_id, user_query FROM skill_invocation WHERE user_query IS NOT NULL LIMIT {CHUNK}
"""
_OLD_SEARCHES: Final = f"SELECT id, session_id FROM search WHERE query_hash <> '' AND searched_at < ? LIMIT {CHUNK}"
_OLD_USES: Final = f"""
SELECT seq, session_id FROM skill_invocation
WHERE (user_query IS NOT NULL OR user_query_hash <> '') AND invoked_at < ? LIMIT {CHUNK}
"""
_FORGET_WORDS: Final = "UPDATE search SET query = NULL WHERE id = ?"
_FORGET_SEARCH: Final = """
UPDATE search SET query = NULL, query_hash = '', query_vector = NULL, model_id = NULL WHERE id = ?
"""
_FORGET_USE: Final = "UPDATE skill_invocation SET user_query = NULL, user_query_hash = ? WHERE seq = ?"
# Session reports show queries; a report that was made with them is made again without.
_FORGET_REPORTS: Final = "DELETE FROM session_report WHERE session_id IN (SELECT value FROM json_each(?))"


class SqliteRetention:
    """The `store.contract.searches.Retention` of one SQLite file."""

    _db: Database

    def forget_words(self) -> Forgotten:
        def searches(connection: apsw.Connection) -> int:
            found = rows(connection, _WORDS_OF_SEARCHES)
            connection.executemany(_FORGET_WORDS, [(row[0],) for row in found])
            return _void_reports(connection, found)

        def uses(connection: apsw.Connection) -> int:
            found = rows(connection, _WORDS_OF_USES)
            connection.executemany(_FORGET_USE, [(hash_of(row[2]), row[0]) for row in found])
            return len(found)

        return Forgotten(searches=self._all("forget_words", searches), uses=self._all("forget_words", uses))

    def forget_queries(self, older_than: timedelta) -> Forgotten:
        try:
            limit = format_time(self._db.clock() - older_than)
        except OverflowError:
            return Forgotten(searches=0, uses=0)  # nothing is older than the calendar

        def searches(connection: apsw.Connection) -> int:
            found = rows(connection, _OLD_SEARCHES, (limit,))
            connection.executemany(_FORGET_SEARCH, [(row[0],) for row in found])
            return _void_reports(connection, found)

        def uses(connection: apsw.Connection) -> int:
            found = rows(connection, _OLD_USES, (limit,))
            connection.executemany(_FORGET_USE, [("", row[0]) for row in found])
            return len(found)

        return Forgotten(searches=self._all("forget_queries", searches), uses=self._all("forget_queries", uses))

    def _all(self, name: str, forget: Callable[[apsw.Connection], int]) -> int:
        """Run `forget`, which returns how many rows it changed, until there is nothing left."""

        def unit(connection: apsw.Connection) -> int:
            # Freed space is overwritten, not merely released.
            connection.execute("PRAGMA secure_delete = ON")
            try:
                return forget(connection)
            finally:
                connection.execute("PRAGMA secure_delete = OFF")

        total = changed = self._db.write(name, unit)
        while changed == CHUNK:
            changed = self._db.write(name, unit)
            total += changed
        return total


def _void_reports(connection: apsw.Connection, found: list[tuple[Any, ...]]) -> int:
    sessions = sorted({row[1] for row in found if row[1] is not None})
    connection.execute(_FORGET_REPORTS, (encode(sessions),))
    return len(found)
