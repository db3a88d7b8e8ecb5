"""The command line: each command reads its options, calls what the service calls, and prints."""

from service.cli.main import main

__all__ = ["main"]
