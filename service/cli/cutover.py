"""skillrank import-json, skillrank cutover, skillrank rollback-cutover."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from service.cli.context import CONSOLE, AsJson, DataDir, Zone, plain, print_json, saying_errors, settings_for, zone_of
from store.clock import system_clock
from store.legacy.counts import DualPhase, DualReport, read_counts
from store.legacy.cutover import cut_over, roll_back
from store.legacy.gates import Gate, next_gate
from store.legacy.migrator import DataMigrator, Difference, MigrationStats
from store.legacy.state import read_state, record_event, state_problems
from store.legacy.words import counted
from store.metrics_store import SkillMetricsStore

_SHOWN = 10

JsonFile = Annotated[Path, typer.Argument(help="The JSON tracker's file, skill_metrics.json.")]


def import_json(
    json_path: JsonFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and change nothing.")] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import the invocations of a JSON tracking file; repeatable. Exit code 1 when rows cannot be used or differ."""
    with saying_errors(), _opened(data_dir) as (store, folder):
        migrator = DataMigrator(json_path.expanduser(), store, timezone=zone_of(timezone))
        stats = migrator.plan() if dry_run else migrator.migrate()
        if not dry_run and read_state(folder).phase != "database":
            record_event(folder, "migrated", stats)
        if as_json:
            print_json(stats)
        else:
            _print_stats(stats)
        if stats.validation_errors:
            raise typer.Exit(1)


def cutover(
    json_path: Annotated[Path | None, typer.Argument(help="The JSON tracker's file.")] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show the phase, how the two sides compared, and the next step.")
    ] = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Go on although part of the file cannot be imported.")
    ] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the database the only source: check, back up, import the rest, move the JSON file away."""
    with saying_errors():
        if status or json_path is None:
            _print_state(settings_for(data_dir).data_dir, as_json=as_json)
            return
        with _opened(data_dir) as (store, folder):
            report = cut_over(
                json_path.expanduser(), store, folder, accept_losses=accept_losses, timezone=zone_of(timezone)
            )
        if as_json:
            print_json(report)
            return
        CONSOLE.print(
            f"1. checked: the database is intact and the file can be read\n"
            f"2. backed up: {plain(report.database_backup.path)}, with the JSON file beside it",
            highlight=False,
            soft_wrap=True,
        )
        CONSOLE.print("3. imported:", highlight=False)
        _print_stats(report.stats)
        CONSOLE.print(
            f"4. [green]cut over[/]: the database is the only source; the file is kept as {plain(report.kept_json)}\n"
            "Undo this with `skillrank rollback-cutover`, which needs the kept file.",
            highlight=False,
            soft_wrap=True,
        )


def rollback_cutover(data_dir: DataDir = None, timezone: Zone = None, as_json: AsJson = False) -> None:
    """Undo a cut-over: the JSON file comes back with what was tracked since; the database stays as it is."""
    with saying_errors():
        with _opened(data_dir) as (store, folder):
            report = roll_back(store, folder, timezone=zone_of(timezone))
        if as_json:
            print_json(report)
            return
        rows = counted(report.rows_brought_back, "row")
        CONSOLE.print(
            f"{plain(report.json_path)} is the source again, with {rows} that only the database had\n"
            f"the database stays as it is; its backup is {plain(report.database_backup.path)}",
            highlight=False,
            soft_wrap=True,
        )


def _print_state(folder: Path, *, as_json: bool) -> None:
    problems = state_problems(folder)
    state, counts = read_state(folder), read_counts(folder)
    gate = next_gate(state, counts, system_clock())
    if as_json:
        print_json({**msgspec.to_builtins(state), "counts": counts, "gate": gate, "problems": problems})
        return
    CONSOLE.print(f"phase: {state.phase}", highlight=False)
    for event in state.events:
        CONSOLE.print(f"{event['at'][:19]}  {event['phase']}", highlight=False)
    for phase, report in counts.items():
        _print_counts(phase, report)
    for problem in problems:
        CONSOLE.print(f"[red]problem:[/] {plain(problem)}", highlight=False, soft_wrap=True)
    _print_gate(gate)


def _print_counts(phase: DualPhase, report: DualReport) -> None:
    CONSOLE.print(
        f"{phase} since {(report.since or '')[:10]}: {counted(report.operations, 'operation')}, {report.agreements} "
        f"without an error or a difference, {counted(report.mismatches, 'mismatch', 'mismatches')}, "
        f"{counted(report.json_errors, 'JSON error')}, {counted(report.database_errors, 'database error')}",
        highlight=False,
        soft_wrap=True,
    )
    _print_some("differs", [_described(each) for each in report.differences])
    _print_some("failed", report.problems)


def _print_gate(gate: Gate) -> None:
    CONSOLE.print(f"next: {plain(gate.next_step)}", highlight=False, soft_wrap=True)
    for reason in gate.waits_for:
        CONSOLE.print(f"[yellow]not yet, wait for:[/] {plain(reason)}", highlight=False, soft_wrap=True)


def _print_stats(stats: MigrationStats) -> None:
    table = Table(show_header=False, box=None)
    would = "that would be " if stats.dry_run else ""
    for label, count in (
        ("rows in the file", stats.invocations_in_file),
        (f"invocations {would}added", stats.invocations_migrated),
        (f"open invocations {would}finished", stats.outcomes_added),
        ("already in the database", stats.duplicates),
        ("rows that cannot be used", len(stats.refused)),
        ("fields that differ", len(stats.differences)),
        ("skills", stats.skills_checked),
    ):
        table.add_row(label, str(count))
    CONSOLE.print(table)
    _print_some("cannot be used", [f"{place}: {reason}" for place, reason in stats.refused])
    _print_some("differs", [_described(each) for each in stats.differences])
    _print_some(
        "cannot be imported, because totals do not say which invocations they count",
        [f"{name}: {counted(total, 'invocation')}" for name, total in stats.aggregates_without_uses.items()],
    )
    _print_some(
        "differs from its own invocations",
        [
            f"{each.key}: {each.field} is {each.json}, but its invocations give {each.database}"
            for each in stats.aggregate_differences
        ],
    )


def _described(each: Difference) -> str:
    return f"{each.key}: {each.field} is {each.json!r} in the file, {each.database!r} in the database"


def _print_some(title: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        CONSOLE.print(f"[yellow]{title}:[/] {plain(line)}", highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        CONSOLE.print(f"[yellow]{title}:[/] {len(lines) - _SHOWN} more; --json shows all", highlight=False)


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[tuple[SkillMetricsStore, Path]]:
    settings = settings_for(data_dir)
    store = SkillMetricsStore(settings.database)
    try:
        yield store, settings.data_dir
    finally:
        store.close()
