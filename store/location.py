"""Where data lives when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import platformdirs

from store.errors import InvalidRecord

DATA_DIR_VARIABLE = "SKILLRANK_DATA_DIR"
KEEP_QUESTIONS_VARIABLE = "SKILLRANK_KEEP_QUESTIONS"
DATABASE_NAME = "skillrank.db"


def data_dir() -> Path:
    """Return ``$SKILLRANK_DATA_DIR``, or the folder that the platform gives to the user's application data."""
    configured = os.environ.get(DATA_DIR_VARIABLE)
    return Path(configured).expanduser() if configured else Path(platformdirs.user_data_dir("skillrank"))


def database_path() -> Path:
    """Return the path of the database in `data_dir`."""
    return data_dir() / DATABASE_NAME


def keep_questions() -> bool:
    """Return ``$SKILLRANK_KEEP_QUESTIONS``, true by default, for programs that open a store without the service.

    Raises
    ------
    InvalidRecord
        When it is neither true nor false: nobody's words are stored on a guess.
    """
    told = os.environ.get(KEEP_QUESTIONS_VARIABLE, "true")
    try:
        return msgspec.convert(told, bool, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRecord(f"{KEEP_QUESTIONS_VARIABLE} is {told!r}; set it to true or false") from error
