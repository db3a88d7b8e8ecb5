"""MCP over streamable HTTP, mounted in the service at ``/mcp``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus
from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler

from service.search.engine import SkillSearch
from store.protocol import Store

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send
    from mcp.server import MCPServer

PATH: Final = "/mcp"

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class _Mount:
    """The server behind the mount, made at the first request: the SDK takes as long to import as the rest."""

    _tasks: TaskGroup  # while the service runs

    def __init__(self, store: Store, searching: SkillSearch) -> None:
        self._store = store
        self._searching = searching
        self._app: Any = None
        self._making = anyio.Lock()

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._making:
            if self._app is None:
                server, app = await anyio.to_thread.run_sync(self._make)
                await self._tasks.start(_keep_sessions, server)
                self._app = app
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def running(self, _: Litestar) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    def _make(self) -> tuple[MCPServer[Any], Any]:
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415  see above

        from service.mcp.server import create_mcp  # noqa: PLC0415
        from service.mcp.tools import SkillTools  # noqa: PLC0415

        tools = SkillTools(self._store, self._searching)
        server = create_mcp(lambda: tools)
        # Hosts and origins are checked by the service, before any route.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        return server, server.streamable_http_app(streamable_http_path="/", transport_security=unchecked)


async def _keep_sessions(server: MCPServer[Any], *, task_status: TaskStatus[None]) -> None:
    async with server.session_manager.run():
        task_status.started()
        await anyio.sleep_forever()


def mount_mcp(store: Store, searching: SkillSearch) -> tuple[ASGIRouteHandler, Lifespan]:
    """Return the handler to mount, and the lifespan in which it answers."""
    mount = _Mount(store, searching)

    @asgi(PATH, is_mount=True, copy_scope=True)
    async def speak_mcp(scope: Scope, receive: Receive, send: Send) -> None:
        await mount.answer({**scope, "path": "/", "root_path": "", "raw_path": b"/"}, receive, send)

    return speak_mcp, mount.running
