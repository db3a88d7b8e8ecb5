"""skillrank report …: what sessions and workflows say, drawn for a terminal."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.insights.figures import Interval, Rate
from service.insights.phases import Bottleneck, HeatMap, Transition
from service.insights.session import Moment, SessionReport, StepRun
from service.ranking.reasons import seconds_in_words
from service.work.sessions import session_report
from service.work.workflows import StepCorrelations, workflow_report
from store.contract.workflows import WorkflowFilter

report = typer.Typer(help="What sessions and workflows say.", no_args_is_help=True)

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
    moments: Annotated[int, typer.Option(min=0, help="How much of the story to show.")] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell a session's story, and what its workflow said during and after each skill."""
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
    since: Annotated[str | None, typer.Option(help="Only sessions that began then or later, ISO 8601.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Lines of each table.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell which skills help which steps, where work gets stuck, and what follows what, over many sessions."""
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
    project = f" in project {plain(found.project_id)}" if found.project_id else ""
    _say(f"[bold]session {plain(found.session_id)}[/]{project}, began {_clock(found.started_at)}, {ended}")
    outcomes, statuses = _counts(found.outcomes), _counts(found.event_statuses)
    _say(f"{found.searches} searches  ·  uses: {outcomes}  ·  workflow events: {statuses}")
    if found.uses:
        table = Table("skill", "outcome", "began", "passed", "failed", "skipped", "steps", title="during each use")
        for use in found.uses:
            table.add_row(
                plain(use.skill_name),
                _styled(use.outcome or "running"),
                _clock(use.invoked_at),
                *(str(count) if count else "–" for count in (use.passed, use.failed, use.skipped)),
                _steps(use.steps, use.distinct_steps),
            )
        CONSOLE.print(table)
    if found.after:
        table = Table("skill", "passed", "failed", "steps", title="judged after each skill, before the next")
        for after in found.after:
            steps = _steps(after.steps, after.distinct_steps)
            table.add_row(plain(after.skill_name), str(after.passed), str(after.failed), steps)
        CONSOLE.print(table)
    if found.before_any_skill:
        _say(f"before any skill: {_counts(found.before_any_skill)}")


def _print_story(found: SessionReport, most: int) -> None:
    shown = found.story[:most]
    if shown:
        table = Table("time", "what", "about", "how", "took", title="story")
        for moment in shown:
            took = seconds_in_words(moment.duration_seconds) if moment.duration_seconds is not None else ""
            table.add_row(_clock(moment.at), moment.kind, _about(moment), _styled(moment.status or "begins"), took)
        CONSOLE.print(table)
    left = len(found.story) - len(shown) + found.moments_left_out
    if left:
        _say(f"{left} more moments; --moments shows more, --json up to {len(found.story)}")


def _print_correlations(found: StepCorrelations) -> None:
    _say(
        f"{found.steps_judged} steps judged, {found.compared} pairs of a skill and a step, {found.tested} with enough "
        f"data ({found.least_sessions} sessions with the skill and as many without it, in projects that have both)"
    )
    tested = [each for each in found.effects if each.q_value is not None]
    if not tested:
        return
    table = Table("skill", "step", "finding", "with", "without", "in projects", "lift", "q", title="skills and steps")
    for each in tested:
        table.add_row(
            plain(each.skill_name),
            plain(f"{each.workflow} › {each.step or 'all steps'}"),
            _styled(each.finding),
            f"{each.passed_with}/{each.sessions_with}",
            f"{each.passed_without}/{each.sessions_without}",
            _points(each.adjusted),
            "–" if each.lift is None else f"{each.lift:.2f}",
            f"{each.q_value:.2g}",
        )
    CONSOLE.print(table)
    _say(
        "[dim]with, without: in how many sessions the step passed, of those that used the skill before it and of the "
        "others; in projects: the difference in points inside projects, with its 95% interval; q: which share of such "
        "findings would be chance[/]"
    )


def _print_bottlenecks(found: list[Bottleneck]) -> None:
    if found:
        table = Table("phase", "uses abandoned", "uses failed", "steps failed", title="bottlenecks")
        for each in found:
            table.add_row(plain(each.phase), _rate(each.abandoned), _rate(each.failed), _rate(each.failed_steps))
        CONSOLE.print(table)


def _print_transitions(title: str, found: list[Transition]) -> None:
    if found:
        table = Table("from", "to", "times", "sessions", "share", title=title)
        for each in found:
            share = _percent(each.share) if each.share is not None else each.reason or ""
            table.add_row(plain(each.before), plain(each.after), str(each.n), str(each.sessions), share)
        CONSOLE.print(table)


def _print_heat_map(found: HeatMap) -> None:
    used = [place for place in range(len(found.columns)) if any(row[place] for row in found.counts)]
    if not used:
        return
    table = Table("phase", *(found.columns[place] for place in used), title="how phases end")
    for phase, row in zip(found.phases, found.counts, strict=True):
        # Uses and steps are shares of their own kind: there are many more steps.
        totals = {kind: _total(found, row, kind) for kind in ("use", "step")}
        cells = [_shaded(row[place], totals[found.columns[place].split()[0]]) for place in used]
        table.add_row(plain(phase), *cells)
    CONSOLE.print(table)


def _total(found: HeatMap, row: list[int], kind: str) -> int:
    return sum(n for column, n in zip(found.columns, row, strict=True) if column.split()[0] == kind)


def _shaded(n: int, total: int) -> str:
    if not n:
        return ""
    share = n / total
    # Whatever is there at all is seen.
    return f"{_SHADES[max(1, round(share * (len(_SHADES) - 1)))] * 4} {n} ({100 * share:.0f}%)"


def _steps(steps: list[StepRun], distinct: int) -> Text:
    """Name the steps where they are few, else those that failed."""
    named = steps if distinct <= _SHOWN_STEPS else [run for run in steps if run.status == "failed"][:_SHOWN_STEPS]
    lines = [Text(f"{_printable(run.step)} {run.status}", _STYLES.get(run.status, "")) for run in named]
    if distinct > len(named):
        lines.append(Text(f"{distinct - len(named)} more steps" if named else f"{distinct} steps"))
    return Text("\n").join(lines)


def _about(moment: Moment) -> str:
    if moment.kind == "search":
        words = f"“{plain(moment.about)}”" if moment.about else "(words not kept)"
        return f"{words} → {plain(', '.join(moment.served)) or 'nothing'}"
    return plain(f"{moment.workflow} › {moment.about}" if moment.workflow else moment.about)


def _styled(text: str) -> Text:
    return Text(text, _STYLES.get(text, ""))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {plain(name)}" for name, n in counts.items()) or "none"


def _points(told: Interval | None) -> str:
    if told is None:
        return "–"
    return f"{100 * told.value:+.0f} ({100 * told.low:+.0f} to {100 * told.high:+.0f})"


def _percent(told: Interval) -> str:
    return f"{100 * told.value:.0f}% ({100 * told.low:.0f} to {100 * told.high:.0f})"


def _rate(told: Rate) -> str:
    if told.share is not None:
        return f"{told.n}/{told.of}, {_percent(told.share)}"
    return f"{told.n}/{told.of}, not enough data" if told.of else "–"


def _clock(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _say(text: str) -> None:
    CONSOLE.print(text, highlight=False)
