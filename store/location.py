"""Where data lives when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

DATA_DIR_VARIABLE = "SKILLRANK_DATA_DIR"
DATABASE_NAME = "skillrank.db"


def data_dir() -> Path:
    """Return ``$SKILLRANK_DATA_DIR``, or the folder that the platform gives to the user's application data."""
    configured = os.environ.get(DATA_DIR_VARIABLE)
    return Path(configured).expanduser() if configured else Path(platformdirs.user_data_dir("skillrank"))


def database_path() -> Path:
    """Return the path of the database in `data_dir`."""
    return data_dir() / DATABASE_NAME
