"""Dependencies of the handlers, and the types of parameters and bodies that several of them share.

mypy checks the dependencies; checking them again for each request would only cost time.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from service.catalogue.indexing import Indexing
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.upkeep import Background
from store.errors import InvalidRecord
from store.protocol import Store

GivenStore = NamedDependency[SkipValidation[Store]]
GivenEncoders = NamedDependency[SkipValidation[Encoders]]
GivenIndexing = NamedDependency[SkipValidation[Indexing]]
GivenSearch = NamedDependency[SkipValidation[SkillSearch]]

GivenBackground = NamedDependency[SkipValidation[Background]]

Limit = Annotated[int, QueryParameter(ge=1, le=500)]

Moment = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=64,
        description="An ISO 8601 time such as 2026-01-31T23:59:59Z; without an offset it is UTC.",
        extra_json_schema={"format": "date-time"},
    ),
]
SkillName = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=300,
        pattern=r"^(?!\.{1,2}$)[\s\S]*\S[\s\S]*$",
        description="The name of a skill, 1 to 300 characters; in a URL path a slash is written as %2F.",
    ),
]
FreeJson = dict[str, Any]
"""JSON that is kept and not read; at most `service.api.bodies.MAX_FREE_JSON_BYTES`."""
ServerPath = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=4096,
        pattern=r"^[^\x00]+$",
        description="A path on the machine of the service.",
    ),
]


def paths_of(given: list[str], field: str) -> list[Path]:
    """Return the paths of a body.

    Raises
    ------
    InvalidRecord
        When one is too long for a path of this machine.
    """
    for each in given:
        try:
            os.lstat(each)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
                raise InvalidRecord(f"{each[:100]!r}… is too long for a path", field=field) from error
    return [Path(each) for each in given]
