"""skillrank mcp."""

from __future__ import annotations

from service.cli.context import DataDir, Model, saying_errors, settings_for


def mcp(data_dir: DataDir = None, model: Model = None) -> None:
    """Run an MCP server on standard input and output.

    An agent starts this command, and finds, reads and records skills through its tools. It may run beside the service
    and beside other agents, on one data folder.
    """
    # Imported here: no other command needs the protocol.
    from service.mcp.stdio import serve_stdio  # noqa: PLC0415

    with saying_errors():
        serve_stdio(settings_for(data_dir, model=model))
