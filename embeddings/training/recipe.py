"""What an adapter is trained on, how, and what is recorded of it."""

from __future__ import annotations

from typing import Final

import msgspec

from embeddings.training.measure import Found

WEIGHTS_FILE: Final = "adapter_model.safetensors"


class TrainingDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A text and queries that it answers.

    Attributes
    ----------
    id : str
        Names the document. Several texts may have one id; they are no negatives of each other, and are held out
        together.
    text : str
        What stands for the document.
    queries : tuple of str
        At least one.
    """

    id: str
    text: str
    queries: tuple[str, ...]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How an adapter is trained.

    Attributes
    ----------
    epochs : int
        How often every text is seen.
    documents_per_step : int
        The texts of a step are the negatives of each other's queries.
    queries_per_document : int
        So many of a text's queries are asked in an epoch, drawn anew each time where there are more.
    learning_rate : float
        The highest of AdamW's rates, reached after a twelfth of the steps; it falls to zero at the end.
    temperature : float
        Divides the cosines in the loss.
    backward_weight : float
        What it counts, beside a query that picks its text, that a text picks its queries.
    rank, alpha : int
        LoRA's.
    document_tokens, query_tokens : int
        So much of a text is read while training.
    group_size : int
        Steps are made of groups of so many texts that are mistaken for each other.
    duplicate_cosine : float
        Texts that are this near under the unadapted model are no negatives of each other.
    held_out : float
        The share of documents, with their queries, that only measure.
    seed : int
        Decides everything that is drawn: with the same data and threads, the weights are the same.
    """

    epochs: int = 3
    documents_per_step: int = 96
    queries_per_document: int = 3
    learning_rate: float = 8e-4
    temperature: float = 0.05
    backward_weight: float = 0.5
    rank: int = 32
    alpha: int = 64
    document_tokens: int = 224
    query_tokens: int = 128
    group_size: int = 4
    duplicate_cosine: float = 0.85
    held_out: float = 0.1
    seed: int = 1


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """How well held-out queries find their documents among the held-out ones and some others, by vectors alone.

    Attributes
    ----------
    epoch : int
        0 is the unadapted model.
    loss : float or None
        The mean over the epoch's steps.
    found : Found or None
        None when nothing is held out.
    """

    epoch: int
    loss: float | None
    found: Found | None


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What ``training.json`` says beside an adapter.

    Attributes
    ----------
    model_id : str
        The model that was adapted.
    recipe : Recipe
    data_sha256 : str
        Over all ids, texts and queries, in order of id and text.
    files_sha256 : dict of str to str
        Digests of the files that the data came from, by the names that the caller gave them.
    texts, queries, held_out_documents : int
    curve : list of CurvePoint
    losses : list of float
        Of every step.
    seconds : float
        Time spent, over all runs when it was taken up again.
    precision : str
        ``bfloat16`` or ``float32``.
    versions : dict of str to str
    complete : bool
        False while it goes on, or when it was ended before its last epoch.
    """

    model_id: str
    recipe: Recipe
    data_sha256: str
    files_sha256: dict[str, str]
    texts: int
    queries: int
    held_out_documents: int
    curve: list[CurvePoint]
    losses: list[float]
    seconds: float
    precision: str
    versions: dict[str, str]
    complete: bool


class TrainingProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is: `done` of `steps`, and the loss of the newest step once there is one."""

    done: int
    steps: int
    loss: float | None
