"""Search for programs that import skillrank instead of asking over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from service.ranking.exploration import Exploration
from service.search.answers import SearchAnswer, SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import read_settings
from store.errors import InvalidRecord
from store.sqlite import open_store


@contextmanager
def open_search(data_dir: Path | str | None = None) -> Iterator[SkillSearch]:
    """Open the index in `data_dir` for any number of queries, and close it afterwards.

    Parameters
    ----------
    data_dir : Path or str, optional
        ``SKILLRANK_DATA_DIR``, or the platform's data folder, by default. The other settings come from the
        environment too.
    """
    settings = read_settings()
    if data_dir is not None:
        settings = msgspec.structs.replace(settings, data_dir=Path(data_dir))
    store = open_store(settings.database, keep_queries=settings.keep_queries)
    try:
        encoders = Encoders(settings.model, settings.models_dir)
        yield SkillSearch(store, encoders, exploration=Exploration(share=settings.explore_share))
    finally:
        store.close()


def search(query: str, *, data_dir: Path | str | None = None, **request: Any) -> SearchAnswer:
    """Answer one query. Each call opens the index and loads the model; for several queries use `open_search`.

    Parameters
    ----------
    query : str
    data_dir : Path or str, optional
        As for `open_search`.
    **request
        Any other field of `SearchRequest`, such as ``limit`` or ``session_id``.

    Raises
    ------
    InvalidRecord
        When there is no such field, or it has no such value.
    """
    try:
        asked = msgspec.convert({"query": query, **request}, SearchRequest)
    except msgspec.ValidationError as error:
        raise InvalidRecord(f"this cannot be searched for: {error}", field="request") from error
    with open_search(data_dir) as searching:
        return searching.answer(asked)
