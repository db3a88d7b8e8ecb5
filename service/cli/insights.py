"""skillrank aggregate, skillrank insights."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Final

import typer

from service.analysis.aggregation import AggregateReport, Aggregation
from service.analysis.engine import Analysis, Insight, InsightReport, ProjectOverview
from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import heading, print_json, say, styled, table
from service.insights.findings import KINDS, Kind, Share
from service.text import counted, percent
from store.errors import InvalidRecord
from store.location import expanded

insights = typer.Typer(help="Show insights across projects and databases.", invoke_without_command=True)

_HEADINGS: Final[dict[Kind, str]] = {
    "mixed_results": "Works well in some projects and badly in others",
    "worth_trying": "Worth trying: works in similar projects",
    "use_trend": "Use is rising or falling",
    "success_trend": "Success is rising or falling",
    "anomaly": "Unusual compared with the weeks before",
    "unused": "Never used, or no longer used",
    "missing_skill": "Skills worth writing: no skill fits these queries",
    "passed_over": "Often shown, never chosen",
}

Since = Annotated[str | None, typer.Option(help="The first day to include, ISO 8601; default: the last 91 days.")]


def aggregate(
    source: Annotated[
        list[Path] | None,
        typer.Option("--source", help="A database or data folder to read; may be repeated. Default: your own."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Aggregate new records by project, skill and day.

    Exits with code 1 when a source could not be read.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        report = Aggregation(store).run([expanded(each) for each in source or []])
        if as_json:
            print_json(report)
        else:
            _print_aggregate(report)
        if report.skipped:
            raise typer.Exit(1)


@insights.callback()
def show(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help=f"Only insights of this kind: {', '.join(KINDS)}.")] = None,
    project: Annotated[
        str | None, typer.Option(help="Only insights about this project; '' for invocations without one.")
    ] = None,
    skill: Annotated[str | None, typer.Option(help="Only insights about this skill.")] = None,
    since: Since = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="How many insights of each kind to show.")
    ] = 10,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show insights with their evidence, the strongest first.

    Run `skillrank aggregate` before. The score is the size of the effect times its certainty, from 0 to 1.
    Percentages are shares of finished uses that completed, with their 95% interval in parentheses. q is the
    expected share of false findings among those that are as clear or clearer.
    """
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
    """List projects, and those that use similar skills.

    Percentages are shares of finished uses that completed, with their 95% interval in parentheses. Similarity is
    between 0 and 1.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = Analysis(store).projects(since=since)
        if as_json:
            print_json(found)
        else:
            _print_projects(found)


def _kind(name: str | None) -> Kind | None:
    for kind in KINDS:
        if kind == name:
            return kind
    if name is not None:
        raise InvalidRecord(f"{name!r} is not one of {', '.join(KINDS)}", field="kind")
    return None


def _print_aggregate(report: AggregateReport) -> None:
    for run in report.sources:
        anew = "; it was restored to an earlier state, so all of it was read again" if run.anew else ""
        say(
            f"{run.location}: {counted(run.invocations, 'new use')}, {counted(run.outcomes, 'new outcome')} and "
            f"{counted(run.searches, 'new search', 'new searches')} on {counted(run.days, 'day')}{anew}",
            wrap=False,
        )
    for skipped in report.skipped:
        say(styled("skipped:", "yellow"), f" {skipped.reason}", wrap=False)
    say(
        f"{counted(report.rows_read, 'row')} read, {counted(report.days_touched, 'day')} updated, "
        f"{report.seconds:.1f} s",
        style="dim",
    )


def _print_report(report: InsightReport, limit: int) -> None:
    say(styled(f"{report.since} to {report.as_of}", "bold"), f": {counted(report.total, 'insight')}")
    for each in report.notes:
        say(styled("note:", "yellow"), f" {each}")
    by_kind: dict[Kind, list[Insight]] = defaultdict(list)
    for insight in report.insights:
        by_kind[insight.kind].append(insight)
    if report.insights:
        say(
            "score: size of the effect times its certainty, 0 to 1; percentages: completed uses of all finished ones, "
            "with their 95% interval; q: expected share of false findings among those as clear or clearer",
            style="dim",
        )
    for examined in report.examined:
        found = by_kind[examined.kind]
        heading(_HEADINGS[examined.kind])
        if found:
            _print_insights(found[:limit])
        if len(found) > limit:
            say(f"… and {len(found) - limit:,} more (--limit shows more)", style="dim", indent=2)
        checked = f"{counted(examined.found, 'insight')} from {counted(examined.examined, 'case')} checked"
        if examined.not_enough_data:
            checked += f"; not enough data for {examined.not_enough_data:,} more (needs {examined.needs})"
        say(checked, style="dim", indent=2)


def _print_insights(found: list[Insight]) -> None:
    table(("score", "insight", "evidence"), [(f"{each.score:.2f}", each.title, _evidence(each)) for each in found])


def _evidence(insight: Insight) -> str:
    # The first and the last say most: the best and the worst project, the beginning and the end.
    ends = [insight.rates[0], insight.rates[-1]] if len(insight.rates) > 1 else insight.rates
    parts = [f"{_interval(each)} {each.of}" for each in ends]
    if insight.test is not None:
        parts.append(f"q = {insight.test.q_value:.2g} of {counted(insight.test.compared, 'test')}")
    if not parts:
        parts = [f"{name.replace('_', ' ')}: {value:g}" for name, value in insight.counts.items()]
    return " · ".join(parts)


def _interval(share: Share) -> str:
    return f"{percent(share.rate)} ({percent(share.low)}–{percent(share.high)})"


def _print_projects(found: list[ProjectOverview]) -> None:
    if not found:
        say("no project yet; run `skillrank aggregate` first")
        return
    table(
        ("project", "uses", "skills", "completed", "last use", "most used", "most similar"),
        [
            (
                each.project,
                f"{each.invocations:,}",
                f"{each.skills:,}",
                "–" if each.success is None else _interval(each.success),
                each.last_day,
                ", ".join(each.most_used[:3]),
                ", ".join(f"{other.project} ({other.similarity:.2f})" for other in each.similar[:2]) or "–",
            )
            for each in found
        ],
    )
