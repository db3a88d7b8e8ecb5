"""skillrank serve, skillrank demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import (
    CONSOLE,
    DataDir,
    Model,
    opened,
    plain,
    saying_errors,
    settings_for,
)
from service.cli.indexing import index_with_progress, print_report
from service.cli.searching import print_answer
from service.demo.replay import LIBRARY, history, queries, replay
from service.search.answers import SearchRequest
from service.search.engine import SkillSearch
from service.settings import Settings

_DRAIN_S = 10

Host = Annotated[str | None, typer.Option(help="Address to listen on (or SKILLRANK_HOST); loopback by default.")]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on (or SKILLRANK_PORT).")]


def serve(
    watch: Annotated[bool, typer.Option("--watch", help="Re-index when documents change.")] = False,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Answer over HTTP until it is told to stop."""
    with saying_errors():
        run_service(settings_for(data_dir, host=host, port=port, model=model), watch=watch)


def run_service(settings: Settings, *, watch: bool) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way."""
    # Only a process that serves pays for the web framework.
    import uvicorn  # noqa: PLC0415

    from service.app import create_app  # noqa: PLC0415
    from service.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, settings.log_format)
    app = create_app(settings, watch=watch)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    sys.stderr.write(f"skillrank listens on http://{shown}:{settings.port}, its interface is at /schema\n")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )


def demo(
    skills: Annotated[
        list[Path] | None, typer.Argument(help="Your own folders of skills; none: the library that comes along.")
    ] = None,
    serving: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve when the queries are asked.")] = True,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Index a library, replay a little history, ask a few queries, and serve."""
    settings = settings_for(data_dir, host=host, port=port, model=model)
    with saying_errors():
        with opened(settings) as (store, encoders):
            CONSOLE.rule("1. index")
            print_report(index_with_progress(store, encoders, skills or [LIBRARY]))
            CONSOLE.rule("2. what happened before")
            if skills:
                CONSOLE.print("your own skills have no history yet, so they stand by relevance alone")
            else:
                report = replay(store, history())
                CONSOLE.print(
                    f"{report.imported} uses recorded, {report.duplicates} known from an earlier demo; this history is "
                    "invented, to show what recorded outcomes do to the order",
                    highlight=False,
                )
            CONSOLE.rule("3. which skill should I use?")
            searching = SkillSearch(store, encoders)
            for query in queries():
                CONSOLE.print(f"\n[bold magenta]“{plain(query)}”[/]", highlight=False)
                print_answer(searching.answer(SearchRequest(query=query, limit=3)))
        if serving:
            CONSOLE.rule("4. serve")
            address = f"http://{settings.host}:{settings.port}"
            CONSOLE.print(
                "Ask over HTTP from another terminal, and stop with Ctrl-C:\n"
                f"  curl -s {address}/api/search -H 'content-type: application/json' "
                '-d \'{"query": "my tests fail at random"}\'',
                highlight=False,
                soft_wrap=True,
            )
            run_service(settings, watch=False)
