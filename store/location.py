"""Where data is stored by default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from store.errors import InvalidRecord

DATA_DIR_VARIABLE = "SKILLRANK_DATA_DIR"
KEEP_QUERIES_VARIABLE = "SKILLRANK_KEEP_QUERIES"
# The name of 0.1. It still counts: ignoring it would store text that somebody asked not to store.
OLD_KEEP_QUERIES_VARIABLE = "SKILLRANK_KEEP_QUESTIONS"
DATABASE_NAME = "skillrank.db"


def data_dir() -> Path:
    """Return ``$SKILLRANK_DATA_DIR``, or the folder that the platform gives to the user's application data."""
    configured = os.environ.get(DATA_DIR_VARIABLE)
    return Path(configured).expanduser() if configured else Path(platformdirs.user_data_dir("skillrank"))


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
