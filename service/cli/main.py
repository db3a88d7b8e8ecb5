"""The command tree."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from service import VERSION
from service.cli import (
    adapting,
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
from service.cli.context import CONSOLE, saying_errors

app = typer.Typer(
    name="skillrank",
    help="Which skill should I use? Ranked by meaning and by what really happened.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("index")(indexing.index)
app.command("search")(searching.search)
app.command("serve")(serving.serve)
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
        CONSOLE.print(f"skillrank {VERSION}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which skill should I use? Ranked by meaning and by what really happened."""


def main() -> None:
    """Run the command line."""
    # What a person must know, a command prints; `serve` sets up logs of its own.
    logging.getLogger().addHandler(logging.NullHandler())
    with saying_errors():
        app(standalone_mode=True)
