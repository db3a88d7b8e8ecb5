"""Which skills appear together in recorded searches, and which of two is then chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw

from store.contract.searches import Contest
from store.sqlite.database import Database
from store.sqlite.rows import rows

# Older searches were served from older documents; results below these positions are hardly looked at.
_NEWEST_SEARCHES: Final = 5_000
_LOWEST_POSITION: Final = 5
_TOGETHER: Final = f"""
WITH newest AS MATERIALIZED (SELECT id FROM search ORDER BY searched_at DESC LIMIT {_NEWEST_SEARCHES})
SELECT a.skill_name, b.skill_name FROM newest
JOIN search_result a ON a.search_id = newest.id AND a.position <= {_LOWEST_POSITION}
JOIN search_result b ON b.search_id = newest.id AND b.position <= {_LOWEST_POSITION} AND b.skill_name > a.skill_name
WHERE :skill_name IS NULL OR :skill_name IN (a.skill_name, b.skill_name)
GROUP BY a.skill_name, b.skill_name ORDER BY count(*) DESC, a.skill_name, b.skill_name LIMIT :limit
"""
_CONTEST: Final = f"""
WITH newest AS MATERIALIZED (SELECT id FROM search ORDER BY searched_at DESC LIMIT {_NEWEST_SEARCHES}),
     met AS MATERIALIZED (
         SELECT a.search_id, a.position < b.position AS first_above FROM search_result a
         JOIN search_result b ON b.search_id = a.search_id AND b.skill_name = :second
                             AND b.position <= {_LOWEST_POSITION}
         WHERE a.skill_name = :first AND a.position <= {_LOWEST_POSITION} AND a.search_id IN (SELECT id FROM newest)),
     used AS (
         SELECT i.skill_name, o.outcome FROM met JOIN skill_invocation i ON i.search_id = met.search_id
         LEFT JOIN skill_outcome o ON o.invocation_id = i.id WHERE i.skill_name IN (:first, :second))
SELECT (SELECT count(*) FROM met), (SELECT coalesce(sum(first_above), 0) FROM met),
       count(*) FILTER (WHERE skill_name = :first), count(*) FILTER (WHERE skill_name = :second),
       count(*) FILTER (WHERE skill_name = :first AND outcome = 'completed'),
       count(*) FILTER (WHERE skill_name = :second AND outcome = 'completed')
FROM used
"""


class SqliteOverlap:
    """The `store.protocol.Overlap` of one SQLite file."""

    _db: Database

    def served_together(self, *, limit: int, skill_name: str | None = None) -> list[tuple[str, str]]:
        bindings = {"limit": limit, "skill_name": skill_name}
        found = self._db.read("served_together", lambda connection: rows(connection, _TOGETHER, bindings))
        return [(first, second) for first, second in found]

    def contests(self, pairs: Sequence[tuple[str, str]]) -> list[Contest]:
        def query(connection: apsw.Connection) -> list[Contest]:
            found = []
            for first, second in pairs:
                (row,) = rows(connection, _CONTEST, {"first": first, "second": second})
                found.append(Contest(*row))
            return found

        return self._db.read("contests", query)
