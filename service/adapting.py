"""From an index and a file of questions to what an adapter is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from embeddings.training import TrainingDocument
from indexer.discovery import Found
from indexer.document import SkillDocument, UnparsableDocument, read_document
from indexer.own_pairs import own_pairs
from indexer.pieces import embedded_text
from migrations.errors import SkillrankError
from service.tuning import InvalidJudgements, JudgedQuestion
from store.protocol import Store

_SERVES: Final = 2


class NothingToLearn(SkillrankError):
    """Neither the questions nor the documents give anything to train on; the message says what to do."""


class _Line(msgspec.Struct, frozen=True):
    """A line of a file that `skillrank eval` takes (`expected`) or that `skillrank tune` takes (`relevant`)."""

    question: str
    expected: list[str] | dict[str, int] = []
    relevant: list[str] = []


def read_questions(path: Path) -> list[JudgedQuestion]:
    """Read questions and the skills that answer them, one JSON object in each line; of graded ones, those of grade 2.

    Raises
    ------
    InvalidJudgements
        When the file cannot be read, or a line is no such object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidJudgements(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                given = msgspec.json.decode(line, type=_Line)
            except msgspec.MsgspecError as error:
                raise InvalidJudgements(f"{path}, line {number}: {error}") from error
            expected = given.expected
            names = expected if isinstance(expected, list) else [name for name in expected if expected[name] >= _SERVES]
            found.append(JudgedQuestion(given.question, [*names, *given.relevant]))
    return found


def training_documents(store: Store, judged: Sequence[JudgedQuestion] | None) -> tuple[list[TrainingDocument], int]:
    """Return what to train on, and how many questions name no skill that is indexed and are left out.

    Parameters
    ----------
    store : Store
    judged : sequence of JudgedQuestion or None
        Each question belongs to the first of its relevant skills that is indexed; with None the documents' own
        sentences and sections are the questions (`own_pairs`).

    Raises
    ------
    NothingToLearn
        When nothing is indexed, or nothing of it can be trained on.
    """
    indexed = {state.skill_name: Found(path=state.document_path, root=state.root) for state in store.documents()}
    if not indexed:
        raise NothingToLearn("nothing is indexed yet: run `skillrank index ROOT…` first")
    if judged is None:
        found, unknown = _from_documents(indexed), 0
    else:
        found, unknown = _from_questions(indexed, judged)
    if not found:
        raise NothingToLearn(
            "there is nothing to learn from: "
            + ("no document has a description or sections" if judged is None else "no question names an indexed skill")
        )
    return found, unknown


def _from_questions(indexed: dict[str, Found], judged: Sequence[JudgedQuestion]) -> tuple[list[TrainingDocument], int]:
    asked: dict[str, list[str]] = {}
    unknown = 0
    for each in judged:
        name = next((name for name in each.relevant if name in indexed), None)
        if name is None:
            unknown += 1
        else:
            asked.setdefault(name, []).append(each.question)
    documents = {name: document for name in asked if (document := _read(indexed[name])) is not None}
    return [
        TrainingDocument(id=name, text=embedded_text(document), questions=tuple(dict.fromkeys(asked[name])))
        for name, document in documents.items()
    ], unknown


def _from_documents(indexed: dict[str, Found]) -> list[TrainingDocument]:
    return [
        TrainingDocument(id=name, text=pairs.text, questions=pairs.questions)
        for name, found in indexed.items()
        if (document := _read(found)) is not None
        for pairs in own_pairs(document)
    ]


def _read(found: Found) -> SkillDocument | None:
    try:
        return read_document(found)
    except UnparsableDocument:  # changed or removed since it was indexed
        return None
