"""skillrank track workflow: records the results of a test run or another check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.context import AsJson, DataDir, Zone, opened, saying_errors, settings_for, zone_of
from service.cli.output import note, print_error, print_json, progress, say, styled
from service.text import counted
from service.work.results.feeding import Fed, feed
from service.work.results.reported import Told
from store.location import expanded

_SHOWN: Final = 10
# Smaller files are read before a bar could be seen.
_WORTH_A_BAR_BYTES: Final = 1_000_000


def track_workflow(
    results: Annotated[
        Path, typer.Argument(help="A JUnit XML file, or JSON lines as POST /api/workflow_events takes them.")
    ],
    session: Annotated[str | None, typer.Option(help="The id of the session the results belong to.")] = None,
    workflow: Annotated[str | None, typer.Option(help="The workflow's name; default for JUnit XML: tests.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of the workflow.")] = None,
    project: Annotated[str | None, typer.Option(help="The id of the project the results belong to.")] = None,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record the results of a test run or another check.

    Recording the same file again adds nothing. Exits with code 1 when an event was refused.
    """
    told = Told(session_id=session, project_id=project, workflow=workflow, phase=phase)
    zone = zone_of(timezone)
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        path = expanded(results)
        size = path.stat().st_size if path.is_file() else 0
        with progress(of_bytes=True, quiet=size < _WORTH_A_BAR_BYTES) as show:
            fed = feed(store, path, told, zone, lambda done: show("reading", done, size))
    if as_json:
        print_json(fed)
    else:
        _print(fed)
    if fed.refused or fed.broken:
        raise typer.Exit(1)


def _print(fed: Fed) -> None:
    say(f"{counted(fed.added, 'event')} added, {fed.known:,} already recorded, {fed.refused:,} refused")
    for each in fed.reasons[:_SHOWN]:
        note(styled(f"{each.where}:", "yellow"), f" {each.reason}", wrap=False)
    if fed.refused > _SHOWN:
        note(f"… and {fed.refused - _SHOWN:,} more were refused (--json lists more)")
    if fed.broken is not None:
        print_error(fed.broken)
