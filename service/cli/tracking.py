"""skillrank track …, skillrank session …."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import CONSOLE, ERRORS, AsJson, DataDir, opened, plain, print_json, saying_errors, settings_for
from service.cli.projects import signals_in_words
from service.work.projects import record_progress_update
from service.work.sessions import end_session as end_session_with_report
from store.contract.projects import NewProgressUpdate
from store.contract.tracking import NewInvocation, NewOutcome, NewSession, Outcome

track = typer.Typer(help="Record uses of skills.", no_args_is_help=True)
session = typer.Typer(help="Start and end stretches of work.", no_args_is_help=True)


@track.command("start")
def start(
    skill_name: Annotated[str, typer.Argument(help="The skill that is used.")],
    identifier: Annotated[str | None, typer.Option("--id", help="An id of your own; makes retries safe.")] = None,
    session_id: Annotated[str | None, typer.Option("--session")] = None,
    search_id: Annotated[str | None, typer.Option("--search", help="The search that led here.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="The skill's position in that search.")] = None,
    workflow_path: Annotated[str | None, typer.Option("--workflow-path")] = None,
    project_path: Annotated[str | None, typer.Option("--project-path")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record that a use began; prints its id."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        invocation = store.start_invocation(
            NewInvocation(
                id=identifier,
                skill_name=skill_name,
                session_id=session_id,
                search_id=search_id,
                selection_rank=rank,
                workflow_path=workflow_path,
                project_path=project_path,
            )
        )
        if as_json:
            print_json(invocation)
        else:
            typer.echo(invocation.id)
            if not invocation.skill_known:
                ERRORS.print(f"note: no skill named {plain(skill_name)} is indexed", highlight=False, soft_wrap=True)


@track.command("finish")
def finish(
    invocation_id: Annotated[str, typer.Argument(help="The id that `track start` printed.")],
    outcome: Annotated[str, typer.Option(help="completed, failed, abandoned or cancelled.")] = "completed",
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds; none: the time since the start.")] = None,
    error_type: Annotated[str | None, typer.Option("--error")] = None,
    follow_up: Annotated[list[str] | None, typer.Option("--follow-up", help="What was done afterwards.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record how a use ended."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        finished = store.finish_invocation(
            invocation_id,
            NewOutcome(
                outcome=_outcome(outcome),
                duration_seconds=duration,
                error_type=error_type,
                follow_up_actions=follow_up or [],
            ),
        )
        if as_json:
            print_json(finished)
        else:
            said = "recorded" if finished.changed else "was recorded already"
            CONSOLE.print(f"{finished.invocation.skill_name}: {finished.invocation.outcome} {said}", highlight=False)


@track.command("update")
def update(
    content: Annotated[str, typer.Argument(help="What was done, in your own words.")],
    project: Annotated[str, typer.Option(help="The project's id.")],
    user: Annotated[str, typer.Option(help="Who did it.")],
    key: Annotated[str | None, typer.Option("--key", help="A key of your own; makes retries safe.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record progress in a project: evidence for each skill that the project declares."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        recorded = record_progress_update(
            store, NewProgressUpdate(project_id=project, user_id=user, content=content, idempotency_key=key)
        )
        if as_json:
            print_json(recorded)
        else:
            CONSOLE.print(f"update {recorded.update.id}: {signals_in_words(recorded.signals)}", highlight=False)


@session.command("start")
def start_session(
    identifier: Annotated[str | None, typer.Option("--id")] = None,
    user: Annotated[str | None, typer.Option()] = None,
    project: Annotated[str | None, typer.Option()] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Start a session; prints its id."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        started = store.start_session(NewSession(id=identifier, user_id=user, project_id=project))
        if as_json:
            print_json(started)
        else:
            typer.echo(started.id)


@session.command("end")
def end_session(
    session_id: Annotated[str, typer.Argument()], data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """End a session: its open uses become abandoned, and its report is kept."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        ended = end_session_with_report(store, session_id)
        if as_json:
            print_json(ended)
        else:
            said = f"ended, {len(ended.abandoned)} open uses abandoned" if ended.changed else "had ended already"
            CONSOLE.print(f"session {session_id} {said}; it used {len(ended.skills)} skills", highlight=False)


def _outcome(text: str) -> Outcome:
    known: dict[str, Outcome] = {o: o for o in ("completed", "failed", "abandoned", "cancelled")}
    if text not in known:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}")
    return known[text]
