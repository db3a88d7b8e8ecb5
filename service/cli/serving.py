"""skillrank serve, skillrank demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import AsJson, DataDir, Model, opened, saying_errors, settings_for
from service.cli.indexing import index_with_progress, print_report
from service.cli.output import announce, heading, print_json, say, styled
from service.cli.searching import print_answer
from service.demo.replay import LIBRARY, history, queries, replay
from service.search.answers import SearchRequest
from service.search.engine import SkillSearch
from service.settings import Settings
from service.text import counted
from store.contract.tracking import ImportReport
from store.location import expanded

if TYPE_CHECKING:
    from service.cli.listening import Listener

_SHOWN_PER_QUERY = 3

Host = Annotated[str | None, typer.Option(help="The address to listen on (or SKILLRANK_HOST); default: loopback only.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65_535, help="The port to listen on (or SKILLRANK_PORT); 0: any free one.")
]


def serve(
    watch: Annotated[bool, typer.Option("--watch", help="Index documents again when they change.")] = False,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Run the HTTP service.

    It runs until it is stopped with Ctrl-C or SIGTERM. With --json, the address is printed as JSON on standard
    output; logs go to standard error.
    """
    with saying_errors():
        settings = settings_for(data_dir, host=host, port=port, model=model)
        with _listening(settings) as listener:
            run_service(settings, listener, watch=watch, as_json=as_json)


def run_service(settings: Settings, listener: Listener, *, watch: bool, as_json: bool) -> None:
    """Serve on `listener` until SIGINT or SIGTERM, then finish what is under way."""
    # Only serving needs the web framework, which takes long to import.
    from service.app import create_app  # noqa: PLC0415
    from service.cli.listening import run_server  # noqa: PLC0415
    from service.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, settings.log_format)
    app = create_app(settings, watch=watch)
    if as_json:
        print_json({"address": listener.address, "host": listener.host, "port": listener.port})
    else:
        announce(f"skillrank listens on {listener.address} (API description at /schema)")
    run_server(app, listener)


def demo(
    skills: Annotated[
        list[Path] | None, typer.Argument(help="Folders of your own skills; default: the built-in library.")
    ] = None,
    serving: Annotated[bool, typer.Option("--serve/--no-serve", help="Run the HTTP service afterwards.")] = True,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Try skillrank with a small built-in library.

    Indexes the library, records an invented history of its use, runs a few searches, and serves. With --json, two
    values are printed: what was indexed, recorded and found, and then the address of the service.
    """
    with saying_errors():
        settings = settings_for(data_dir, host=host, port=port, model=model)
        roots = [expanded(each) for each in skills or []]
        if not serving:
            _tour(settings, roots, as_json=as_json)
            return
        # Notices a port that is in use before the tour, not after it.
        with _listening(settings) as listener:
            _tour(settings, roots, as_json=as_json)
            if not as_json:
                _invite(listener.address)
            run_service(settings, listener, watch=False, as_json=as_json)


def _listening(settings: Settings) -> Listener:
    from service.cli.listening import Listener  # noqa: PLC0415  needs the web framework

    return Listener(settings.host, settings.port)


def _tour(settings: Settings, roots: list[Path], *, as_json: bool) -> None:
    shown: dict[str, Any] = {}
    with opened(settings) as (store, encoders):
        _step("1. Index", as_json=as_json)
        indexed = index_with_progress(store, encoders, roots or [LIBRARY])
        shown["index"] = indexed
        if not as_json:
            print_report(indexed)
        _step("2. Record what happened before", as_json=as_json)
        recorded = None if roots else replay(store, history())
        shown["history"] = recorded
        if not as_json:
            _print_history(recorded)
        _step("3. Search", as_json=as_json)
        searching = SkillSearch(store, encoders)
        shown["answers"] = []
        for query in queries():
            answer = searching.answer(SearchRequest(query=query, limit=_SHOWN_PER_QUERY))
            shown["answers"].append({"query": query, "answer": answer})
            if not as_json:
                say()
                say(styled(f"“{query}”", "bold magenta"))
                print_answer(answer)
    if as_json:
        print_json(shown)


def _step(title: str, *, as_json: bool) -> None:
    if not as_json:
        heading(title)


def _print_history(recorded: ImportReport | None) -> None:
    if recorded is None:
        say("your own skills have no history yet, so they are ranked by relevance alone")
        return
    say(
        f"{counted(recorded.imported, 'use')} recorded, {recorded.duplicates:,} known from an earlier demo; this "
        "history is invented to show how recorded outcomes change the order"
    )


def _invite(address: str) -> None:
    heading("4. Serve")
    say("Search over HTTP from another terminal; stop with Ctrl-C:")
    say(
        f"  curl -s {address}/api/search -H 'content-type: application/json' "
        '-d \'{"query": "my tests fail at random"}\'',
        wrap=False,
    )
