"""What every command needs: options that commands share, settings, an open store, and errors in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from embeddings.errors import ModelNotFound
from migrations.errors import SkillrankError
from service.cli.output import print_error
from service.search.encoders import Encoders
from service.settings import Settings, read_settings
from store.protocol import Store
from store.sqlite import open_store

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The folder that holds the database (or SKILLRANK_DATA_DIR).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Model = Annotated[str | None, typer.Option("--model", help="The embedding model (or SKILLRANK_MODEL).")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--timezone", help="The time zone of times without an offset, such as Europe/Berlin; default: the system's."
    ),
]


def settings_for(data_dir: Path | None = None, **given: Any) -> Settings:
    """Return the settings of the environment, overridden by the options that were given."""
    options = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(read_settings(data_dir=data_dir), **options)


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
    """Print an error that a person can act on as one line on standard error, and exit with code 1."""
    try:
        yield
    except ModelNotFound as error:
        print_error(f"{error} The model is set by --model or SKILLRANK_MODEL.")
        raise typer.Exit(1) from error
    except SkillrankError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except BrokenPipeError:
        # The reader of the output is gone; `service.cli.main` ends quietly.
        raise
    except OSError as error:
        print_error(f"{_what_failed(error)}: {error.strerror or error}")
        raise typer.Exit(1) from error


def short(text: str, most: int = 200) -> str:
    """Return `text` on one line, cut at a word after at most `most` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[:most].rsplit(" ", 1)[0] + " …"


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the time zone of that name, or None without a name."""
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise typer.BadParameter(f"{name!r} is not a time zone such as Europe/Berlin or UTC") from error


def _what_failed(error: OSError) -> str:
    return "reading or writing failed" if error.filename is None else f"{error.filename} cannot be used"
