"""The tree of commands: every one of them explains itself, and prints JSON on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.cli.main import app


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


TREE = list(commands())
LEAVES = [(path, command) for path, command in TREE if not hasattr(command, "commands")]
NAMES = [" ".join(path) for path, _ in LEAVES]


@pytest.mark.parametrize(("path", "command"), TREE, ids=[" ".join(path) or "skillrank" for path, _ in TREE])
def test_every_command_option_and_argument_has_a_help_text(path: tuple[str, ...], command: Any) -> None:
    assert command.help, path
    without = [each.name for each in command.params if not each.help]
    assert not without, f"{' '.join(path)}: {without}"


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=NAMES)
def test_every_command_prints_json_on_request(path: tuple[str, ...], command: Any) -> None:
    if path == ("mcp",):  # its standard output is a protocol of JSON messages
        return
    assert any("--json" in each.opts for each in command.params), path


def test_lists_of_commands_show_whole_sentences() -> None:
    for path, command in TREE:
        if hasattr(command, "commands"):
            shown = CliRunner().invoke(app, [*path, "--help"], terminal_width=80).output
            assert "..." not in shown.partition("Commands:")[2], shown


def test_help_texts_keep_what_looks_like_markup() -> None:
    assert '{"query": …, "expected": [names]}' in " ".join(CliRunner().invoke(app, ["tune", "--help"]).output.split())


def test_wrong_usage_is_told_in_one_line_that_names_the_help() -> None:
    result = CliRunner().invoke(app, ["search", "--nosuch"])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["skillrank: No such option: --nosuch", "see `skillrank search --help`"]


def test_metrics_rebuild_prints_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["metrics", "rebuild", "--json", "--data-dir", str(tmp_path)])
    assert json.loads(result.stdout) == {"rebuilt": True, "difference": None}
