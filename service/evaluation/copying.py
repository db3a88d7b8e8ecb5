"""A copy of an index to try another model on, while the index itself keeps serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from indexer.report import Progress
from indexer.run import run_index
from service.search.encoders import Encoders
from store.location import DATABASE_NAME
from store.protocol import Store
from store.sqlite import open_store


@contextmanager
def indexed_copy(
    store: Store, encoders: Encoders, on_progress: Callable[[Progress], None] = lambda _: None
) -> Iterator[Store]:
    """Yield a copy of a store, indexed with the model of `encoders` and deleted afterwards.

    Raises
    ------
    RootNotFound
        When a root of the index no longer exists.
    EmbeddingError
        When the model cannot be loaded.
    """
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / DATABASE_NAME
        store.backup(path)
        copy = open_store(path)
        try:
            run_index(copy, encoders, [Path(root) for root in copy.roots()], on_progress=on_progress)
            yield copy
        finally:
            copy.close()
