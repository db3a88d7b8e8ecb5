"""Small readers of result rows."""

from __future__ import annotations

from typing import Any, LiteralString, TypeVar

import apsw
import msgspec

from store.errors import Conflict, InvalidRecord

R = TypeVar("R", bound=msgspec.Struct)


def rows(
    connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] | dict[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Return all rows."""
    return connection.execute(sql, bindings).fetchall()


def one(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] | dict[str, Any] = ()) -> Any | None:
    """Return the first row, None when there is none. The statement is finished either way."""
    found = rows(connection, sql, bindings)
    return found[0] if found else None


def value(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] | dict[str, Any] = ()) -> Any:
    """Return the first column of the first row, None when there is no row."""
    row = one(connection, sql, bindings)
    return row[0] if row else None


def record(kind: type[R], row: tuple[Any, ...], *, json: frozenset[str] = frozenset()) -> R:
    """Build a record from a row with its columns in the order of the record's fields; decode the `json` ones."""
    cells = dict(zip(kind.__struct_fields__, row, strict=True))
    for name in json:
        if cells[name] is not None:
            cells[name] = msgspec.json.decode(cells[name])
    return kind(**cells)


def narrowed(*conditions: tuple[LiteralString, Any]) -> tuple[str, tuple[Any, ...]]:
    """Return a WHERE clause of the conditions that have a value, and the values; both empty without any.

    Omitting a condition, rather than writing ``:x IS NULL OR …``, lets SQLite use the index for the others.
    """
    given = [(sql, bound) for sql, bound in conditions if bound is not None]
    clause = "WHERE " + " AND ".join(sql for sql, _ in given) if given else ""
    return clause, tuple(bound for _, bound in given)


def encode(payload: Any) -> str:
    """Encode a JSON value as the store keeps it.

    Raises
    ------
    InvalidRecord
        When `payload` contains something that is not a JSON value.
    """
    try:
        return msgspec.json.encode(payload).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRecord(f"a value cannot be written as JSON: {error}") from error


def require_same(kind: str, key: str, kept: msgspec.Struct, asked: msgspec.Struct) -> None:
    """Require that a repeated write has the recorded content.

    Raises
    ------
    Conflict
        When `asked` differs from what is recorded under its id.
    """
    if encode(kept) != encode(asked):
        raise Conflict(
            f"{kind} {key!r} is already recorded with other content; use a new id",
            recorded=msgspec.to_builtins(kept),
        )
