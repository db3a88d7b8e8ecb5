"""skillrank search."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.padding import Padding

from service.cli.context import (
    CONSOLE,
    AsJson,
    DataDir,
    Model,
    opened,
    plain,
    print_json,
    saying_errors,
    settings_for,
    short,
)
from service.ranking.exploration import Exploration
from service.search.answers import MAX_RESULTS, RankedSkill, SearchAnswer, SearchRequest
from service.search.engine import SkillSearch

_COLOURS = {"high": "green", "medium": "yellow", "low": "red", "none": "red"}


def search(
    query: Annotated[str, typer.Argument(help="What you want to do; - reads it from standard input.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_RESULTS)] = 5,
    category: Annotated[str | None, typer.Option(help="Only skills of this category.")] = None,
    group: Annotated[bool, typer.Option("--group/--no-group", help="Show near-identical skills as one.")] = True,
    correct: Annotated[
        bool | None,
        typer.Option(
            "--correct/--no-correct", help="Correct mistyped words (or SKILLRANK_CORRECT).", show_default=False
        ),
    ] = None,
    session: Annotated[str | None, typer.Option(help="The session this belongs to.")] = None,
    user: Annotated[str | None, typer.Option(help="Who asks.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it is asked for.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Answer "which skill should I use?"."""
    settings = settings_for(data_dir, model=model)
    with saying_errors(), opened(settings) as (store, encoders):
        request = SearchRequest(
            query=sys.stdin.read() if query == "-" else query,
            limit=limit,
            category=category,
            group=group,
            correct=correct,
            session_id=session,
            user_id=user,
            project_id=project,
        )
        answer = SkillSearch(
            store,
            encoders,
            exploration=Exploration(share=settings.explore_share),
            correct=settings.correct,
        ).answer(request)
        if as_json:
            print_json(answer)
        else:
            print_answer(answer)


def print_answer(answer: SearchAnswer) -> None:
    """Print an answer as a person wants to read it."""
    for degraded in answer.degraded:
        CONSOLE.print(f"[yellow]note:[/] {plain(degraded)}", highlight=False)
    if answer.corrected:
        taken = ", ".join(f"“{typed}” as “{meant}”" for typed, meant in answer.corrected.items())
        CONSOLE.print(f"[dim]taking {plain(taken)}[/]", highlight=False)
    colour = _COLOURS[answer.confidence]
    CONSOLE.print(f"[{colour}]confidence {answer.confidence}[/]: {answer.message}", highlight=False)
    for skill in answer.results:
        _print_skill(skill)
    CONSOLE.print(f"search {answer.search_id}, {answer.elapsed_ms:.0f} ms", style="dim", highlight=False)


def _print_skill(skill: RankedSkill) -> None:
    CONSOLE.print(
        f"[bold]{skill.position:>2}. {plain(skill.skill_name)}[/]  [dim]{skill.score:+.2f}[/]", highlight=False
    )
    CONSOLE.print(Padding(plain(short(skill.description)), (0, 0, 0, 4)), highlight=False)
    if skill.passage:
        where = f"{skill.passage.heading}: " if skill.passage.heading else ""
        CONSOLE.print(
            Padding(plain(short(where + skill.passage.text, 160)), (0, 0, 0, 4)), style="dim", highlight=False
        )
    if skill.near_identical:
        others = plain("near-identical: " + ", ".join(skill.near_identical))
        CONSOLE.print(Padding(f"[dim]{others}[/]", (0, 0, 0, 4)), highlight=False)
    CONSOLE.print(Padding(f"[cyan]{plain(' · '.join(skill.reasons))}[/]", (0, 0, 0, 4)), highlight=False)
