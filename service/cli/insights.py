"""skillrank aggregate, skillrank insights."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from service.analysis.aggregation import AggregateReport, Aggregation
from service.analysis.engine import Analysis, Insight, InsightReport, ProjectOverview
from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.insights.findings import KINDS, Kind, Share
from service.wording import percent
from store.errors import InvalidRecord

insights = typer.Typer(help="What was learnt over projects and databases.", invoke_without_command=True)

_HEADINGS: Final[dict[Kind, str]] = {
    "mixed_results": "Well in some projects, badly in others",
    "worth_trying": "Worth trying: they work in projects like this one",
    "use_trend": "Used more or less and less",
    "success_trend": "Succeeding more or less and less",
    "anomaly": "Unlike the weeks before",
    "unused": "Never or no longer used",
    "missing_skill": "Skills worth writing: nothing fits these queries",
    "passed_over": "Often shown, never taken",
}

Since = Annotated[str | None, typer.Option(help="From this day on, ISO 8601; none: 91 days.")]


def aggregate(
    source: Annotated[
        list[Path] | None,
        typer.Option("--source", help="Another database or data folder, only read; repeat for more. None: your own."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count uses by project, skill and day: what is new since the last time. Status 1 when a source was left out."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        report = Aggregation(store).run([each.expanduser() for each in source or []])
        if as_json:
            print_json(report)
        else:
            _print_aggregate(report)
        if report.skipped:
            raise typer.Exit(1)


@insights.callback()
def show(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help=f"One of {', '.join(KINDS)}.")] = None,
    project: Annotated[str | None, typer.Option(help="What concerns this project; '': uses without one.")] = None,
    skill: Annotated[str | None, typer.Option(help="What concerns this skill.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Lines of each table.")] = 10,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what the counts say, ranked, with the evidence. `skillrank aggregate` counts."""
    if context.invoked_subcommand is not None:
        return
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        report = Analysis(store).report(
            kind=_kind(kind), project_id=project, skill_name=skill, since=since, limit=limit if as_json else 100_000
        )
        if as_json:
            print_json(report)
        else:
            _print_report(report, limit)


@insights.command("projects")
def projects(since: Since = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show each project, and the projects that use skills alike."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = Analysis(store).projects(since=since)
        if as_json:
            print_json(found)
        else:
            _print_projects(found)


def _kind(told: str | None) -> Kind | None:
    for kind in KINDS:
        if kind == told:
            return kind
    if told is not None:
        raise InvalidRecord(f"{told!r} is not one of {', '.join(KINDS)}", field="kind")
    return None


def _print_aggregate(report: AggregateReport) -> None:
    for run in report.sources:
        anew = "; it had been put back to an earlier state, so all of it was read again" if run.anew else ""
        CONSOLE.print(
            f"{plain(run.location)}: {run.invocations} uses, {run.outcomes} outcomes and {run.searches} searches "
            f"that are new, on {run.days} days{anew}",
            highlight=False,
            soft_wrap=True,
        )
    for skipped in report.skipped:
        CONSOLE.print(f"[yellow]left out:[/] {plain(skipped.reason)}", highlight=False, soft_wrap=True)
    CONSOLE.print(
        f"{report.rows_read} rows read, {report.days_touched} days counted, {report.seconds:.1f} s",
        style="dim",
        highlight=False,
    )


def _print_report(report: InsightReport, limit: int) -> None:
    CONSOLE.print(f"[bold]{report.since} to {report.as_of}[/]: {report.total} insights", highlight=False)
    for note in report.notes:
        CONSOLE.print(f"[yellow]note:[/] {plain(note)}", highlight=False, soft_wrap=True)
    by_kind: dict[Kind, list[Insight]] = defaultdict(list)
    for insight in report.insights:
        by_kind[insight.kind].append(insight)
    for examined in report.examined:
        found = by_kind[examined.kind]
        CONSOLE.print(f"\n[bold]{_HEADINGS[examined.kind]}[/]", highlight=False)
        if found:
            _print_insights(found[:limit])
        if len(found) > limit:
            CONSOLE.print(f"  … and {len(found) - limit} more (--limit)", style="dim", highlight=False)
        said = f"  {examined.examined} examined, {examined.found} told"
        if examined.not_enough_data:
            said += f"; not enough data for {examined.not_enough_data} (needs {examined.needs})"
        CONSOLE.print(said, style="dim", highlight=False)


def _print_insights(found: list[Insight]) -> None:
    table = Table("score", "", "evidence", box=None, pad_edge=True)
    for each in found:
        table.add_row(f"{each.score:.2f}", plain(each.title), plain(_evidence(each)))
    CONSOLE.print(table)


def _evidence(insight: Insight) -> str:
    # The first and the last tell most: the best and the worst project, the beginning and the end.
    ends = [insight.rates[0], insight.rates[-1]] if len(insight.rates) > 1 else insight.rates
    said = [f"{_interval(each)} {each.of}" for each in ends]
    if insight.test is not None:
        said.append(f"q {insight.test.q_value:.2g} of {insight.test.compared} tests")
    if not said:
        said = [f"{name.replace('_', ' ')} {value:g}" for name, value in insight.counts.items()]
    return " · ".join(said)


def _interval(told: Share) -> str:
    return f"{percent(told.rate)} ({percent(told.low)}-{percent(told.high)})"


def _print_projects(found: list[ProjectOverview]) -> None:
    table = Table("project", "uses", "skills", "completed", "last", "most used", "most alike")
    for each in found:
        table.add_row(
            plain(each.project),
            str(each.invocations),
            str(each.skills),
            "–" if each.success is None else _interval(each.success),
            each.last_day,
            plain(", ".join(each.most_used[:3])),
            plain(", ".join(f"{other.project} ({other.similarity:.2f})" for other in each.similar[:2])) or "–",
        )
    CONSOLE.print(table)
