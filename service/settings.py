"""Every setting, read in one place.

Each field is set by the environment variable ``SKILLRANK_<FIELD>``; command-line options stand above it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec

from migrations.errors import SkillrankError
from store.location import DATABASE_NAME, data_dir, keep_queries

PREFIX: Final = "SKILLRANK_"
DEFAULT_MODEL: Final = "all-MiniLM-L6-v2+skills"


class InvalidSetting(SkillrankError):
    """An environment variable whose value cannot be used; the message names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How this process runs.

    Attributes
    ----------
    data_dir : Path
        Where the database and the exported models lie.
    model : str
        The embedding model: the default one, another sentence-transformers model by name or folder, or ``hashing``.
    host, port : str, int
        Where the service listens; loopback by default, since it has no accounts.
    log_level : str
    log_format : {'auto', 'json', 'console'}
        ``auto`` writes for people on a terminal and JSON elsewhere.
    allowed_hosts : str
        Further host names, separated by commas, under which the service is reached, such as that of a reverse proxy.
    open_limit_hours : float
        A use open for longer is taken as abandoned.
    session_idle_hours : float
        A session of which nothing was recorded for longer is ended.
    keep_queries : bool
        Off: the store holds a hash and a vector of each query, not its text.
    keep_searches_days : float or None
        Queries asked longer ago are forgotten, their hashes and vectors too; None keeps them.
    aggregate_hours : float or None
        How often the service counts uses over projects and databases; None, only when asked.
    backup_hours : float or None
        How often the service backs the database up into the data folder, which keeps seven backups; None, never.
    correct : bool
        Whether mistyped words of queries are corrected, unless a request says otherwise.
    explore_share : float
        In this share of the lists a skill that fits may be put first to learn how well it works; 0, never.
    """

    data_dir: Path
    model: str = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8765
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    allowed_hosts: str = ""
    open_limit_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    session_idle_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    keep_queries: bool = True
    keep_searches_days: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    aggregate_hours: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    backup_hours: Annotated[float, msgspec.Meta(ge=0.01, le=100_000)] | None = None
    correct: bool = True
    explore_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data_dir / DATABASE_NAME

    @property
    def backups_dir(self) -> Path:
        """The folder of backups."""
        return self.data_dir / "backups"

    @property
    def models_dir(self) -> Path:
        """The folder of exported models."""
        return self.data_dir / "models"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises
    ------
    InvalidSetting, InvalidRecord
        When a value cannot be used; the message names the variable.
    """
    given: dict[str, Any] = {"data_dir": data_dir(), "keep_queries": keep_queries(environ)}
    for field, kind in get_type_hints(Settings, include_extras=True).items():
        variable = PREFIX + field.upper()
        if variable in environ and field not in given:
            try:
                given[field] = msgspec.convert(environ[variable], kind, strict=False)
            except msgspec.ValidationError as error:
                raise InvalidSetting(f"{variable}={environ[variable]} cannot be used: {error}") from error
    return Settings(**given)
