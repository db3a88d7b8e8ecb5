"""skillrank metrics …."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.ranking.reasons import seconds_in_words
from store.errors import NotFound
from store.windows import parse_window

metrics = typer.Typer(help="What the recorded uses add up to.", no_args_is_help=True)


@metrics.command("summary")
def summary(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Totals, rates, top errors and workflow paths."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.summary()
        if as_json:
            print_json(found)
            return
        rate = (
            "no use has finished" if found.overall_completion_rate is None else f"{found.overall_completion_rate:.1f}%"
        )
        CONSOLE.print(
            f"{found.total_invocations} uses of {found.total_skills} skills, completion {rate}", highlight=False
        )
        if found.most_used_skill:
            CONSOLE.print(f"most used: {plain(found.most_used_skill)} ({found.most_used_count})", highlight=False)
        for title, counted in (("errors", found.top_errors), ("workflow paths", found.top_workflow_paths)):
            if counted:
                told = ", ".join(f"{plain(each.value)} ({each.n})" for each in counted)
                CONSOLE.print(f"top {title}: {told}", highlight=False)


@metrics.command("show")
def show(
    skill_name: Annotated[str | None, typer.Argument(help="One skill; none: all, most used first.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the metrics of one skill or of all."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.all_metrics() if skill_name is None else [store.skill_metrics(skill_name)]
        known = [each for each in found if each is not None]
        if not known and skill_name is not None:
            raise NotFound("recorded use of the skill", skill_name)
        if as_json:
            print_json(known)
            return
        table = Table("skill", "uses", "completed", "running", "rate", "median", "p95")
        for each in known:
            table.add_row(
                plain(each.skill_name),
                str(each.total_invocations),
                str(each.completed_invocations),
                str(each.running_invocations),
                "–" if each.completion_rate is None else f"{each.completion_rate:.0f}%",
                _seconds(each.p50_duration_seconds),
                _seconds(each.p95_duration_seconds),
            )
        CONSOLE.print(table)


@metrics.command("timeline")
def timeline(
    skill_name: Annotated[str, typer.Argument()],
    window: Annotated[str, typer.Option(help="Such as 7d, 36h or '2 weeks'.")] = "7d",
    bucket: Annotated[str, typer.Option(help="minute, hour, day or week.")] = "day",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the uses of a skill over time."""
    if bucket not in {"minute", "hour", "day", "week"}:
        raise typer.BadParameter(f"{bucket!r} is not one of minute, hour, day, week")
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        buckets = store.timeline(skill_name, window=parse_window(window), bucket=bucket)  # type: ignore[arg-type]
        if as_json:
            print_json(buckets)
            return
        most = max((each.invocations for each in buckets), default=0)
        for each in buckets:
            bar = "█" * round(30 * each.invocations / most) if most else ""
            CONSOLE.print(f"{each.time_bucket[:16]}  {each.invocations:>5}  {bar}", highlight=False)


@metrics.command("rebuild")
def rebuild(
    verify: Annotated[bool, typer.Option("--verify", help="Only compare; name the first difference.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Derive every metric anew from the log, or check that this would change nothing."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        if not verify:
            store.rebuild()
            # Ranking learns it anew from the same log, at the next searches.
            store.forget_evidence()
        difference = store.first_difference()
        if difference is None:
            CONSOLE.print("the metrics equal a recomputation from the log", style="green")
            return
        CONSOLE.print(f"[red]they differ:[/] {plain(difference)}", highlight=False)
        raise typer.Exit(1)


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else seconds_in_words(seconds)
