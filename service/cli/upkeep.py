"""skillrank doctor, skillrank backup, skillrank restore, skillrank migrate …."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.catalogue.staleness import stale_documents
from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.learning.outcomes import Learning
from service.upkeep import back_up, sweep
from store.contract.operations import StoreHealth
from store.errors import StoreUnavailable
from store.legacy.state import state_problems
from store.sqlite import (
    KEPT,
    list_backups,
    migrate_down,
    migrate_up,
    migration_status,
    schema_difference,
)
from store.sqlite import restore as restore_backup

migrate = typer.Typer(help="The database's schema.", no_args_is_help=True)


def sweep_once(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Do what the service does every ten minutes: close what was left open, forget what is too old to be kept."""
    settings = settings_for(data_dir)
    with saying_errors(), opened(settings) as (store, _):
        done = sweep(store, Learning(store), settings)
    if as_json:
        print_json(done)
        return
    CONSOLE.print(
        f"{done.abandoned_uses} open uses abandoned, {done.ended_sessions} idle sessions ended, percentiles of "
        f"{done.refreshed_percentiles} skills computed, queries of {done.forgotten_searches} searches and "
        f"{done.forgotten_uses} uses forgotten",
        soft_wrap=True,
        highlight=False,
    )


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Only what can be told in a moment.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say how the store is: read everything, compare it, name what is wrong; status 1 when something is."""
    backups = list_backups(settings_for(data_dir).backups_dir)
    health: StoreHealth | None = None
    stale: list[str] = []
    with saying_errors():
        try:
            with opened(settings_for(data_dir)) as (store, _):
                health = store.health()
                stale = stale_documents(store)
                problems = list(health.problems) if quick else health.problems + store.check()
        except StoreUnavailable as error:
            if error.cause != "corrupt":
                raise
            remedy = f"run `skillrank restore {backups[-1]}`" if backups else "there is no backup to restore"
            problems = [f"the database is damaged ({error.__cause__}); {remedy}"]
    if stale:
        problems.append(f"{len(stale)} documents changed or vanished since they were indexed; run `skillrank index`")
    problems += state_problems(settings_for(data_dir).data_dir)
    if as_json:
        print_json({"health": health, "problems": problems, "stale": stale, "backups": [str(b) for b in backups]})
    else:
        if health is not None:
            _print_health(health, backups, thorough=not quick)
        for problem in problems:
            CONSOLE.print(f"[red]problem:[/] {plain(problem)}", highlight=False, soft_wrap=True)
        if not problems:
            CONSOLE.print("all is well", style="green")
    if problems:
        raise typer.Exit(1)


def backup(
    to: Annotated[Path | None, typer.Option("--to", help="A file of your own; it is never pruned.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many backups the data folder keeps.")] = KEPT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a checked copy of the database, with its sha256, while everything goes on."""
    settings = settings_for(data_dir)
    with saying_errors(), opened(settings) as (store, _):
        report, pruned = (store.backup(to), []) if to else back_up(store, settings, moment=datetime.now(UTC), keep=keep)
        if as_json:
            print_json({"backup": report, "pruned": [str(path) for path in pruned]})
            return
        CONSOLE.print(
            f"{plain(report.path)}\n{report.size_bytes / 1e6:.1f} MB, schema V{report.schema_version}, "
            f"{report.total_invocations} uses, opened and checked in {report.seconds:.2f} s\nsha256 {report.sha256}",
            highlight=False,
            soft_wrap=True,
        )
        for path in pruned:
            CONSOLE.print(f"removed the old backup {plain(path.name)} ({keep} are kept)", highlight=False)


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `skillrank backup` or `migrate down` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database; the present one is kept. Refuses while anything has it open."""
    with saying_errors():
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        report = restore_backup(settings_for(data_dir).database, source.expanduser(), stamp=stamp)
        if as_json:
            print_json(report)
            return
        CONSOLE.print(
            f"{plain(report.database)} is now the backup {plain(report.source)}: schema V{report.schema_version}, "
            f"{report.total_invocations} uses",
            highlight=False,
            soft_wrap=True,
        )
        if not report.checksum_verified:
            CONSOLE.print("[yellow]no checksum lay beside the backup[/], so only its content was checked")
        if report.kept is not None:
            CONSOLE.print(
                f"the database before is kept as {plain(report.kept)}; remove it when you no longer need it",
                highlight=False,
                soft_wrap=True,
            )


def _print_health(health: StoreHealth, backups: list[Path], *, thorough: bool) -> None:
    lines = [
        f"database   {plain(health.location)}, schema V{health.schema_version}",
        f"size       {health.size_bytes / 1e6:.1f} MB, and {health.wal_bytes / 1e6:.1f} MB of log (WAL)",
        f"skills     {health.served_skills} served, {health.total_skills} known, {health.used_skills} ever used",
        f"uses       {health.total_invocations}, {health.open_invocations} of them open",
        f"index      generation {health.generation}, model {health.model_id}"
        if health.generation
        else "index      none",
        f"backups    {len(backups)}" + (f", the newest {backups[-1].name}" if backups else "; run `skillrank backup`"),
    ]
    if thorough:
        lines.append("checked    the file, references, schema, index and metrics")
    lines += [
        f"slow       {slow.name}: {slow.count} times over 100 ms, at worst {slow.worst_ms:.0f} ms"
        for slow in health.slow_queries
    ]
    if health.lock_waits.count:
        waits = health.lock_waits
        times = "1 time" if waits.count == 1 else f"{waits.count} times"
        lines.append(f"locked     waited {times} for another program, at worst {waits.longest_ms:.0f} ms")
    for line in lines:
        CONSOLE.print(line, highlight=False, soft_wrap=True)


@migrate.command("status")
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Which versions the database has."""
    with saying_errors():
        found = migration_status(settings_for(data_dir).database)
        if as_json:
            print_json(
                [{"version": m.version, "description": m.description, "applied_at": m.applied_at} for m in found]
            )
            return
        for each in found:
            CONSOLE.print(f"V{each.version}  {each.applied_at or 'pending':<28}  {each.description}", highlight=False)


@migrate.command("up")
def up(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Apply every pending version."""
    with saying_errors():
        applied = migrate_up(settings_for(data_dir).database)
        if as_json:
            print_json({"applied": applied})
            return
        CONSOLE.print("applied " + ", ".join(f"V{v}" for v in applied) if applied else "nothing is pending")


@migrate.command("down")
def down(
    version: Annotated[int, typer.Argument(help="The newest applied version, which is taken back.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take the newest version back; a backup is made first. Refuses while anything has the database open."""
    with saying_errors():
        backup = migrate_down(settings_for(data_dir).database, version)
        if as_json:
            print_json({"taken_back": version, "backup": str(backup)})
            return
        CONSOLE.print(f"V{version} taken back; the database before is in {backup}", highlight=False)


@migrate.command("verify")
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare the schema with a fresh one of the same version; status 1 when they differ."""
    with saying_errors():
        difference = schema_difference(settings_for(data_dir).database)
        if as_json:
            print_json({"difference": difference})
            raise typer.Exit(difference is not None)
        if difference is not None:
            CONSOLE.print(f"[red]the schema differs:[/] {plain(difference)}", highlight=False)
            raise typer.Exit(1)
        CONSOLE.print("the schema is what its version says", style="green")
