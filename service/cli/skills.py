"""skillrank skills …: the catalogue, one document, and skills that compete."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from service.catalogue.documents import read_content
from service.catalogue.overlap import LEAST_SIMILARITY, OverlappingSkills, overlapping_skills
from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for, short
from service.cli.output import print_document, print_json, say, styled
from service.text import counted

_SHOW: Final = "show"


class _NameOrCommand(TyperGroup):
    """Takes a skill's name in place of a command: ``skills fix-types`` is ``skills show fix-types``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if known else [_SHOW, *args])


skills = typer.Typer(help="List or show skills, or find those that compete.", cls=_NameOrCommand)


@skills.command(_SHOW)
def show(
    name: Annotated[
        str | None, typer.Argument(help="The skill whose document to show; default: list the catalogue.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Only skills of this category.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many skills to list.")] = 50,
    after: Annotated[str, typer.Option(help="Start after this name: the last one of the previous page.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the catalogue, or show one skill.

    The word `show` may be left out.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        if name is not None:
            content = read_content(store.skill(name), None)
            if as_json:
                print_json(content)
            else:
                print_document(content.text)
            return
        listed = store.skills(after=after, limit=limit, category=category)
        if as_json:
            print_json(listed)
            return
        for skill in listed:
            say(styled(skill.skill_name, "bold"), "  ", short(skill.description or ""))
        served, _removed = store.counts()
        say(f"{len(listed):,} of {counted(served, 'skill')}", style="dim")


@skills.command("overlap")
def overlap(
    name: Annotated[str | None, typer.Argument(help="Only pairs with this skill.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many pairs to show.")] = 10,
    copies: Annotated[bool, typer.Option("--copies", help="Include near-identical pairs.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find skills that compete for the same queries.

    Each pair is shown with the words that cause it. Pairs between which recorded searches led to a choice come
    first, then the most similar ones. Similarity is the cosine of the two documents' vectors: 1 means the same
    text.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        found = overlapping_skills(store, limit=limit, skill_name=name, copies=copies)
        if as_json:
            print_json(found)
            return
        for pair in found:
            _print_overlap(pair)
        if not found:
            say(
                f"no pair of skills competes: none was chosen between in a search or has a similarity of at least "
                f"{LEAST_SIMILARITY:.2f}"
            )


def _print_overlap(pair: OverlappingSkills) -> None:
    near = "" if pair.similarity is None else f"  similarity {pair.similarity:.2f}"
    say(styled(pair.first, "bold"), " and ", styled(pair.second, "bold"), styled(near, "dim"))
    say(pair.advice, indent=4)
