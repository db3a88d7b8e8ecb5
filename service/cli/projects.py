"""skillrank project …."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import print_json, say
from service.text import counted
from service.work.projects import complete_project, join_project
from service.work.signals import SignalOutcome
from store.contract.projects import NewProject, ProjectSkill, SkillDeclaration, WorkTransaction
from store.errors import NotFound
from store.protocol import Store

project = typer.Typer(help="Declare, join and complete projects.", no_args_is_help=True)


ProjectId = Annotated[str, typer.Argument(help="The project's id.")]


@project.command("declare")
def declare(
    identifier: ProjectId,
    name: Annotated[str | None, typer.Option(help="A readable name; default: the id.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="A skill that the project declares; may be repeated.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Declare a project or replace its declared skills."""

    def work(transaction: WorkTransaction) -> list[ProjectSkill]:
        if name is not None or not known:
            transaction.add_project(NewProject(id=identifier, name=name or identifier))
        if skill is None:
            return transaction.project_skills(identifier)
        wanted = [SkillDeclaration(skill_name=each) for each in skill]
        return transaction.declare_skills(identifier, wanted, add_missing=True)

    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        known = _is_known(store, identifier)
        skills = store.transaction(work)
        if as_json:
            print_json({"project": store.project(identifier), "skills": skills})
        else:
            declared = ", ".join(each.skill_name for each in skills)
            say(f"project {identifier}: {declared or 'no skill is declared, so it emits no signals'}")


@project.command("join")
def join(
    identifier: ProjectId,
    user: Annotated[str, typer.Option(help="The id of the user who joins.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add a user to a project.

    Records a signal for each skill that the project declares.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        joined = join_project(store, identifier, user)
        if as_json:
            print_json(joined)
        else:
            say(f"{user} joined {identifier}: {signals_in_words(joined.signals)}")


@project.command("complete")
def complete(identifier: ProjectId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Complete a project.

    Records signals for all its participants.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        completed = complete_project(store, identifier)
        if as_json:
            print_json(completed)
        else:
            say(f"{identifier} completed: {signals_in_words(completed.signals)}")


@project.command("mentorship")
def mentorship(
    session: Annotated[str, typer.Argument(help="The id of the mentorship session.")],
    status: Annotated[Literal["active", "completed", "cancelled"], typer.Argument(help="The new status.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change the status of a mentorship session. It records no signals."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        changed, new = store.transaction(lambda work: work.set_mentorship_status(session, status))
        if as_json:
            print_json(changed)
        else:
            already = "" if new else "already "
            say(f"mentorship session {session} is {already}{changed.status}")


def _is_known(store: Store, project_id: str) -> bool:
    try:
        store.project(project_id)
    except NotFound:
        return False
    return True


def signals_in_words(signals: SignalOutcome) -> str:
    """Return what was recorded in words: ``3 signals, 1 skipped (1 recorded before)``."""
    recorded = counted(signals.inserted, "signal")
    if signals.skipped:
        recorded += f", {signals.skipped:,} skipped"
    return recorded + (f" ({signals.reason})" if signals.reason else "")
