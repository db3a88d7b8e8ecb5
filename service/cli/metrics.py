"""skillrank metrics …."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import print_json, say, styled, table
from service.ranking.reasons import seconds_in_words
from service.text import counted
from store.contract.metrics import Bucket
from store.errors import NotFound
from store.windows import parse_window

metrics = typer.Typer(help="Show metrics of the recorded invocations.", no_args_is_help=True)

_BUCKETS: dict[str, Bucket] = {"minute": "minute", "hour": "hour", "day": "day", "week": "week"}
_BAR_WIDTH = 30


@metrics.command("summary")
def summary(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show totals, rates and the most frequent errors."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.summary()
        if as_json:
            print_json(found)
            return
        rate = found.overall_completion_rate
        completed = "none has finished" if rate is None else f"{rate:.1f}% of the finished ones completed"
        say(f"{counted(found.total_invocations, 'use')} of {counted(found.total_skills, 'skill')}; {completed}")
        if found.most_used_skill:
            say(f"most used: {found.most_used_skill} ({counted(found.most_used_count, 'use')})")
        for title, values in (
            ("most frequent errors", found.top_errors),
            ("most frequent workflow paths", found.top_workflow_paths),
        ):
            if values:
                say(f"{title}: {', '.join(f'{each.value} ({each.n:,})' for each in values)}")


@metrics.command("show")
def show(
    skill_name: Annotated[
        str | None, typer.Argument(help="The skill to show; default: all skills, the most used first.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the metrics of one skill or of all skills."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = store.all_metrics() if skill_name is None else [store.skill_metrics(skill_name)]
        known = [each for each in found if each is not None]
        if not known and skill_name is not None:
            raise NotFound("recorded use of the skill", skill_name)
        if as_json:
            print_json(known)
            return
        table(
            ("skill", "uses", "completed", "open", "rate", "median", "p95"),
            [
                (
                    each.skill_name,
                    f"{each.total_invocations:,}",
                    f"{each.completed_invocations:,}",
                    f"{each.running_invocations:,}",
                    "–" if each.completion_rate is None else f"{each.completion_rate:.0f}%",
                    _seconds(each.p50_duration_seconds),
                    _seconds(each.p95_duration_seconds),
                )
                for each in known
            ],
        )
        say(
            "rate: completed uses of all finished ones; median, p95: half and 95% of the uses took at most this long",
            style="dim",
        )


@metrics.command("timeline")
def timeline(
    skill_name: Annotated[str, typer.Argument(help="The skill to show.")],
    window: Annotated[str, typer.Option(help="The period up to now, such as 7d, 36h or '2 weeks'.")] = "7d",
    bucket: Annotated[str, typer.Option(help="The length of a bar: minute, hour, day or week.")] = "day",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the uses of a skill over time."""
    if bucket not in _BUCKETS:
        raise typer.BadParameter(f"{bucket!r} is not one of {', '.join(_BUCKETS)}")
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        buckets = store.timeline(skill_name, window=parse_window(window), bucket=_BUCKETS[bucket])
        if as_json:
            print_json(buckets)
            return
        most = max((each.invocations for each in buckets), default=0)
        for each in buckets:
            bar = "█" * round(_BAR_WIDTH * each.invocations / most) if most else ""
            say(f"{each.time_bucket[:16]}  {each.invocations:>5,}  {bar}")
        if not most:
            say(f"no use of {skill_name} in this period", style="dim")


@metrics.command("rebuild")
def rebuild(
    verify: Annotated[bool, typer.Option("--verify", help="Compare only, and change nothing.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Recompute all metrics from the log of invocations.

    Exits with code 1 when the metrics differ from the log, and names the first difference.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        if not verify:
            store.rebuild()
            # The next searches learn it again from the same log.
            store.forget_evidence()
        difference = store.first_difference()
    if as_json:
        print_json({"rebuilt": not verify, "difference": difference})
    elif difference is None:
        say("the metrics match the log", style="green")
    else:
        say(styled("the metrics differ from the log:", "red"), f" {difference}")
    if difference is not None:
        raise typer.Exit(1)


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else seconds_in_words(seconds)
