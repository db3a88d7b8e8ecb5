"""skillrank signals …."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import print_json, say, table
from service.text import counted
from store.contract.metrics import Bucket
from store.contract.signals import SignalFilter
from store.errors import InvalidRecord
from store.windows import parse_window

signals = typer.Typer(help="Show signals: evidence of skills from projects.", no_args_is_help=True)

User = Annotated[str | None, typer.Option(help="Only signals of this user.")]
Project = Annotated[str | None, typer.Option(help="Only signals of this project.")]
Skill = Annotated[str | None, typer.Option(help="Only signals of this skill.")]
Category = Annotated[str | None, typer.Option(help="Only signals of skills of this category.")]
Since = Annotated[str | None, typer.Option(help="Only signals from this UTC time on, ISO 8601.")]
Until = Annotated[str | None, typer.Option(help="Only signals before this UTC time, ISO 8601.")]

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
    """Show how the signals are distributed over skills."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.signal_distribution(_wanted(user, project, skill, category, since, until))
        if as_json:
            print_json(found)
            return
        table(
            ("skill", "category", "signals", "share of all", "last"),
            [
                (each.skill_name, each.category or "", f"{each.signals:,}", f"{each.share:.1%}", each.last_at[:19])
                for each in found.skills
            ],
        )
        say(counted(found.total, "signal"), style="dim")


@signals.command("momentum")
def momentum(
    user: User = None,
    project: Project = None,
    skill: Skill = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    bucket: Annotated[str, typer.Option(help="The length of a bar: minute, hour, day or week.")] = "day",
    window: Annotated[str, typer.Option(help="The length of the period when --since is not given.")] = "30 days",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show signals over time, and how they changed."""
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
            say(f"{each.time_bucket[:16]} {each.signals:>7,} {bar}")
        percent = "" if found.change_percent is None else f" ({found.change_percent:+.0f}%)"
        say(f"{counted(found.total, 'signal')}, {found.change:+,} compared with the period before{percent}")


@signals.command("activity")
def activity(
    user: User = None,
    project: Project = None,
    skill: Skill = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many signals to show.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Continue after the page that printed this cursor.")] = None,
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
            say(f"{each.created_at[:19]}  {each.user_id} {each.signal_type} {each.skill_name} in {each.project_id}")
        if found.next:
            say(f"more: --cursor {found.next}", style="dim", wrap=False)


def _wanted(
    user: str | None,
    project: str | None,
    skill: str | None,
    category: str | None,
    since: str | None,
    until: str | None,
) -> SignalFilter:
    return SignalFilter(user_id=user, project_id=project, skill_name=skill, category=category, since=since, until=until)
