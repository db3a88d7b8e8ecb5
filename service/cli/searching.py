"""skillrank search."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from service.cli.context import AsJson, DataDir, Model, opened, saying_errors, settings_for, short
from service.cli.output import note, print_json, say, styled
from service.ranking.exploration import Exploration
from service.search.answers import MAX_RESULTS, RankedSkill, SearchAnswer, SearchRequest
from service.search.engine import SkillSearch
from service.text import counted

_COLOURS = {"high": "green", "medium": "yellow", "low": "red", "none": "red"}
_INDENT = 4
_PASSAGE_CHARACTERS = 160


def search(
    query: Annotated[str, typer.Argument(help="What you want to do; - reads it from standard input.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_RESULTS, help="How many skills to show.")] = 5,
    category: Annotated[str | None, typer.Option(help="Only skills of this category.")] = None,
    group: Annotated[bool, typer.Option("--group/--no-group", help="Show near-identical skills as one.")] = True,
    correct: Annotated[
        bool | None,
        typer.Option(
            "--correct/--no-correct", help="Correct mistyped words (or SKILLRANK_CORRECT).", show_default=False
        ),
    ] = None,
    session: Annotated[str | None, typer.Option(help="The id of the session that the search belongs to.")] = None,
    user: Annotated[str | None, typer.Option(help="The id of the user who searches.")] = None,
    project: Annotated[str | None, typer.Option(help="The id of the project that the search is for.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Find the skills that fit what you want to do.

    The number after a name is its score. Zero is the most relevant skill without any recorded use; outcomes and other
    evidence raise or lower it.
    """
    with saying_errors():
        settings = settings_for(data_dir, model=model)
        with opened(settings) as (store, encoders):
            request = SearchRequest(
                query=_standard_input() if query == "-" else query,
                limit=limit,
                category=category,
                group=group,
                correct=correct,
                session_id=session,
                user_id=user,
                project_id=project,
            )
            searching = SkillSearch(
                store,
                encoders,
                exploration=Exploration(share=settings.explore_share),
                correct=settings.correct,
            )
            answer = searching.answer(request)
        if as_json:
            print_json(answer)
        else:
            print_answer(answer)


def print_answer(answer: SearchAnswer) -> None:
    """Print an answer for a person."""
    for degraded in answer.degraded:
        note(styled("note:", "yellow"), " ", degraded)
    if answer.corrected:
        taken = ", ".join(f"“{typed}” as “{meant}”" for typed, meant in answer.corrected.items())
        say(f"reading {taken}", style="dim")
    say(styled(f"confidence {answer.confidence}", _COLOURS[answer.confidence]), f": {answer.message}")
    for skill in answer.results:
        _print_skill(skill)
    say(
        f"search {answer.search_id}, {counted(len(answer.results), 'skill')} in {answer.elapsed_ms:.0f} ms",
        style="dim",
    )


def _print_skill(skill: RankedSkill) -> None:
    say(
        styled(f"{skill.position:>2}. ", "bold"),
        styled(skill.skill_name, "bold"),
        styled(f"  score {skill.score:+.2f}", "dim"),
    )
    say(short(skill.description), indent=_INDENT)
    if skill.passage:
        where = f"{skill.passage.heading}: " if skill.passage.heading else ""
        say(short(where + skill.passage.text, _PASSAGE_CHARACTERS), style="dim", indent=_INDENT)
    if skill.near_identical:
        say("near-identical: " + ", ".join(skill.near_identical), style="dim", indent=_INDENT)
    say(" · ".join(skill.reasons), style="cyan", indent=_INDENT)


def _standard_input() -> str:
    # Invalid bytes are replaced instead of failing.
    return sys.stdin.buffer.read().decode(sys.stdin.encoding or "utf-8", "replace")
