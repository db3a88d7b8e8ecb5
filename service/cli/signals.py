"""skillrank signals …."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from store.contract.metrics import Bucket
from store.contract.signals import SignalFilter
from store.errors import InvalidRecord
from store.windows import parse_window

signals = typer.Typer(help="Evidence of skill from projects and updates.", no_args_is_help=True)

User = Annotated[str | None, typer.Option(help="Only this user's.")]
Project = Annotated[str | None, typer.Option(help="Only this project's.")]
Skill = Annotated[str | None, typer.Option(help="Only this skill's.")]
Category = Annotated[str | None, typer.Option(help="Only skills of this category.")]
Since = Annotated[str | None, typer.Option(help="From this UTC time on.")]
Until = Annotated[str | None, typer.Option(help="Before this UTC time.")]

_BUCKETS: dict[str, Bucket] = {"minute": "minute", "hour": "hour", "day": "day", "week": "week"}
_BAR_WIDTH = 40


@signals.command("distribution")
def distribution(
    user: User = None,
    project: Project = None,
    skill: Skill = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Totals by skill and by category."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.signal_distribution(_wanted(user, project, skill, category, since, until))
        if as_json:
            print_json(found)
            return
        table = Table("skill", "category", "signals", "share", "last")
        for each in found.skills:
            table.add_row(
                plain(each.skill_name), plain(each.category or ""), str(each.signals), f"{each.share:.1%}", each.last_at
            )
        CONSOLE.print(table)
        CONSOLE.print(f"{found.total} signals", style="dim", highlight=False)


@signals.command("momentum")
def momentum(
    user: User = None,
    project: Project = None,
    skill: Skill = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    bucket: Annotated[str, typer.Option(help="minute, hour, day or week.")] = "day",
    window: Annotated[str, typer.Option(help="How long the period is without --since.")] = "30 days",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Signals over time, and the change against the period before."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        if bucket not in _BUCKETS:
            raise InvalidRecord(f"{bucket!r} is not one of {', '.join(_BUCKETS)}", field="bucket")
        wanted = _wanted(user, project, skill, category, since, until)
        found = store.signal_momentum(wanted, bucket=_BUCKETS[bucket], window=parse_window(window))
        if as_json:
            print_json(found)
            return
        most = max((each.signals for each in found.buckets), default=0)
        for each in found.buckets:
            bar = "█" * round(_BAR_WIDTH * each.signals / most) if most else ""
            CONSOLE.print(f"{each.time_bucket[:16]} {each.signals:>7} {bar}", highlight=False)
        percent = "" if found.change_percent is None else f" ({found.change_percent:+.0f}%)"
        CONSOLE.print(f"{found.total} signals, {found.change:+} against the period before{percent}", highlight=False)


@signals.command("activity")
def activity(
    user: User = None,
    project: Project = None,
    skill: Skill = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show signals, newest first."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        wanted = _wanted(user, project, skill, category, since, until)
        found = store.signal_activity(wanted, cursor=cursor, limit=limit)
        if as_json:
            print_json(found)
            return
        for each in found.signals:
            told = f"{each.user_id} {each.signal_type} {each.skill_name} in {each.project_id}"
            CONSOLE.print(f"{each.created_at[:19]}  {plain(told)}", highlight=False)
        if found.next:
            CONSOLE.print(f"more: --cursor {found.next}", style="dim", highlight=False)


def _wanted(
    user: str | None,
    project: str | None,
    skill: str | None,
    category: str | None,
    since: str | None,
    until: str | None,
) -> SignalFilter:
    return SignalFilter(user_id=user, project_id=project, skill_name=skill, category=category, since=since, until=until)
