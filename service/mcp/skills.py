"""Skills as MCP resources, and the Skills extension (SEP-2640): `skills/list` and `skills/get` with digests."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import anyio
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, RequestParams

from service.mcp.results import PackageEntry, PackagePage

TTL_MS: Final = 60_000


class GetSkillParams(RequestParams):
    """Which skill: the URI of its SKILL.md."""

    uri: str


class SkillsExtension(Extension):
    """Serves the indexed skills that conform to the Agent Skills format.

    Parameters
    ----------
    page : function
        Returns the packages after a skill's name, and the name to go on from.
    entry : function
        Returns the package at the URI of a SKILL.md, None when there is none.
    """

    identifier = "io.modelcontextprotocol/skills"

    def __init__(self, page: Callable[[str], PackagePage], entry: Callable[[str], PackageEntry | None]) -> None:
        self._page = page
        self._entry = entry

    def methods(self) -> list[MethodBinding]:
        """Return the methods that the extension adds."""
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list),
            MethodBinding("skills/get", GetSkillParams, self._get),
        ]

    async def _list(self, _: ServerRequestContext[Any, Any], params: PaginatedRequestParams) -> HandlerResult:
        after = _after(params.cursor)
        page = await anyio.to_thread.run_sync(self._page, after)
        listed: dict[str, Any] = {"resultType": "complete", "skills": page.entries}
        if page.next_name is not None:
            listed["nextCursor"] = base64.urlsafe_b64encode(page.next_name.encode()).decode()
        return listed | {"ttlMs": TTL_MS, "cacheScope": "private"}

    async def _get(self, _: ServerRequestContext[Any, Any], params: GetSkillParams) -> HandlerResult:
        entry = await anyio.to_thread.run_sync(self._entry, params.uri)
        if entry is None:
            raise MCPError(code=INVALID_PARAMS, message=f"no skill is served at {params.uri}", data={"uri": params.uri})
        return {"resultType": "complete", "skill": entry, "ttlMs": TTL_MS, "cacheScope": "private"}


def _after(cursor: str | None) -> str:
    try:
        return "" if cursor is None else base64.urlsafe_b64decode(cursor.encode()).decode()
    except ValueError as error:
        raise MCPError(code=INVALID_PARAMS, message="the cursor is not one that skills/list returned") from error
