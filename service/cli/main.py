"""The command tree."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from service import VERSION
from service.cli import (
    adapting,
    agents,
    cutover,
    evaluating,
    feeding,
    indexing,
    insights,
    metrics,
    projects,
    reports,
    searching,
    serving,
    signals,
    skills,
    tracking,
    tuning,
    upkeep,
)
from service.cli.context import saying_errors
from service.cli.output import finish_output, note, prepare_streams, print_document, print_error, say


class _CommandTree(TyperGroup):
    """Prints wrong usage as the commands print their errors."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        standalone = kwargs.pop("standalone_mode", True)
        try:
            code = super().main(*args, standalone_mode=False, **kwargs)  # type: ignore[misc]
        except typer.TyperException as error:
            if not standalone:
                raise
            _print_usage_error(error)
            code = error.exit_code
        if standalone:
            sys.exit((code if isinstance(code, int) else 0) or (0 if finish_output() else 1))
        return code


def _print_usage_error(error: typer.TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    message = error.format_message()
    if context is not None and message == context.get_help():
        # A group of commands that is called without one shows its help.
        print_document(message + "\n")
        return
    print_error(message)
    if context is not None:
        note(f"see `{context.command_path} --help`", wrap=False)


app = typer.Typer(
    name="skillrank",
    cls=_CommandTree,
    # Long option names leave little room for their help in 80 columns.
    context_settings={"max_content_width": 100},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Messages contain names and arguments, which must not be read as markup.
    rich_markup_mode=None,
)
app.command("index")(indexing.index)
app.command("search")(searching.search)
app.command("serve")(serving.serve)
app.command("mcp")(agents.mcp)
app.command("demo")(serving.demo)
app.command("doctor")(upkeep.doctor)
app.command("import-json")(cutover.import_json)
app.command("cutover")(cutover.cutover)
app.command("rollback-cutover")(cutover.rollback_cutover)
app.command("sweep")(upkeep.sweep_once)
app.command("tune")(tuning.tune)
app.command("eval")(evaluating.evaluate)
app.command("train-adapter")(adapting.train)
app.command("backup")(upkeep.backup)
app.command("restore")(upkeep.restore)
app.add_typer(skills.skills, name="skills")
tracking.track.command("workflow")(feeding.track_workflow)
app.add_typer(tracking.track, name="track")
app.add_typer(tracking.session, name="session")
app.add_typer(projects.project, name="project")
app.add_typer(signals.signals, name="signals")
app.add_typer(reports.report, name="report")
app.command("aggregate")(insights.aggregate)
app.add_typer(insights.insights, name="insights")
app.add_typer(metrics.metrics, name="metrics")
app.add_typer(upkeep.migrate, name="migrate")


def _show_version(value: bool) -> None:
    if value:
        say(f"skillrank {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the right skill: semantic search over SKILL.md files, ranked by recorded outcomes.

    Start with: skillrank index FOLDER, then skillrank search "what you want to do". Every command that prints a result
    takes --json. Exit codes: 0 success, 1 error or problems found, 2 wrong usage, 130 interrupted.
    """


def main() -> None:
    """Run the command line."""
    prepare_streams()
    # Commands print what people need to know; `serve` configures logging itself.
    logging.getLogger().addHandler(logging.NullHandler())
    with saying_errors():
        app(standalone_mode=True)
