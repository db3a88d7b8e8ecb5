"""Request bodies: JSON in UTF-8, bounded before it is decoded, and decoded strictly into the type of the route."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, HTTPException, ValidationException

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_VALUES: Final = 500_000
MAX_FREE_JSON_BYTES: Final = 65_536
_JSON_TYPES: Final = re.compile(r"application/(?:[\w.+-]+\+)?json", re.ASCII)
# Neither alternative can give anything back, and a string without an end reaches to the body's: one pass is enough.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_AT: Final = re.compile(r" - at `(.*)`$")


class UnsupportedMediaType(HTTPException):
    """A body that does not say that it is JSON."""

    status_code = 415


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is JSON of its route's type.

    Litestar decodes a body first and converts it then, as leniently as it converts query parameters: ``"5"`` would
    pass for 5. Decoding straight into the type is strict, and builds nothing that the type does not have.
    """

    async def json(self) -> Any:
        """Decode the body.

        Raises
        ------
        UnsupportedMediaType
            When the body says that it is something else than JSON.
        ClientException
            When it is no JSON, no UTF-8, or too deep or too large to be built.
        ValidationException
            When it does not have the form of the route's body.
        """
        media_type = self.content_type[0].strip().lower()
        if media_type and not _JSON_TYPES.fullmatch(media_type):
            raise UnsupportedMediaType(f"send JSON with `Content-Type: application/json`, not {media_type[:100]!r}")
        body = await self.body()
        require_bounded(body)
        field = self.route_handler.parsed_data_field
        try:
            return _decoded(body, Any if field is None else field.annotation)
        except msgspec.ValidationError as error:
            _decoded(body, Any)  # what is no JSON at all is refused as such, wherever it first differs from the type
            raise ValidationException(extra=[_explained(str(error))]) from error


def require_bounded(body: bytes) -> None:
    """Refuse JSON that would take much more memory than its text, before anything of it is built.

    Raises
    ------
    ClientException
        When it is nested too deeply or holds too many values.
    """
    brackets = body.count(b"{") + body.count(b"[")
    if brackets <= MAX_DEPTH and brackets + body.count(b",") <= MAX_VALUES:
        return
    structure = _STRINGS.sub(b"", body)  # what looks like structure inside strings does not count
    values = structure.count(b"{") + structure.count(b"[") + structure.count(b",")
    if values > MAX_VALUES:
        raise ClientException(f"the body holds more than {MAX_VALUES:,} JSON values; send several smaller ones")
    depth = deepest = 0
    for bracket in structure.translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ClientException(f"the body is nested more than {MAX_DEPTH} levels deep")


def require_small(field: str, value: Any) -> None:
    """Refuse free JSON that is too large to be kept; for ``__post_init__`` of a body.

    Raises
    ------
    ValueError
    """
    size = len(msgspec.json.encode(value)) if value else 0
    if size > MAX_FREE_JSON_BYTES:
        raise ValueError(f"{field} has {size:,} bytes as JSON, at most {MAX_FREE_JSON_BYTES:,} are kept")


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError:
        raise
    except UnicodeDecodeError as error:
        raise ClientException(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise ClientException(f"the body is nested more than {MAX_DEPTH} levels deep") from error
    except msgspec.DecodeError as error:
        raise ClientException(f"the body is not JSON: {error}") from error


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _explained(message: str) -> dict[str, str]:
    where = _AT.search(message)
    path = where.group(1).removeprefix("$").removeprefix(".") if where else ""
    return {"message": _AT.sub("", message), "key": path, "source": "body"}
