"""skillrank track workflow: brings what a quality run left behind into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.context import (
    CONSOLE,
    ERRORS,
    AsJson,
    DataDir,
    Zone,
    opened,
    plain,
    print_json,
    saying_errors,
    settings_for,
    zone_of,
)
from service.work.results.feeding import Fed, feed
from service.work.results.reported import Told

_SHOWN: Final = 10
# Smaller files are read before a bar could be seen.
_WORTH_A_BAR_BYTES: Final = 1_000_000


def track_workflow(
    results: Annotated[Path, typer.Argument(help="JUnit XML, or JSON lines in the form of /api/workflow_events.")],
    session: Annotated[str | None, typer.Option(help="The session that it belongs to.")] = None,
    workflow: Annotated[str | None, typer.Option(help="The workflow's name; JUnit XML: 'tests' by default.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of the workflow.")] = None,
    project: Annotated[str | None, typer.Option(help="The project's id.")] = None,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record what a quality run reported; the same file again adds nothing. Status 1 when something was refused."""
    told = Told(session_id=session, project_id=project, workflow=workflow, phase=phase)
    zone = zone_of(timezone)
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        path = results.expanduser()
        size = path.stat().st_size if path.is_file() else 0
        bar = Progress(
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=ERRORS,
            transient=True,
            disable=not ERRORS.is_terminal or size < _WORTH_A_BAR_BYTES,
        )
        with bar:
            task = bar.add_task("reading", total=size)
            fed = feed(store, path, told, zone, lambda done: bar.update(task, completed=done))
    if as_json:
        print_json(fed)
    else:
        _print(fed)
    if fed.refused or fed.broken:
        raise typer.Exit(1)


def _print(fed: Fed) -> None:
    CONSOLE.print(f"{fed.added} events added, {fed.known} known, {fed.refused} refused", highlight=False)
    for each in fed.reasons[:_SHOWN]:
        ERRORS.print(f"[yellow]{plain(each.where)}:[/] {plain(each.reason)}", highlight=False, soft_wrap=True)
    if fed.refused > _SHOWN:
        ERRORS.print(f"{fed.refused - _SHOWN} more were refused; --json tells more", highlight=False)
    if fed.broken is not None:
        ERRORS.print(f"[bold red]skillrank:[/] {plain(fed.broken)}", highlight=False, soft_wrap=True)
