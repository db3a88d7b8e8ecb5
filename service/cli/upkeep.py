"""skillrank doctor, skillrank migrate …."""

from __future__ import annotations

from typing import Annotated

import typer

from migrations import MigrationRunner
from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for

migrate = typer.Typer(help="The database's schema.", no_args_is_help=True)


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say how the store is; status 1 when something is wrong."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        health = store.health()
        difference = store.first_difference()
        problems = health.problems + ([f"metrics differ from the log: {difference}"] if difference else [])
        if as_json:
            print_json({"health": health, "problems": problems})
        else:
            CONSOLE.print(f"database {health.location}, schema V{health.schema_version}", highlight=False)
            CONSOLE.print(
                f"{health.size_bytes / 1e6:.1f} MB + {health.wal_bytes / 1e6:.1f} MB WAL, "
                f"{health.served_skills} skills, {health.total_invocations} uses, {health.open_invocations} open",
                highlight=False,
            )
            for problem in problems:
                CONSOLE.print(f"[red]problem:[/] {plain(problem)}", highlight=False)
        if problems:
            raise typer.Exit(1)


@migrate.command("status")
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Which versions the database has."""
    with saying_errors():
        found = _runner(data_dir).status()
        if as_json:
            print_json(
                [{"version": m.version, "description": m.description, "applied_at": m.applied_at} for m in found]
            )
            return
        for each in found:
            CONSOLE.print(f"V{each.version}  {each.applied_at or 'pending':<28}  {each.description}", highlight=False)


@migrate.command("up")
def up(data_dir: DataDir = None) -> None:
    """Apply every pending version."""
    with saying_errors():
        applied = _runner(data_dir).run_migrations()
        CONSOLE.print("applied " + ", ".join(f"V{v}" for v in applied) if applied else "nothing is pending")


@migrate.command("down")
def down(
    version: Annotated[int, typer.Argument(help="The newest applied version, which is taken back.")],
    data_dir: DataDir = None,
) -> None:
    """Take the newest version back; a backup is made first."""
    with saying_errors():
        backup = _runner(data_dir).rollback_migration(version)
        CONSOLE.print(f"V{version} taken back; the database before is in {backup}", highlight=False)


@migrate.command("verify")
def verify(data_dir: DataDir = None) -> None:
    """Compare the schema with a fresh one of the same version."""
    with saying_errors():
        difference = _runner(data_dir).verify()
        if difference is not None:
            CONSOLE.print(f"[red]the schema differs:[/] {plain(difference)}", highlight=False)
            raise typer.Exit(1)
        CONSOLE.print("the schema is what its version says", style="green")


def _runner(data_dir: DataDir) -> MigrationRunner:
    return MigrationRunner(settings_for(data_dir).database)
