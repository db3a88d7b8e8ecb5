"""skillrank project …."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from service.cli.context import CONSOLE, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.work.projects import complete_project, join_project
from service.work.signals import SignalOutcome
from store.contract.projects import NewProject, ProjectSkill, SkillDeclaration, WorkTransaction
from store.errors import NotFound
from store.protocol import Store

project = typer.Typer(help="Declare projects, their skills and who takes part.", no_args_is_help=True)


ProjectId = Annotated[str, typer.Argument(help="The project's id.")]


@project.command("declare")
def declare(
    identifier: ProjectId,
    name: Annotated[str | None, typer.Option(help="A name for people; none: the id.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="A skill of its scope; repeat for more.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Declare a project, or the skills of one that is there; those that are given become its whole scope."""

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
            told = ", ".join(plain(each.skill_name) for each in skills) or "no skills, so it emits no signals"
            CONSOLE.print(f"project {plain(identifier)}: {told}", highlight=False)


@project.command("join")
def join(
    identifier: ProjectId,
    user: Annotated[str, typer.Option(help="Who takes part.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a user take part: evidence for each skill that the project declares."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        joined = join_project(store, identifier, user)
        if as_json:
            print_json(joined)
        else:
            CONSOLE.print(
                f"{plain(user)} takes part in {plain(identifier)}: {signals_in_words(joined.signals)}", highlight=False
            )


@project.command("complete")
def complete(identifier: ProjectId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Complete a project: evidence for all who take part."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        completed = complete_project(store, identifier)
        if as_json:
            print_json(completed)
        else:
            CONSOLE.print(f"{plain(identifier)} completed: {signals_in_words(completed.signals)}", highlight=False)


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
            CONSOLE.print(f"mentorship session {plain(session)} is {already}{changed.status}", highlight=False)


def _is_known(store: Store, project_id: str) -> bool:
    try:
        store.project(project_id)
    except NotFound:
        return False
    return True


def signals_in_words(signals: SignalOutcome) -> str:
    """Say what emitting did: ``3 signals, 1 skipped (1 recorded before)``."""
    said = "1 signal" if signals.inserted == 1 else f"{signals.inserted} signals"
    if signals.skipped:
        said += f", {signals.skipped} skipped"
    return said + (f" ({plain(signals.reason)})" if signals.reason else "")
