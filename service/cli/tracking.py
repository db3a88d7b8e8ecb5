"""skillrank track …, skillrank session …."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import note, print_json, print_value, say
from service.cli.projects import signals_in_words
from service.text import counted
from service.work.projects import record_progress_update
from service.work.sessions import end_session as end_session_with_report
from store.contract.projects import NewProgressUpdate
from store.contract.tracking import NewInvocation, NewOutcome, NewSession, Outcome

track = typer.Typer(help="Record invocations of skills and how they ended.", no_args_is_help=True)
session = typer.Typer(help="Start and end sessions.", no_args_is_help=True)


@track.command("start")
def start(
    skill_name: Annotated[str, typer.Argument(help="The skill that is invoked.")],
    identifier: Annotated[
        str | None, typer.Option("--id", help="An id of your own, which makes it safe to retry.")
    ] = None,
    session_id: Annotated[str | None, typer.Option("--session", help="The id of the session it belongs to.")] = None,
    search_id: Annotated[
        str | None, typer.Option("--search", help="The id of the search whose answer the skill was taken from.")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="The skill's position in that answer.")] = None,
    workflow_path: Annotated[
        str | None, typer.Option("--workflow-path", help="The workflow it is part of, such as review/tests.")
    ] = None,
    project_path: Annotated[
        str | None, typer.Option("--project-path", help="The folder of the project it is used in.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record the start of an invocation and print its id."""
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
            print_value(invocation.id)
            if not invocation.skill_known:
                note(f"note: no skill named {skill_name} is indexed", wrap=False)


@track.command("finish")
def finish(
    invocation_id: Annotated[str, typer.Argument(help="The id that `skillrank track start` printed.")],
    outcome: Annotated[str, typer.Option(help="completed, failed, abandoned or cancelled.")] = "completed",
    duration: Annotated[
        float | None, typer.Option(min=0, help="How long it took, in seconds; default: the time since its start.")
    ] = None,
    error_type: Annotated[str | None, typer.Option("--error", help="The kind of error, such as Timeout.")] = None,
    follow_up: Annotated[
        list[str] | None, typer.Option("--follow-up", help="Something that was done afterwards; may be repeated.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record how an invocation ended."""
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
            done = "recorded" if finished.changed else "already recorded"
            say(f"{finished.invocation.skill_name}: {finished.invocation.outcome} ({done})")


@track.command("update")
def update(
    content: Annotated[str, typer.Argument(help="What was done, in your own words.")],
    project: Annotated[str, typer.Option(help="The project's id.")],
    user: Annotated[str, typer.Option(help="The id of the user who did it.")],
    key: Annotated[str | None, typer.Option("--key", help="A key of your own, which makes it safe to retry.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Record progress in a project.

    Records a signal for each skill that the project declares.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        recorded = record_progress_update(
            store, NewProgressUpdate(project_id=project, user_id=user, content=content, idempotency_key=key)
        )
        if as_json:
            print_json(recorded)
        else:
            say(f"update {recorded.update.id}: {signals_in_words(recorded.signals)}")


@session.command("start")
def start_session(
    identifier: Annotated[str | None, typer.Option("--id", help="An id of your own; default: a generated one.")] = None,
    user: Annotated[str | None, typer.Option(help="The id of the user who works.")] = None,
    project: Annotated[str | None, typer.Option(help="The id of the project that is worked on.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Start a session and print its id."""
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        started = store.start_session(NewSession(id=identifier, user_id=user, project_id=project))
        if as_json:
            print_json(started)
        else:
            print_value(started.id)


@session.command("end")
def end_session(
    session_id: Annotated[str, typer.Argument(help="The session's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a session and store its report.

    Its open invocations are recorded as abandoned.
    """
    with saying_errors(), opened(settings_for(data_dir)) as (store, _):
        ended = end_session_with_report(store, session_id)
        if as_json:
            print_json(ended)
            return
        done = f"ended, {counted(len(ended.abandoned), 'open invocation')} abandoned"
        say(
            f"session {session_id}: {done if ended.changed else 'already ended'}, "
            f"{counted(len(ended.skills), 'skill')} used"
        )


def _outcome(text: str) -> Outcome:
    known: dict[str, Outcome] = {o: o for o in ("completed", "failed", "abandoned", "cancelled")}
    if text not in known:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}")
    return known[text]
