"""skillrank report …: sessions and workflows, drawn for a terminal."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import Cell, lines_of, print_json, say, styled, table
from service.insights.figures import Interval, Rate
from service.insights.phases import Bottleneck, HeatMap, Transition
from service.insights.session import Moment, SessionReport, StepRun
from service.ranking.reasons import seconds_in_words
from service.text import counted
from service.work.sessions import session_report
from service.work.workflows import StepCorrelations, workflow_report
from store.contract.workflows import WorkflowFilter

report = typer.Typer(help="Reports on sessions and workflows.", no_args_is_help=True)

_SHOWN_STEPS: Final = 8
_STYLES: Final = {
    "completed": "green",
    "passed": "green",
    "failed": "red",
    "abandoned": "yellow",
    "helps": "green",
    "hurts": "red",
}
# From nothing to all of a row, light to dark.
_SHADES: Final = " ░▒▓█"


@report.command("session")
def session(
    session_id: Annotated[str, typer.Argument(help="The session's id.")],
    moments: Annotated[int, typer.Option(min=0, help="How many moments of the story to show.")] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened in a session.

    Includes the workflow results during and after each skill.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = session_report(store, session_id)
        if as_json:
            print_json(found)
            return
        _print_session(found)
        _print_story(found, moments)


@report.command("workflows")
def workflows(
    project: Annotated[str | None, typer.Option(help="Only sessions of this project.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only sessions with events of this workflow.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only sessions that started at this time or later, ISO 8601.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="How many lines of each table to show.")
    ] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how skills and workflow steps relate.

    Shows which skills help which steps, where work gets stuck, and what follows what, across sessions. Percentages
    are followed by their 95% interval in parentheses.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        wanted = WorkflowFilter(project_id=project, workflow=workflow, since=since)
        found = workflow_report(store, wanted, limit=limit)
        if as_json:
            print_json(found)
            return
        _print_correlations(found.correlations)
        _print_bottlenecks(found.bottlenecks)
        _print_transitions("from phase to phase", found.phase_transitions)
        _print_transitions("from skill to skill", found.skill_transitions)
        _print_heat_map(found.heat_map)


def _print_session(found: SessionReport) -> None:
    ended = f"ended {_clock(found.ended_at)}" if found.ended_at else "still open"
    project = f" in project {found.project_id}" if found.project_id else ""
    say(styled(f"session {found.session_id}", "bold"), f"{project}, started {_clock(found.started_at)}, {ended}")
    outcomes, statuses = _counts(found.outcomes), _counts(found.event_statuses)
    say(f"{counted(found.searches, 'search', 'searches')}  ·  uses: {outcomes}  ·  workflow events: {statuses}")
    if found.uses:
        table(
            ("skill", "outcome", "started", "passed", "failed", "skipped", "steps"),
            [
                (
                    use.skill_name,
                    _coloured(use.outcome or "running"),
                    _clock(use.invoked_at),
                    *(f"{count:,}" if count else "–" for count in (use.passed, use.failed, use.skipped)),
                    _steps(use.steps, use.distinct_steps),
                )
                for use in found.uses
            ],
            title="workflow results during each use",
        )
    if found.after:
        table(
            ("skill", "passed", "failed", "steps"),
            [
                (
                    after.skill_name,
                    f"{after.passed:,}",
                    f"{after.failed:,}",
                    _steps(after.steps, after.distinct_steps),
                )
                for after in found.after
            ],
            title="workflow results after each skill, before the next one",
        )
    if found.before_any_skill:
        say(f"workflow results before any skill: {_counts(found.before_any_skill)}")


def _print_story(found: SessionReport, most: int) -> None:
    shown = found.story[:most]
    if shown:
        table(
            ("time", "event", "about", "result", "took"),
            [
                (
                    _clock(moment.at),
                    moment.kind,
                    _about(moment),
                    _coloured(moment.status or "starts"),
                    seconds_in_words(moment.duration_seconds) if moment.duration_seconds is not None else "",
                )
                for moment in shown
            ],
            title="story",
        )
    left = len(found.story) - len(shown) + found.moments_left_out
    if left:
        say(f"{counted(left, 'more moment')} (--moments shows more, --json up to {len(found.story):,})")


def _print_correlations(found: StepCorrelations) -> None:
    say(
        f"{counted(found.steps_judged, 'step')} with a result, {counted(found.compared, 'pair')} of skill and step, "
        f"{found.tested:,} with enough data (at least {counted(found.least_sessions, 'session')} with the skill and as "
        "many without it, in projects that have both)"
    )
    tested = [each for each in found.effects if each.q_value is not None]
    if not tested:
        return
    table(
        ("skill", "step", "finding", "with", "without", "within projects", "lift", "q"),
        [
            (
                each.skill_name,
                f"{each.workflow} › {each.step or 'all steps'}",
                _coloured(each.finding),
                f"{each.passed_with}/{each.sessions_with}",
                f"{each.passed_without}/{each.sessions_without}",
                _points(each.adjusted),
                "–" if each.lift is None else f"{each.lift:.2f}",
                f"{each.q_value:.2g}",
            )
            for each in tested
        ],
        title="skills and steps",
    )
    say(
        "with, without: in how many sessions the step passed, of those that used the skill first and of the others; "
        "within projects: the difference in percentage points inside projects, with its 95% interval; lift: the share "
        "that passed with the skill divided by the share of all; q: the expected share of false findings among those "
        "that are as clear or clearer",
        style="dim",
    )


def _print_bottlenecks(found: list[Bottleneck]) -> None:
    if found:
        table(
            ("phase", "uses abandoned", "uses failed", "steps failed"),
            [(each.phase, _rate(each.abandoned), _rate(each.failed), _rate(each.failed_steps)) for each in found],
            title="bottlenecks",
        )


def _print_transitions(title: str, found: list[Transition]) -> None:
    if found:
        table(
            ("from", "to", "times", "sessions", "share"),
            [
                (
                    each.before,
                    each.after,
                    f"{each.n:,}",
                    f"{each.sessions:,}",
                    _percent(each.share) if each.share is not None else each.reason or "",
                )
                for each in found
            ],
            title=title,
        )


def _print_heat_map(found: HeatMap) -> None:
    used = [place for place in range(len(found.columns)) if any(row[place] for row in found.counts)]
    if not used:
        return
    rows = []
    for phase, row in zip(found.phases, found.counts, strict=True):
        # Shares are computed for uses and steps separately, because there are many more steps.
        totals = {kind: _total(found, row, kind) for kind in ("use", "step")}
        rows.append((phase, *(_shaded(row[place], totals[found.columns[place].split()[0]]) for place in used)))
    table(("phase", *(found.columns[place] for place in used)), rows, title="how uses and steps of a phase end")


def _total(found: HeatMap, row: list[int], kind: str) -> int:
    return sum(n for column, n in zip(found.columns, row, strict=True) if column.split()[0] == kind)


def _shaded(n: int, total: int) -> str:
    if not n:
        return ""
    share = n / total
    # Even the smallest share gets a shade.
    return f"{_SHADES[max(1, round(share * (len(_SHADES) - 1)))] * 4} {n:,} ({100 * share:.0f}%)"


def _steps(steps: list[StepRun], distinct: int) -> Cell:
    """Name the steps when they are few, else those that failed."""
    named = steps if distinct <= _SHOWN_STEPS else [run for run in steps if run.status == "failed"][:_SHOWN_STEPS]
    lines: list[Cell] = [styled(f"{run.step} {run.status}", _STYLES.get(run.status, "")) for run in named]
    if distinct > len(named):
        lines.append(counted(distinct - len(named), "more step" if named else "step"))
    return lines_of(lines)


def _about(moment: Moment) -> str:
    if moment.kind == "search":
        query = f"“{moment.about}”" if moment.about else "(query not kept)"
        return f"{query} → {', '.join(moment.served) or 'nothing'}"
    return f"{moment.workflow} › {moment.about}" if moment.workflow else moment.about


def _coloured(text: str) -> Cell:
    return styled(text, _STYLES.get(text, ""))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def _points(difference: Interval | None) -> str:
    if difference is None:
        return "–"
    return f"{100 * difference.value:+.0f} ({100 * difference.low:+.0f} to {100 * difference.high:+.0f})"


def _percent(share: Interval) -> str:
    return f"{100 * share.value:.0f}% ({100 * share.low:.0f}–{100 * share.high:.0f}%)"


def _rate(rate: Rate) -> str:
    if rate.share is not None:
        return f"{rate.n} of {rate.of}, {_percent(rate.share)}"
    return f"{rate.n} of {rate.of}, not enough data" if rate.of else "–"


def _clock(moment: str) -> str:
    return moment[:19].replace("T", " ")
