"""The command line: each command reads its options, calls the same code as the service, and prints the result."""

from service.cli.main import main

__all__ = ["main"]
