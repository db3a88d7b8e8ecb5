"""The data that an adapter is trained on, the settings, and the record of a training."""

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
        Identifies the document. Several texts may share an id; they are never negatives of each other and are held out
        together.
    text : str
        The text that represents the document.
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
        How many queries of a text are used in an epoch; if there are more, they are drawn again in each epoch.
    learning_rate : float
        The highest learning rate of AdamW, reached after a twelfth of the steps; it falls to zero at the end.
    temperature : float
        Divides the cosines in the loss.
    backward_weight : float
        Weight of the loss of texts finding their queries, relative to that of queries finding their texts.
    rank, alpha : int
        Parameters of LoRA.
    document_tokens, query_tokens : int
        How many tokens of a text or query are read in training.
    group_size : int
        How many texts that are easily confused form a group; steps consist of groups.
    duplicate_cosine : float
        Texts whose cosine in the unadapted model is at least this are never negatives of each other.
    held_out : float
        The share of documents that are not trained on, but measured with their queries.
    seed : int
        Seed of all random choices: the same data and number of threads give the same weights.
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
        Mean over the steps of the epoch.
    found : Found or None
        None when nothing is held out.
    """

    epoch: int
    loss: float | None
    found: Found | None


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``training.json``, which describes how an adapter was trained.

    Attributes
    ----------
    model_id : str
        The model that was adapted.
    recipe : Recipe
    data_sha256 : str
        Digest of all ids, texts and queries, in order of id and text.
    files_sha256 : dict of str to str
        Digests of the files that the data came from, under the names that the caller chose.
    texts, queries, held_out_documents : int
    curve : list of CurvePoint
    losses : list of float
        The loss of every step.
    seconds : float
        Time spent, over all runs if the training was resumed.
    precision : str
        ``bfloat16`` or ``float32``.
    versions : dict of str to str
    complete : bool
        False while the training runs, or when it was stopped before its last epoch.
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
    """Progress of a training: `done` of `steps`, and the loss of the latest step if there is one."""

    done: int
    steps: int
    loss: float | None
