"""Measures the scale of a new adapter with its held-out queries, in a copy of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from embeddings.errors import TrainingFailed
from embeddings.scale import Scale, write_scale
from embeddings.training import Recipe, TrainingDocument, held_out_ids
from service.evaluation.calibration import FEWEST_QUERIES, Asked, measure_scale
from service.evaluation.copying import indexed_copy
from service.evaluation.judgements import JudgedQuery
from service.ranking.fusion import DEPTH
from service.search.encoders import Encoders
from service.search.queries import InvalidQuery, checked_query, respelled, windows
from service.settings import Settings
from store.folding import folded
from store.protocol import Store

OnProgress = Callable[[str, int, int | None], None]
"""Called with the present step, how much of it is done, and the total or None while that is not known."""


def held_out_queries(
    documents: Sequence[TrainingDocument], judged: Sequence[JudgedQuery] | None, recipe: Recipe
) -> dict[str, frozenset[str]]:
    """Return the queries that training on these documents holds out, with all skills that serve each.

    A query that is also used to train another document is not included.
    """
    held_out = held_out_ids({document.id for document in documents}, recipe)
    learnt = {text for document in documents if document.id not in held_out for text in document.queries}
    serving: dict[str, set[str]] = {}
    for document in documents:
        for text in document.queries:
            if document.id in held_out and text not in learnt:
                serving.setdefault(text, set()).add(document.id)
    for each in judged or ():
        if each.query in serving:
            serving[each.query].update(each.serving)
    return {query: frozenset(names) for query, names in serving.items()}


def keep_scale(
    adapter: Path,
    queries: Mapping[str, frozenset[str]],
    store: Store,
    settings: Settings,
    *,
    words: bool,
    on_progress: OnProgress = lambda *_: None,
) -> Scale | None:
    """Measure an adapter's scale and write it beside the adapter and its export.

    With fewer than `FEWEST_QUERIES` queries nothing is measured, and the scale of earlier weights is removed.

    Parameters
    ----------
    adapter : Path
        The adapter's folder.
    queries : mapping
        Queries that it was not trained on, each with the names of the skills that serve it.
    store : Store
        The index, which is not changed.
    settings : Settings
        With the model including the adapter.
    words : bool
        As for `service.evaluation.calibration.measure_scale`.
    on_progress : callable
        Called often, from this thread.

    Raises
    ------
    EmbeddingError
        When the model cannot be loaded, or the adapter's folder cannot be written.
    """
    scale = None
    if len(queries) >= FEWEST_QUERIES:
        encoders = Encoders(settings.model, settings.models_dir)
        with indexed_copy(store, encoders, lambda run: on_progress(run.stage, run.done, run.total)) as copy:
            asked = list(_asked(copy, encoders, queries, on_progress))
        scale = measure_scale(asked, encoders.model_id, words=words)
    try:
        write_scale(adapter, scale)
    except OSError as error:
        raise TrainingFailed(f"{adapter} cannot be written: {error}") from error
    if scale is not None:
        # Loading copies the scale into the export.
        Encoders(settings.model, settings.models_dir).load()
    return scale


def _asked(
    store: Store,
    encoders: Encoders,
    queries: Mapping[str, frozenset[str]],
    on_progress: OnProgress,
) -> Iterator[Asked]:
    """Run the queries as a search would, up to the candidates."""
    encoder = encoders.load()
    indexed = {state.skill_name for state in store.documents()}
    for done, (text, serving) in enumerate(queries.items(), start=1):
        answers = serving & indexed
        # A sentence of a document may not be a valid query, and the document may be gone by now.
        with suppress(InvalidQuery):
            query = folded(checked_query(text))
            query = respelled(query, store.corrections(query))
            if answers:
                found = store.candidates(query, encoder.encode_queries(windows(query)), depth=DEPTH)
                yield Asked(
                    similarity=np.array([np.nan if c.similarity is None else c.similarity for c in found]),
                    bm25=np.array([np.nan if c.bm25 is None else c.bm25 for c in found]),
                    right=np.array([c.skill_name in answers for c in found]),
                    answers=len(answers),
                )
        on_progress("searching with held-out queries", done, len(queries))
