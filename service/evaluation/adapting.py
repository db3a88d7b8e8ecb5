"""Prepares the training data of an adapter from an index and, if given, a file of queries."""

from __future__ import annotations

from collections.abc import Sequence

from embeddings.training import TrainingDocument
from indexer.chunks import embedded_text
from indexer.discovery import Found
from indexer.document import SkillDocument, UnparsableDocument, read_document
from indexer.own_pairs import own_pairs
from migrations.errors import SkillrankError
from service.evaluation.judgements import JudgedQuery
from store.protocol import Store


class NothingToLearn(SkillrankError):
    """There is nothing to train on in the queries or documents; the message says what to do."""


def training_documents(store: Store, judged: Sequence[JudgedQuery] | None) -> tuple[list[TrainingDocument], int]:
    """Return what to train on, and how many queries were left out because they name no indexed skill.

    Parameters
    ----------
    store : Store
    judged : sequence of JudgedQuery or None
        Each query belongs to the first indexed skill that serves it. With None, sentences and sections of the documents
        serve as queries (`own_pairs`).

    Raises
    ------
    NothingToLearn
        When nothing is indexed, or nothing in the index can be trained on.
    """
    indexed = {state.skill_name: Found(path=state.document_path, root=state.root) for state in store.documents()}
    if not indexed:
        raise NothingToLearn("nothing is indexed yet: run `skillrank index ROOT…` first")
    if judged is None:
        found, unknown = _from_documents(indexed), 0
    else:
        found, unknown = _from_queries(indexed, judged)
    if not found:
        raise NothingToLearn(
            "there is nothing to learn from: "
            + ("no document has a description or sections" if judged is None else "no query names an indexed skill")
        )
    return found, unknown


def _from_queries(indexed: dict[str, Found], judged: Sequence[JudgedQuery]) -> tuple[list[TrainingDocument], int]:
    asked: dict[str, list[str]] = {}
    unknown = 0
    for each in judged:
        name = next((name for name in each.serving if name in indexed), None)
        if name is None:
            unknown += 1
        else:
            asked.setdefault(name, []).append(each.query)
    documents = {name: document for name in asked if (document := _read(indexed[name])) is not None}
    return [
        TrainingDocument(id=name, text=embedded_text(document), queries=tuple(dict.fromkeys(asked[name])))
        for name, document in documents.items()
    ], unknown


def _from_documents(indexed: dict[str, Found]) -> list[TrainingDocument]:
    return [
        TrainingDocument(id=name, text=pairs.text, queries=pairs.queries)
        for name, found in indexed.items()
        if (document := _read(found)) is not None
        for pairs in own_pairs(document)
    ]


def _read(found: Found) -> SkillDocument | None:
    try:
        return read_document(found)
    except UnparsableDocument:  # changed or removed since it was indexed
        return None
