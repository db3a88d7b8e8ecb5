"""Queries that no skill fits, grouped into skills worth writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.insights import sentences
from service.insights.findings import Finding, Findings, collected, scored

MIN_SEARCHES: Final = 3
MIN_ASKERS: Final = 2
# Groups whose queries have a larger mean cosine distance are about different things.
APART: Final = 0.5
KEPT_IDS: Final = 20
NEEDS: Final = f"{MIN_SEARCHES} similar searches by {MIN_ASKERS} people or sessions"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A search that no skill fits; `text` is None where it is not kept, `vector` is L2-normalised."""

    search_id: str
    asked_at: str
    text: str | None
    text_hash: str
    vector: NDArray[np.float32] | None
    model_id: str | None
    asker: str


def missing_skills(queries: Sequence[Query], labels: Sequence[int]) -> Findings:
    """Turn groups of queries into findings; `labels` are those of `group`."""
    groups: dict[int, list[Query]] = {}
    for query, label in zip(queries, labels, strict=True):
        groups.setdefault(label, []).append(query)
    wanted = [
        members
        for members in groups.values()
        if len(members) >= MIN_SEARCHES and len({member.asker for member in members}) >= MIN_ASKERS
    ]
    lacking = sum(len(members) for members in groups.values()) - sum(len(members) for members in wanted)
    found = [_finding(members) for members in wanted]
    return collected("missing_skill", found, examined=len(queries), lacking=lacking, needs=NEEDS)


def group(queries: Sequence[Query]) -> list[int]:
    """Return a label for each query; queries with equal labels are about the same thing.

    Identical texts always share a label. Other queries are grouped by average linkage of their cosine distances, which
    needs no number of groups and does not chain distant queries together. Vectors of different models are never
    compared.
    """
    place: dict[tuple[str | None, str], int] = {}
    unique: list[Query] = []
    for query in queries:
        key = (query.model_id, query.text_hash)
        if key not in place:
            place[key] = len(unique)
            unique.append(query)
    label = np.arange(len(unique))
    for model in {query.model_id for query in unique if query.vector is not None}:
        members = [at for at, q in enumerate(unique) if q.vector is not None and q.model_id == model]
        if len(members) > 1:
            of_members = _linked(_stacked([unique[at] for at in members]))
            label[members] = np.array(members)[of_members]
    return [int(label[place[query.model_id, query.text_hash]]) for query in queries]


def _stacked(queries: Sequence[Query]) -> NDArray[np.float32]:
    return np.stack([query.vector for query in queries if query.vector is not None])


def _linked(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each vector the place of the first one of its group."""
    from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415  only who asks for insights waits for it

    model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=APART)
    _, first, labels = np.unique(model.fit_predict(vectors), return_index=True, return_inverse=True)
    return np.asarray(first[labels], dtype=np.int64)


def _finding(members: list[Query]) -> Finding:
    middle = _middle(members)
    askers = len({member.asker for member in members})
    return Finding(
        kind="missing_skill",
        skill=None,
        project=None,
        title=sentences.missing_skill(middle.text, len(members) - 1, askers),
        score=scored(1.0 - 1.0 / (1.0 + askers / 5.0), None),
        counts={"searches": float(len(members)), "askers": float(askers)},
        rates=[],
        test=None,
        search_ids=[middle.search_id, *(each.search_id for each in members if each is not middle)][:KEPT_IDS],
    )


def _middle(members: list[Query]) -> Query:
    """Return the query that is most like the others: the newest of those that share its words."""
    with_vector = [member for member in members if member.vector is not None]
    if not with_vector:
        return members[0]
    vectors = _stacked(with_vector)
    return with_vector[int(np.argmax(vectors @ vectors.sum(axis=0)))]
