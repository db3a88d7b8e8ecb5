"""skillrank import-json, skillrank cutover, skillrank rollback-cutover."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from service.cli.context import AsJson, DataDir, Zone, saying_errors, settings_for, zone_of
from service.cli.output import print_json, say, styled
from service.text import counted
from store.clock import system_clock
from store.legacy.counts import DualPhase, DualReport, read_counts
from store.legacy.cutover import cut_over, roll_back
from store.legacy.gates import Gate, next_gate
from store.legacy.migrator import DataMigrator, Difference, MigrationStats
from store.legacy.state import read_state, record_event, state_problems
from store.location import expanded
from store.metrics_store import SkillMetricsStore

_SHOWN = 10

JsonFile = Annotated[Path, typer.Argument(help="The file of the JSON tracker, such as skill_metrics.json.")]


def import_json(
    json_path: JsonFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, and change nothing.")] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import the invocations of a JSON tracker's file.

    Importing the same file again adds nothing. Exits with code 1 when a row could not be imported.
    """
    with saying_errors(), _opened(data_dir) as (store, folder):
        migrator = DataMigrator(expanded(json_path), store, timezone=zone_of(timezone))
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
    json_path: Annotated[
        Path | None, typer.Argument(help="The file of the JSON tracker; default: show the status.")
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far the cut-over has come, and change nothing.")
    ] = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Continue even if part of the file cannot be imported.")
    ] = False,
    timezone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replace the JSON tracker's file by the database.

    Checks both, backs both up, imports what is missing, and moves the file out of the way.
    """
    with saying_errors():
        if status or json_path is None:
            _print_state(settings_for(data_dir).data_dir, as_json=as_json)
            return
        with _opened(data_dir) as (store, folder):
            report = cut_over(
                expanded(json_path), store, folder, accept_losses=accept_losses, timezone=zone_of(timezone)
            )
        if as_json:
            print_json(report)
            return
        say("1. checked: the database is sound and the file is readable")
        say(f"2. backed up to {report.database_backup.path}, with a copy of the file next to it", wrap=False)
        say("3. imported:")
        _print_stats(report.stats)
        say("4. ", styled("cut over", "green"), f": the file is kept as {report.kept_json}", wrap=False)
        say("`skillrank rollback-cutover` undoes this. Remove the kept file when you no longer need it.")


def rollback_cutover(data_dir: DataDir = None, timezone: Zone = None, as_json: AsJson = False) -> None:
    """Undo a cut-over by restoring the JSON file.

    What was recorded since then is added to the file. The database is kept.
    """
    with saying_errors():
        with _opened(data_dir) as (store, folder):
            report = roll_back(store, folder, timezone=zone_of(timezone))
        if as_json:
            print_json(report)
            return
        added = counted(report.rows_brought_back, "invocation")
        say(f"restored {report.json_path}, with {added} that only the database had", wrap=False)
        say(f"the database is unchanged, and backed up as {report.database_backup.path}", wrap=False)


def _print_state(folder: Path, *, as_json: bool) -> None:
    problems = state_problems(folder)
    state, counts = read_state(folder), read_counts(folder)
    gate = next_gate(state, counts, system_clock())
    if as_json:
        print_json({**msgspec.to_builtins(state), "counts": counts, "gate": gate, "problems": problems})
        return
    say(f"phase: {state.phase}")
    for event in state.events:
        say(f"{event['at'][:19]}  {event['phase']}")
    for phase, report in counts.items():
        _print_counts(phase, report)
    for problem in problems:
        say(styled("problem:", "red"), f" {problem}", wrap=False)
    _print_gate(gate)


def _print_counts(phase: DualPhase, report: DualReport) -> None:
    say(
        f"{phase} since {(report.since or '')[:10]}: {counted(report.operations, 'operation')}, {report.agreements} "
        f"without an error or a difference, {counted(report.mismatches, 'mismatch', 'mismatches')}, "
        f"{counted(report.json_errors, 'JSON error')}, {counted(report.database_errors, 'database error')}"
    )
    _print_some("differs", [_in_words(each) for each in report.differences])
    _print_some("failed", report.problems)


def _print_gate(gate: Gate) -> None:
    say(f"next: {gate.next_step}", wrap=False)
    for reason in gate.waits_for:
        say(styled("not yet, wait for:", "yellow"), f" {reason}", wrap=False)


def _print_stats(stats: MigrationStats) -> None:
    counts = (
        ("rows in the file", stats.invocations_in_file),
        ("invocations to add" if stats.dry_run else "invocations added", stats.invocations_migrated),
        ("open invocations to finish" if stats.dry_run else "open invocations finished", stats.outcomes_added),
        ("already in the database", stats.duplicates),
        ("rows that cannot be imported", len(stats.refused)),
        ("fields that differ", len(stats.differences)),
        ("skills", stats.skills_checked),
    )
    for name, count in counts:
        say(f"   {name:<28}  {count:>9,}")
    _print_some("cannot be imported", [f"{place}: {reason}" for place, reason in stats.refused])
    _print_some("differs", [_in_words(each) for each in stats.differences])
    _print_some(
        "cannot be imported, because totals do not tell the single invocations",
        [f"{name}: {counted(total, 'invocation')}" for name, total in stats.aggregates_without_uses.items()],
    )
    _print_some(
        "contradicts the file's own invocations",
        [
            f"{each.key}: {each.field} is {each.json}, its invocations give {each.database}"
            for each in stats.aggregate_differences
        ],
    )


def _in_words(each: Difference) -> str:
    return f"{each.key}: {each.field} is {each.json!r} in the file, {each.database!r} in the database"


def _print_some(title: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        say(styled(f"{title}:", "yellow"), f" {line}", wrap=False)
    if len(lines) > _SHOWN:
        say(styled(f"{title}:", "yellow"), f" {len(lines) - _SHOWN:,} more (--json lists all)")


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[tuple[SkillMetricsStore, Path]]:
    settings = settings_for(data_dir)
    store = SkillMetricsStore(settings.database)
    try:
        yield store, settings.data_dir
    finally:
        store.close()
