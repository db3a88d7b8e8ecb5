"""skillrank index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from indexer.report import IndexReport
from indexer.report import Progress as IndexProgress
from indexer.run import EncoderSource, run_index
from service.cli.context import (
    CONSOLE,
    ERRORS,
    AsJson,
    DataDir,
    Model,
    opened,
    plain,
    print_json,
    saying_errors,
    settings_for,
)
from store.errors import InvalidRecord
from store.protocol import Store

_SHOWN = 10


def index(
    roots: Annotated[
        list[Path] | None, typer.Argument(help="Folders to search for SKILL.md files; none: those indexed before.")
    ] = None,
    forget: Annotated[
        list[Path] | None, typer.Option("--forget", help="A root whose skills are no longer served.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List everything that is reported.")] = False,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Find, embed and write skill documents; only what changed since the last run is embedded."""
    with saying_errors(), opened(settings_for(data_dir, model=model)) as (store, encoders):
        dropped = forget or []
        wanted = roots or [Path(root) for root in store.roots() if Path(root).exists()]
        if not wanted and not dropped:
            raise InvalidRecord("name a folder that holds skills, such as: skillrank index ~/.claude/skills")
        wanted = [root for root in wanted if root.resolve() not in {each.resolve() for each in dropped}]
        report = index_with_progress(store, encoders, wanted, forget=dropped)
        if as_json:
            print_json(report)
        else:
            print_report(report, verbose=verbose)


def index_with_progress(
    store: Store, source: EncoderSource, roots: list[Path], *, forget: list[Path] | None = None
) -> IndexReport:
    """Run an index run and show on standard error how far it is."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
        # A log file wants the summary, not a bar that is drawn again and again.
        disable=not ERRORS.is_terminal,
    )
    with bar:
        task = bar.add_task("scanning", total=None)

        def show(progress: IndexProgress) -> None:
            bar.update(task, description=progress.stage, completed=progress.done, total=progress.total)

        return run_index(store, source, roots, forget=forget or [], on_progress=show)


def print_report(report: IndexReport, *, verbose: bool = False) -> None:
    """Print the summary of a run, and what a person should look at."""
    CONSOLE.print(
        f"[bold]{report.documents}[/] skills served  ·  "
        f"[green]{report.added} added[/], [yellow]{report.changed} changed[/], [red]{report.removed} removed[/], "
        f"{report.unchanged} unchanged  ·  {report.embedded} embedded  ·  {report.seconds:.1f} s",
        highlight=False,
    )
    shown = None if verbose else _SHOWN
    _list("shadowed", [f"{s.skill_name}  ←  {s.path}" for s in report.shadowed], shown, "their name was taken already")
    _list("copies", [f"{c.path}  =  {c.of}" for c in report.copies], shown, "exactly another document, folded into it")
    _list("repaired", [f"{r.path}: {'; '.join(r.problems)}" for r in report.repaired], shown, "indexed all the same")
    _list("unparsable", [f"{u.path}: {u.reason}" for u in report.unparsable], None, "not indexed")


def _list(title: str, lines: list[str], shown: int | None, meaning: str) -> None:
    if not lines:
        return
    CONSOLE.print(f"[bold]{len(lines)} {title}[/] ({meaning})", highlight=False)
    for line in lines[:shown]:
        CONSOLE.print(f"  {plain(line)}", highlight=False, soft_wrap=True)
    if shown is not None and len(lines) > shown:
        CONSOLE.print(f"  … and {len(lines) - shown} more (--verbose lists all)", highlight=False, style="dim")
