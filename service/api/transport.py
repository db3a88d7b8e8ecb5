"""What holds for every route: HEAD and OPTIONS, and slashes inside a segment of a path.

A server decodes the path of a request before the application sees it, so the slash of a skill named
``frontend/design`` would end a segment. `segments_kept` decodes the path anew, with a stand-in for such slashes, and
`slashes_restored` puts them back once the route is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from litestar.enums import ScopeType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

# A lone surrogate: no path can hold it, since decoding UTF-8 never yields one.
_SLASH: Final = "\udc2f"


def segments_kept(app: ASGIApp) -> ASGIApp:
    """Wrap `app`, a router: a percent-encoded slash belongs to its segment."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if scope["type"] == ScopeType.HTTP and b"%" in raw:
            segments = raw.partition(b"?")[0].split(b"/")
            # A copy, so that logs have the path as it was asked for.
            scope = {**scope, "path": "/".join(_decoded(segment) for segment in segments)}
        await app(scope, receive, send)

    return routed


def slashes_restored(app: ASGIApp) -> ASGIApp:
    """Wrap `app`, a route: its path parameters have their slashes back."""

    async def restored(scope: Scope, receive: Receive, send: Send) -> None:
        found = scope.get("path_params", {})
        if any(_SLASH in value for value in found.values()):
            scope["path_params"] = {name: value.replace(_SLASH, "/") for name, value in found.items()}
        await app(scope, receive, send)

    return restored


def head_and_options(app: ASGIApp, methods: Mapping[str, set[str]]) -> ASGIApp:
    """Wrap `app`: HEAD answers like GET without a body, and ``Allow`` names every method of the path.

    Parameters
    ----------
    app : ASGIApp
    methods : mapping
        The methods of each path template.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        bodiless = scope["method"] == "HEAD"
        routed: Scope = {**scope, "method": "GET"} if bodiless else {**scope}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, _allowed(value, methods.get(routed.get("path_template", ""))) if name == b"allow" else value)
                    for name, value in message["headers"]
                ]
            elif message["type"] == "http.response.body" and bodiless:
                message["body"] = b""
            await send(message)

        await app(routed, receive, sent)

    return answered


def _decoded(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode("utf-8", errors="replace").replace("/", _SLASH)


def _allowed(value: bytes, known: set[str] | None) -> bytes:
    methods = known or {method.strip() for method in value.decode("latin-1").split(",")}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods)).encode()
