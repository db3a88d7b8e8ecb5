"""What handlers are given. The parts are checked by mypy; checking them again for each request would only cost time."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Dependency

from service.encoders import Encoders
from service.indexing import Indexing
from service.search import SkillSearch
from store.protocol import Store

GivenStore = Annotated[Store, Dependency(skip_validation=True)]
GivenEncoders = Annotated[Encoders, Dependency(skip_validation=True)]
GivenIndexing = Annotated[Indexing, Dependency(skip_validation=True)]
GivenSearch = Annotated[SkillSearch, Dependency(skip_validation=True)]
