"""MCP over standard input and output: one process for one agent, beside a running service or without one."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from service.mcp.server import create_mcp
from service.settings import Settings

if TYPE_CHECKING:
    from service.mcp.tools import SkillTools
    from store.protocol import Store


_OPEN_AFTER_S: Final = 0.5


class LazyTools:
    """Opens the store and loads the model when a tool is first used, so that an agent's start does not wait."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._tools: SkillTools | None = None
        self._store: Store | None = None

    def __call__(self) -> SkillTools:
        """Return the tools, the same each time."""
        with self._lock:
            if self._tools is None:
                self._tools = self._open()
            return self._tools

    def close(self) -> None:
        """Release the store, if it was opened."""
        with self._lock:
            if self._store is not None:
                self._store.close()

    def _open(self) -> SkillTools:
        # Imported here: an agent waits for `initialize`, and these take most of a cold start.
        from service.mcp.tools import SkillTools  # noqa: PLC0415
        from service.ranking.exploration import Exploration  # noqa: PLC0415
        from service.search.encoders import Encoders  # noqa: PLC0415
        from service.search.engine import SkillSearch  # noqa: PLC0415
        from store.sqlite import open_store  # noqa: PLC0415

        settings = self._settings
        self._store = open_store(settings.database, keep_queries=settings.keep_queries)
        encoders = Encoders(settings.model, settings.models_dir)
        searching = SkillSearch(self._store, encoders, exploration=Exploration(share=settings.explore_share))
        return SkillTools(self._store, searching)


def serve_stdio(settings: Settings) -> None:
    """Speak MCP until standard input ends, or until SIGINT or SIGTERM."""
    tools = LazyTools(settings)

    def leave(*_: object) -> None:
        # The thread that reads standard input cannot be interrupted, and an agent does not wait for it.
        tools.close()
        os._exit(0)

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, leave)
    # The first query should not wait for the model either: it is loaded once `initialize` has been answered.
    opening = threading.Timer(_OPEN_AFTER_S, tools)
    opening.daemon = True
    opening.start()
    try:
        create_mcp(tools).run("stdio")
    finally:
        tools.close()
