"""MCP over streamable HTTP, mounted in the service at ``/mcp``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler
from mcp.server.transport_security import TransportSecuritySettings

from service.mcp.server import create_mcp
from service.mcp.tools import SkillTools

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

PATH: Final = "/mcp"

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def mount_mcp(tools: SkillTools) -> tuple[ASGIRouteHandler, Lifespan]:
    """Return the handler to mount, and the lifespan in which it answers."""
    server = create_mcp(lambda: tools)
    # Hosts and origins are checked by the service, before any route.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(streamable_http_path="/", transport_security=unchecked)

    @asgi(PATH, is_mount=True, copy_scope=True)
    async def speak_mcp(scope: Scope, receive: Receive, send: Send) -> None:
        mounted: Any = {**scope, "path": "/", "root_path": "", "raw_path": b"/"}
        await app(mounted, receive, send)  # type: ignore[arg-type]

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    return speak_mcp, running
