"""All settings, read in one place.

Each field is set by the environment variable ``SKILLRANK_<FIELD>``; a command-line option overrides it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec

from migrations.errors import SkillrankError
from store.location import DATABASE_NAME, expanded, keep_queries
from store.location import data_dir as default_data_dir

PREFIX: Final = "SKILLRANK_"
# About eleven years, which keeps times within the range of dates.
_MOST_HOURS: Final = 100_000
Hours = Annotated[float, msgspec.Meta(gt=0, le=_MOST_HOURS)]
# At least half a minute, so that a background task never spins.
Interval = Annotated[float, msgspec.Meta(ge=0.01, le=_MOST_HOURS)]
DEFAULT_MODEL: Final = "all-MiniLM-L6-v2+skills"


class InvalidSetting(SkillrankError):
    """An environment variable whose value cannot be used; the message names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process.

    Attributes
    ----------
    data_dir : Path
        The folder of the database and the exported models.
    model : str
        The embedding model: the default one, another sentence-transformers model by name or folder, or ``hashing``.
    host, port : str, int
        The address to listen on; loopback by default because the service has no accounts.
    log_level : str
    log_format : {'auto', 'json', 'console'}
        ``auto`` writes readable lines to a terminal and JSON everywhere else.
    allowed_hosts : str
        Further host names, separated by commas, under which the service is reached, such as that of a reverse proxy.
    open_limit_hours : float
        An invocation that stays open for longer is recorded as abandoned.
    session_idle_hours : float
        A session without any record for longer than this is ended.
    keep_queries : bool
        When false, the store keeps a hash and a vector of each query, but not its text.
    keep_searches_days : float or None
        Queries older than this are deleted, with their hashes and vectors; None keeps them.
    aggregate_hours : float or None
        How often the service aggregates invocations over projects and databases; None means only on request.
    backup_hours : float or None
        How often the service backs the database up into the data folder, which keeps seven backups; None, never.
    correct : bool
        Whether mistyped words of queries are corrected, unless a request says otherwise.
    explore_share : float
        The share of answers in which another fitting skill may be placed first to learn how well it works; 0 means
        never.
    """

    data_dir: Path
    model: str = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8765
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    allowed_hosts: str = ""
    open_limit_hours: Hours = 24.0
    session_idle_hours: Hours = 24.0
    keep_queries: bool = True
    keep_searches_days: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    aggregate_hours: Interval | None = None
    backup_hours: Interval | None = None
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


def read_settings(environ: Mapping[str, str] = os.environ, *, data_dir: Path | None = None) -> Settings:
    """Read the settings from environment variables.

    Parameters
    ----------
    environ : mapping of str to str
    data_dir : Path, optional
        The data folder, when it is known. The default one is then not looked up, which fails without a home directory.

    Raises
    ------
    InvalidSetting, InvalidRecord
        When a value cannot be used; the message names the variable.
    """
    folder = default_data_dir() if data_dir is None else expanded(data_dir, f"--data-dir {data_dir}")
    given: dict[str, Any] = {"data_dir": folder, "keep_queries": keep_queries(environ)}
    for field, kind in get_type_hints(Settings, include_extras=True).items():
        variable = PREFIX + field.upper()
        if variable in environ and field not in given:
            given[field] = _read(variable, environ[variable], kind)
    return Settings(**given)


def _read(variable: str, value: str, kind: Any) -> Any:
    if not value:
        raise InvalidSetting(f"{variable}= cannot be used: it is empty; set a value or unset it")
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        # Every variable is a string, so only the expected type is of interest.
        wanted = str(error).removesuffix(", got `str`").replace("Expected", "expected")
        raise InvalidSetting(f"{variable}={value} cannot be used: {wanted}") from error
