"""skillrank doctor, skillrank backup, skillrank restore, skillrank sweep, skillrank migrate …."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.catalogue.staleness import stale_documents
from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import print_json, say, styled
from service.learning.outcomes import Learning
from service.text import counted
from service.upkeep import back_up, sweep
from store.contract.operations import StoreHealth
from store.errors import StoreUnavailable
from store.legacy.state import state_problems
from store.location import expanded
from store.sqlite import (
    KEPT,
    list_backups,
    migrate_down,
    migrate_up,
    migration_status,
    schema_difference,
)
from store.sqlite import restore as restore_backup

migrate = typer.Typer(help="Show and change the version of the database schema.", no_args_is_help=True)


def sweep_once(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Do the housekeeping that the service does regularly.

    Closes invocations and sessions that were left open, and deletes queries older than SKILLRANK_KEEP_SEARCHES_DAYS.
    """
    with saying_errors():
        settings = settings_for(data_dir)
        with opened(settings) as (store, _):
            done = sweep(store, Learning(store), settings)
    if as_json:
        print_json(done)
        return
    say(
        f"{counted(done.abandoned_uses, 'open invocation')} recorded as abandoned, "
        f"{counted(done.ended_sessions, 'idle session')} ended, "
        f"percentiles of {counted(done.refreshed_percentiles, 'skill')} computed"
    )
    say(
        f"queries deleted from {counted(done.forgotten_searches, 'search', 'searches')} and "
        f"{counted(done.forgotten_uses, 'invocation')}"
    )


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Skip the checks that read the whole database.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check the database and the index for problems.

    Exits with code 1 when there is a problem.
    """
    health: StoreHealth | None = None
    stale: list[str] = []
    with saying_errors():
        backups = list_backups(settings_for(data_dir).backups_dir)
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
        changed = counted(len(stale), "document")
        problems.append(f"{changed} changed or disappeared after the last index run; run `skillrank index`")
    problems += state_problems(settings_for(data_dir).data_dir)
    if as_json:
        print_json({"health": health, "problems": problems, "stale": stale, "backups": [str(b) for b in backups]})
    else:
        if health is not None:
            _print_health(health, backups, thorough=not quick)
        for problem in problems:
            say(styled("problem:", "red"), f" {problem}", wrap=False)
        if not problems:
            say("no problems found", style="green")
    if problems:
        raise typer.Exit(1)


def backup(
    to: Annotated[
        Path | None, typer.Option("--to", help="Write to this file instead of the data folder; it is never pruned.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many backups to keep in the data folder.")] = KEPT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up the database and verify the copy.

    The database may be in use meanwhile. Its SHA-256 checksum is written next to it.
    """
    settings = settings_for(data_dir)
    with saying_errors(), opened(settings) as (store, _):
        if to:
            report, pruned = store.backup(expanded(to)), list[Path]()
        else:
            report, pruned = back_up(store, settings, moment=datetime.now(UTC), keep=keep)
        if as_json:
            print_json({"backup": report, "pruned": [str(path) for path in pruned]})
            return
        say(report.path, wrap=False)
        say(
            f"{report.size_bytes / 1e6:.1f} MB, schema V{report.schema_version}, "
            f"{counted(report.total_invocations, 'use')}, verified in {report.seconds:.2f} s"
        )
        say(f"sha256 {report.sha256}", wrap=False)
        for path in pruned:
            say(f"removed the old backup {path.name} ({keep:,} {'is' if keep == 1 else 'are'} kept)", wrap=False)


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `skillrank backup` or `skillrank migrate down` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replace the database with a backup.

    The present database is kept. Refuses while another process has the database open.
    """
    with saying_errors():
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        report = restore_backup(settings_for(data_dir).database, expanded(source), stamp=stamp)
        if as_json:
            print_json(report)
            return
        say(
            f"restored {report.database} from {report.source}: schema V{report.schema_version}, "
            f"{counted(report.total_invocations, 'use')}",
            wrap=False,
        )
        if not report.checksum_verified:
            say(styled("no checksum file was found next to the backup", "yellow"), "; only its content was verified")
        if report.kept is not None:
            say(f"the previous database is kept as {report.kept}; remove it when you no longer need it", wrap=False)


def _print_health(health: StoreHealth, backups: list[Path], *, thorough: bool) -> None:
    lines = [
        f"database   {health.location}, schema V{health.schema_version}",
        f"size       {health.size_bytes / 1e6:.1f} MB, and {health.wal_bytes / 1e6:.1f} MB of write-ahead log",
        f"skills     {health.served_skills:,} served, {health.total_skills:,} known, {health.used_skills:,} ever used",
        f"uses       {health.total_invocations:,}, of which {health.open_invocations:,} open",
        f"index      generation {health.generation}, model {health.model_id}"
        if health.generation
        else "index      none; run `skillrank index`",
        f"backups    {len(backups):,}" + (f", newest {backups[-1].name}" if backups else "; run `skillrank backup`"),
    ]
    if thorough:
        lines.append("checked    the database file, references, schema, index and metrics")
    lines += [
        f"slow       {slow.name}: {counted(slow.count, 'time')} over 100 ms, at worst {slow.worst_ms:.0f} ms"
        for slow in health.slow_queries
    ]
    if health.lock_waits.count:
        waits = health.lock_waits
        times = "1 time" if waits.count == 1 else f"{waits.count} times"
        lines.append(f"locked     waited {times} for another program, at worst {waits.longest_ms:.0f} ms")
    for line in lines:
        say(line, wrap=False)


@migrate.command("status")
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the schema versions, and when each was applied."""
    with saying_errors():
        found = migration_status(settings_for(data_dir).database)
        if as_json:
            print_json(
                [{"version": m.version, "description": m.description, "applied_at": m.applied_at} for m in found]
            )
            return
        for each in found:
            say(f"V{each.version}  {each.applied_at or 'pending':<28}  {each.description}")


@migrate.command("up")
def up(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Apply all pending versions."""
    with saying_errors():
        applied = migrate_up(settings_for(data_dir).database)
        if as_json:
            print_json({"applied": applied})
            return
        say("applied " + ", ".join(f"V{v}" for v in applied) if applied else "no version is pending")


@migrate.command("down")
def down(
    version: Annotated[int, typer.Argument(help="The newest applied version, which is rolled back.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Roll back the newest version, after a backup.

    Refuses while another process has the database open.
    """
    with saying_errors():
        backup = migrate_down(settings_for(data_dir).database, version)
        if as_json:
            print_json({"taken_back": version, "backup": str(backup)})
            return
        say(f"rolled back V{version}; the previous database is backed up as {backup}", wrap=False)


@migrate.command("verify")
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare the schema with a fresh one of the same version.

    Exits with code 1 when they differ.
    """
    with saying_errors():
        difference = schema_difference(settings_for(data_dir).database)
    if as_json:
        print_json({"difference": difference})
    elif difference is None:
        say("the schema matches its version", style="green")
    else:
        say(styled("the schema differs from its version:", "red"), f" {difference}")
    if difference is not None:
        raise typer.Exit(1)
