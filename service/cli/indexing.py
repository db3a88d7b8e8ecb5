"""skillrank index."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from indexer.discovery import real_path
from indexer.report import IndexReport, RootReport, Unparsable
from indexer.report import Progress as IndexProgress
from indexer.run import EncoderSource, run_index
from service.cli.context import AsJson, DataDir, Model, opened, saying_errors, settings_for
from service.cli.output import note, print_json, progress, say, styled
from service.text import counted
from store.errors import InvalidRecord
from store.location import expanded
from store.protocol import Store

_SHOWN = 10
_SHOWN_MISSING = 50


def _read_path(text: str | Path) -> Path:
    # An empty path would mean the current folder, and is usually a variable that is not set.
    if not str(text).strip():
        raise typer.BadParameter("a path must not be empty")
    return Path(text)


def index(
    roots: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=_read_path,
            help="Folders to search for skills; default: those of earlier runs.",
            metavar="PATH",
        ),
    ] = None,
    forget: Annotated[
        list[Path] | None,
        typer.Option("--forget", parser=_read_path, help="A root to stop serving; may be repeated.", metavar="PATH"),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List every reported file instead of the first ten of a kind.")
    ] = False,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Find skill documents and index them.

    A skill is a folder with a SKILL.md, a Markdown file in .claude/skills, or one anywhere below .claude/commands. Only
    what changed since the last run is embedded. Exits with code 1 when no skill is found at all.
    """
    with saying_errors(), opened(settings_for(data_dir, model=model)) as (store, encoders):
        dropped = [expanded(each) for each in forget or []]
        named = [expanded(each) for each in roots or []]
        if not named and not dropped and not store.roots():
            raise InvalidRecord("name a folder that holds skills, such as: skillrank index ~/.claude/skills")
        kept = [root for root in named if real_path(root) not in {real_path(each) for each in dropped}]
        report = index_with_progress(store, encoders, kept, forget=dropped)
        if as_json:
            print_json(report)
        else:
            print_report(report, verbose=verbose)
        _, degraded = encoders.for_model(report.model_id)
        if degraded is not None:
            note(styled("note:", "yellow"), f" {degraded}", wrap=False)
        _warn_of_roots(report)
        if report.complete and not dropped and not any(root.documents for root in report.roots):
            raise typer.Exit(1)


def index_with_progress(
    store: Store, source: EncoderSource, roots: list[Path], *, forget: list[Path] | None = None
) -> IndexReport:
    """Index `roots` and show the progress on standard error."""
    with progress() as show:

        def tell(now: IndexProgress) -> None:
            show(now.stage, now.done, now.total)

        return run_index(store, source, roots, forget=forget or [], on_progress=tell)


def print_report(report: IndexReport, *, verbose: bool = False) -> None:
    """Print the summary of a run, and what a person should look at."""
    say(
        styled(f"{counted(report.documents, 'skill')} served", "bold"),
        "  ·  ",
        styled(f"{report.added:,} added", "green"),
        ", ",
        styled(f"{report.changed:,} changed", "yellow"),
        ", ",
        styled(f"{report.removed:,} removed", "red"),
        f", {report.unchanged:,} unchanged  ·  {report.embedded:,} embedded in {report.seconds:.1f} s",
    )
    if not report.complete:
        say(styled("stopped early;", "yellow"), " the next run continues from here")
    most = None if verbose else _SHOWN
    _list(
        report.shadowed,
        "{} under a longer name, because another skill has the name",
        [f"{s.skill_name}  ←  {s.path}" for s in report.shadowed],
        most,
    )
    _list(report.copies, "{} identical to another", [f"{c.path}  =  {c.of}" for c in report.copies], most)
    _list(
        report.superseded,
        "{} of an older plugin version, not served",
        [f"{s.path}  →  {s.by or 'not in the newest version'}" for s in report.superseded],
        most,
    )
    _list(
        report.repaired,
        "{} indexed despite a problem",
        [f"{r.path}: {'; '.join(r.problems)}" for r in report.repaired],
        most,
    )
    # What answers lack matters most, so more of it is shown.
    missing = [_describe(unparsable) for unparsable in report.unparsable]
    _list(report.unparsable, "{} not indexed", missing, None if verbose else _SHOWN_MISSING, noun="path")


def _describe(unparsable: Unparsable) -> str:
    place = unparsable.path if unparsable.target is None else f"{unparsable.path} -> {unparsable.target}"
    return f"{place}: {unparsable.reason}"


def _list(items: Sequence[object], title: str, lines: list[str], most: int | None, *, noun: str = "document") -> None:
    if not items:
        return
    say(styled(title.format(counted(len(items), noun)), "bold"))
    for line in lines[:most]:
        say("  ", line, wrap=False)
    if most is not None and len(lines) > most:
        say(f"… and {len(lines) - most:,} more (--verbose lists all)", style="dim", indent=2)


def _warn_of_roots(report: IndexReport) -> None:
    for root in report.roots:
        warning = _warning(root)
        if warning is not None:
            note(styled("note:", "yellow"), f" {warning}", wrap=False)


def _warning(root: RootReport) -> str | None:
    forget = f"skillrank index --forget {shlex.quote(root.path)}"
    if root.status == "gone":
        return (
            f"{root.path} does not exist any more, so its skills are no longer served; if it will not return: {forget}"
        )
    if root.status == "unreachable":
        return f"{root.path} cannot be read ({root.reason}), so its skills stay as they were; to drop them: {forget}"
    if root.documents == 0:
        return (
            f"no skill was found in {root.path}: a skill is a folder with a SKILL.md file; the folder is looked at "
            f"again by the next run, unless you run: {forget}"
        )
    return None
