"""What every command needs: settings, a console, and errors said in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer
from rich.console import Console

from migrations.errors import SkillrankError
from service.search.encoders import Encoders
from service.settings import Settings, read_settings
from store.protocol import Store
from store.sqlite import open_store

CONSOLE: Final = Console()
ERRORS: Final = Console(stderr=True)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where data lives (or SKILLRANK_DATA_DIR).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[str | None, typer.Option("--model", help="The embedding model (or SKILLRANK_MODEL).")]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", help="Of times without an offset, such as Europe/Berlin; this machine's by default."),
]


def settings_for(data_dir: Path | None = None, **given: Any) -> Settings:
    """Return the settings, with what the command line gives above what the environment says."""
    options = {name: value for name, value in given.items() if value is not None}
    if data_dir is not None:
        options["data_dir"] = data_dir.expanduser()
    return msgspec.structs.replace(read_settings(), **options)


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Store, Encoders]]:
    """Open the store and the encoders of `settings`; close the store afterwards."""
    store = open_store(settings.database, keep_queries=settings.keep_queries)
    try:
        yield store, Encoders(settings.model, settings.models_dir)
    finally:
        store.close()


@contextmanager
def saying_errors() -> Iterator[None]:
    """Print an error of ours as one line on standard error and leave with status 1."""
    try:
        yield
    except SkillrankError as error:
        ERRORS.print(f"[bold red]skillrank:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def print_json(payload: Any) -> None:
    """Print any record as indented JSON, and nothing else, on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(payload), indent=2).decode() + "\n")


def plain(text: str) -> str:
    """Return untrusted text without control characters and with rich's markup taken as text."""
    return _plain("".join(character if character.isprintable() else " " for character in text))


def short(text: str, most: int = 200) -> str:
    """Return `text` on one line, cut at a word after at most `most` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[:most].rsplit(" ", 1)[0] + " …"


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the time zone of that name, None for none."""
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"{name!r} is not a time zone such as Europe/Berlin or UTC") from error


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
