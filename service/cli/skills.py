"""skillrank skills …: the catalogue, one document, and skills that compete."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer
from rich.padding import Padding
from typer.core import TyperGroup

from service.catalogue.documents import read_content
from service.catalogue.overlap import OverlappingSkills, overlapping_skills
from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for, short

_SHOW: Final = "show"


class _NameOrCommand(TyperGroup):
    """Takes a skill's name where a command is expected: ``skills fix-types`` is ``skills show fix-types``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if known else [_SHOW, *args])


skills = typer.Typer(help="List the catalogue, show one skill, or find skills that compete.", cls=_NameOrCommand)


@skills.command(_SHOW)
def show(
    name: Annotated[str | None, typer.Argument(help="Show this skill's document; none: list the catalogue.")] = None,
    category: Annotated[str | None, typer.Option(help="Only skills of this category.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 50,
    after: Annotated[str, typer.Option(help="Begin after this name.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the catalogue, or show one skill; the word `show` may be left out."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        if name is not None:
            content = read_content(store.skill(name), None)
            if as_json:
                print_json(content)
            else:
                sys.stdout.write(content.text)
            return
        listed = store.skills(after=after, limit=limit, category=category)
        if as_json:
            print_json(listed)
            return
        for skill in listed:
            CONSOLE.print(
                f"[bold]{plain(skill.skill_name)}[/]  {plain(short(skill.description or ''))}", highlight=False
            )
        served, _removed = store.counts()
        CONSOLE.print(f"{len(listed)} of {served} skills", style="dim", highlight=False)


@skills.command("overlap")
def overlap(
    name: Annotated[str | None, typer.Argument(help="Only pairs of this skill.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 10,
    copies: Annotated[bool, typer.Option("--copies", help="Near-identical pairs, too.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find skills that compete for the same queries, who takes whose traffic, and which words cause it."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = overlapping_skills(store, limit=limit, skill_name=name, copies=copies)
        if as_json:
            print_json(found)
            return
        for pair in found:
            _print_overlap(pair)
        if not found:
            CONSOLE.print("no two skills are close enough to compete", highlight=False)


def _print_overlap(pair: OverlappingSkills) -> None:
    near = "" if pair.similarity is None else f"  [dim]similarity {pair.similarity:.2f}[/]"
    CONSOLE.print(f"[bold]{plain(pair.first)}[/] and [bold]{plain(pair.second)}[/]{near}", highlight=False)
    CONSOLE.print(Padding(plain(pair.advice), (0, 0, 0, 4)), highlight=False)
