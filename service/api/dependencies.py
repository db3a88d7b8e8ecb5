"""What handlers are given, and parameters that several share.

The parts are checked by mypy; checking them again for each request would only cost time.
"""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from service.catalogue.indexing import Indexing
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from store.protocol import Store

GivenStore = NamedDependency[SkipValidation[Store]]
GivenEncoders = NamedDependency[SkipValidation[Encoders]]
GivenIndexing = NamedDependency[SkipValidation[Indexing]]
GivenSearch = NamedDependency[SkipValidation[SkillSearch]]

Limit = Annotated[int, QueryParameter(ge=1, le=500)]
