"""skillrank import-json, skillrank cutover, skillrank rollback-cutover."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.cli.context import CONSOLE, AsJson, DataDir, Zone, plain, print_json, saying_errors, settings_for, zone_of
from store.legacy.cutover import DataMigrator, Difference, MigrationStats, cut_over, read_state, record_event, roll_back
from store.metrics_db import SkillMetricsStore

_SHOWN = 10

JsonFile = Annotated[Path, typer.Argument(help="The file of the JSON tracker, skill_metrics.json.")]


def import_json(
    json_path: JsonFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring the uses of a JSON tracking file into the database; repeatable. Status 1 when rows could not be used."""
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
    json_path: Annotated[Path | None, typer.Argument(help="The file of the JSON tracker.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Only tell how far the cut-over has come.")] = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Go on though something of the file cannot be brought over.")
    ] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the database the one source: check, back up, bring the rest over, take the JSON file away."""
    with saying_errors():
        if status or json_path is None:
            _print_state(data_dir, as_json=as_json)
            return
        with _opened(data_dir) as (store, folder):
            report = cut_over(
                json_path.expanduser(), store, folder, accept_losses=accept_losses, timezone=zone_of(timezone)
            )
        if as_json:
            print_json(report)
            return
        CONSOLE.print(
            f"1. checked: the database is well, the file is read\n"
            f"2. backed up: {plain(report.database_backup.path)}, and the file beside it",
            highlight=False,
            soft_wrap=True,
        )
        CONSOLE.print("3. brought over:", highlight=False)
        _print_stats(report.stats)
        CONSOLE.print(
            f"4. [green]cut over[/]: the database is the one source; the file is kept as {plain(report.kept_json)}\n"
            "Undo with `skillrank rollback-cutover`. Remove the kept file when you no longer want that.",
            highlight=False,
            soft_wrap=True,
        )


def rollback_cutover(data_dir: DataDir = None, timezone: Zone = None, as_json: AsJson = False) -> None:
    """Undo a cut-over: the JSON file comes back with what was tracked since; the database stays."""
    with saying_errors():
        with _opened(data_dir) as (store, folder):
            report = roll_back(store, folder, timezone=zone_of(timezone))
        if as_json:
            print_json(report)
            return
        CONSOLE.print(
            f"{plain(report.json_path)} is the source again; {report.rows_brought_back} uses that only the database "
            f"knew are in it\nthe database stays as it is, a backup of it is {plain(report.database_backup.path)}",
            highlight=False,
            soft_wrap=True,
        )


def _print_state(data_dir: Path | None, *, as_json: bool) -> None:
    state = read_state(settings_for(data_dir).data_dir)
    if as_json:
        print_json(state)
        return
    CONSOLE.print(f"phase: {state.phase}", highlight=False)
    for event in state.events:
        CONSOLE.print(f"{event['at'][:19]}  {event['phase']}", highlight=False)


def _print_stats(stats: MigrationStats) -> None:
    table = Table(show_header=False, box=None)
    for said, count in (
        ("rows in the file", stats.invocations_in_file),
        ("uses that would be added" if stats.dry_run else "uses added", stats.invocations_migrated),
        ("open uses that would be finished" if stats.dry_run else "open uses finished", stats.outcomes_added),
        ("uses the database has already", stats.duplicates),
        ("rows that cannot be used", len(stats.refused)),
        ("fields that differ", len(stats.differences)),
        ("skills", stats.skills_checked),
    ):
        table.add_row(said, str(count))
    CONSOLE.print(table)
    _print_some("cannot be used", [f"{place}: {reason}" for place, reason in stats.refused])
    _print_some("differs", [_told(each) for each in stats.differences])
    _print_some(
        "cannot be brought over, for a log of uses cannot be made from totals",
        [f"{name}: {total} uses" for name, total in stats.aggregates_without_uses.items()],
    )
    _print_some(
        "does not agree with its own uses",
        [
            f"{each.key}: {each.field} is {each.json}, its uses give {each.database}"
            for each in stats.aggregate_differences
        ],
    )


def _told(each: Difference) -> str:
    return f"{each.key}: {each.field} is {each.json!r} in the file, {each.database!r} in the database"


def _print_some(title: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        CONSOLE.print(f"[yellow]{title}:[/] {plain(line)}", highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        CONSOLE.print(f"[yellow]{title}:[/] {len(lines) - _SHOWN} more; all with --json", highlight=False)


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[tuple[SkillMetricsStore, Path]]:
    settings = settings_for(data_dir)
    store = SkillMetricsStore(settings.database)
    try:
        yield store, settings.data_dir
    finally:
        store.close()
