"""skillrank index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer.report import IndexReport
from indexer.report import Progress as IndexProgress
from indexer.run import EncoderSource, run_index
from service.cli.context import AsJson, DataDir, Model, opened, saying_errors, settings_for
from service.cli.output import note, print_json, progress, say, styled
from service.text import counted
from store.errors import InvalidRecord
from store.location import expanded
from store.protocol import Store

_SHOWN = 10


def index(
    roots: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders to search for SKILL.md files; default: those of the last run."),
    ] = None,
    forget: Annotated[
        list[Path] | None, typer.Option("--forget", help="A root to stop serving; may be repeated.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List every reported file instead of the first ten of a kind.")
    ] = False,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Find skill documents and index them.

    Only what changed since the last run is embedded. Exits with code 1 when none of the folders that are named
    holds a skill.
    """
    with saying_errors(), opened(settings_for(data_dir, model=model)) as (store, encoders):
        dropped = [expanded(each) for each in forget or []]
        named = [expanded(each) for each in roots or []]
        wanted = named or [Path(root) for root in store.roots() if Path(root).exists()]
        if not wanted and not dropped:
            raise InvalidRecord("name a folder that holds skills, such as: skillrank index ~/.claude/skills")
        wanted = [root for root in wanted if root.resolve() not in {each.resolve() for each in dropped}]
        report = index_with_progress(store, encoders, wanted, forget=dropped)
        if as_json:
            print_json(report)
        else:
            print_report(report, verbose=verbose)
        _, degraded = encoders.for_model(report.model_id)
        if degraded is not None:
            note(styled("note:", "yellow"), f" {degraded}", wrap=False)
        empty = _without_skill(store, report, wanted)
        for root in empty:
            note(
                styled("note:", "yellow"),
                f" no skill was found in {root}: a skill is a folder with a file named SKILL.md",
                wrap=False,
            )
    # None of the named folders was of any use, so a script should notice.
    if named and len(empty) == len(wanted) > 0:
        raise typer.Exit(1)


def index_with_progress(
    store: Store, source: EncoderSource, roots: list[Path], *, forget: list[Path] | None = None
) -> IndexReport:
    """Index `roots` and show the progress on standard error."""
    with progress() as show:

        def tell(now: IndexProgress) -> None:
            show(now.stage, now.done, now.total)

        return run_index(store, source, roots, forget=forget or [], on_progress=tell)


def _without_skill(store: Store, report: IndexReport, roots: list[Path]) -> list[Path]:
    paths = [state.document_path for state in store.documents()]
    paths += [each.path for each in report.shadowed] + [each.path for each in report.copies]
    paths += [each.path for each in report.unparsable] + [each.path for each in report.repaired]
    found = [Path(path) for path in paths]
    return [
        root
        for root in roots
        if not any(path.is_relative_to(root.absolute()) or path.is_relative_to(root.resolve()) for path in found)
    ]


def print_report(report: IndexReport, *, verbose: bool = False) -> None:
    """Print the summary of a run, and the files that need attention."""
    say(
        styled(f"{counted(report.documents, 'skill')} served", "bold"),
        "  ·  ",
        styled(f"{report.added:,} added", "green"),
        ", ",
        styled(f"{report.changed:,} changed", "yellow"),
        ", ",
        styled(f"{report.removed:,} removed", "red"),
        f", {report.unchanged:,} unchanged  ·  {report.embedded:,} embedded  ·  {report.seconds:.1f} s",
    )
    shown = None if verbose else _SHOWN
    _list("shadowed", [f"{s.skill_name}  ←  {s.path}" for s in report.shadowed], shown, "another skill has the name")
    copies = "exact copy" if len(report.copies) == 1 else "exact copies"
    _list(copies, [f"{c.path}  =  {c.of}" for c in report.copies], shown, "served as one skill")
    _list("repaired", [f"{r.path}: {'; '.join(r.problems)}" for r in report.repaired], shown, "indexed nevertheless")
    _list("unparsable", [f"{u.path}: {u.reason}" for u in report.unparsable], None, "not indexed")


def _list(title: str, lines: list[str], shown: int | None, meaning: str) -> None:
    if not lines:
        return
    say(styled(f"{len(lines):,} {title}", "bold"), f" ({meaning})")
    for line in lines[:shown]:
        say("  ", line, wrap=False)
    if shown is not None and len(lines) > shown:
        say(f"… and {len(lines) - shown:,} more (--verbose lists all)", style="dim", indent=2)
