"""Settings that the store itself reads: where data lives, what of it is kept, and how a program tracks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
import platformdirs

from store.errors import InvalidRecord

DATA_DIR_VARIABLE = "SKILLRANK_DATA_DIR"
KEEP_QUERIES_VARIABLE = "SKILLRANK_KEEP_QUERIES"
# The name of 0.1. It still counts: ignoring it would store text that somebody asked not to store.
OLD_KEEP_QUERIES_VARIABLE = "SKILLRANK_KEEP_QUESTIONS"
METRICS_MODE_VARIABLE = "SKILLRANK_METRICS_MODE"
JSON_METRICS_VARIABLE = "SKILLRANK_JSON_METRICS"
DATABASE_NAME = "skillrank.db"
_NO_HOME = (
    "this account has no home directory, so there is no default data folder; set one with --data-dir or "
    f"{DATA_DIR_VARIABLE}"
)

MetricsMode = Literal["sqlite", "dual-write", "dual-read"]
_MODES: Final[tuple[MetricsMode, ...]] = get_args(MetricsMode)


def data_dir() -> Path:
    """Return ``$SKILLRANK_DATA_DIR``, or the folder that the platform gives to the user's application data.

    Raises
    ------
    InvalidRecord
        When there is no such folder: a ``~`` that stands for nobody, or an account without a home.
    """
    configured = os.environ.get(DATA_DIR_VARIABLE)
    if configured:
        return expanded(Path(configured), f"{DATA_DIR_VARIABLE}={configured}")
    try:
        folder = Path(platformdirs.user_data_dir("skillrank"))
    except RuntimeError as error:
        raise InvalidRecord(_NO_HOME) from error
    if not folder.is_absolute():
        raise InvalidRecord(_NO_HOME)
    return folder


def expanded(path: Path, given: str | None = None) -> Path:
    """Return `path` with a leading ``~`` replaced by the home directory it stands for.

    Parameters
    ----------
    path : Path
    given : str, optional
        How an error names the path: the setting that holds it.

    Raises
    ------
    InvalidRecord
        When there is no such home directory.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InvalidRecord(
            f"{given or path} cannot be used: there is no home directory for {path.parts[0]!r}; give a path without ~"
        ) from error


def database_path() -> Path:
    """Return the path of the database in `data_dir`."""
    return data_dir() / DATABASE_NAME


def keep_queries(environ: Mapping[str, str] = os.environ) -> bool:
    """Return ``$SKILLRANK_KEEP_QUERIES``, true by default: whether the text of queries is stored.

    Raises
    ------
    InvalidRecord
        When it is neither true nor false; guessing could store text that nobody wants stored.
    """
    for variable in (KEEP_QUERIES_VARIABLE, OLD_KEEP_QUERIES_VARIABLE):
        if variable in environ:
            try:
                return msgspec.convert(environ[variable], bool, strict=False)
            except msgspec.ValidationError as error:
                raise InvalidRecord(f"{variable} is {environ[variable]!r}; set it to true or false") from error
    return True


def metrics_mode(environ: Mapping[str, str] = os.environ) -> MetricsMode:
    """Return ``$SKILLRANK_METRICS_MODE``: which tracker `store.metrics_db.get_store` gives; 'sqlite' by default.

    Raises
    ------
    InvalidRecord
        When there is no such mode.
    """
    given = environ.get(METRICS_MODE_VARIABLE) or "sqlite"
    for mode in _MODES:
        if given == mode:
            return mode
    raise InvalidRecord(f"{METRICS_MODE_VARIABLE} is {given!r}; set it to one of {', '.join(_MODES)}")


def json_metrics_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``$SKILLRANK_JSON_METRICS``, the file of the JSON tracker that the dual modes read and write.

    Raises
    ------
    InvalidRecord
        When it is not set.
    """
    given = environ.get(JSON_METRICS_VARIABLE)
    if not given:
        raise InvalidRecord(
            f"{METRICS_MODE_VARIABLE} is {environ.get(METRICS_MODE_VARIABLE)!r}, which needs the path of the JSON file "
            f"in {JSON_METRICS_VARIABLE}"
        )
    return Path(given).expanduser()
