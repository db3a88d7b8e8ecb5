"""Errors of finding, preparing, running and training models."""

from __future__ import annotations

from pathlib import Path

from migrations.errors import SkillrankError


class EmbeddingError(SkillrankError):
    """A model cannot be found, prepared or run."""


class ModelNotFound(EmbeddingError):
    """A name leads to no usable model; the message says what to do.

    Attributes
    ----------
    name : str
        The model name as given.
    """

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class ModelUnusable(EmbeddingError):
    """A model's files exist, but sentence-transformers or peft cannot load them.

    Attributes
    ----------
    model_id : str
    """

    def __init__(self, message: str, *, model_id: str) -> None:
        super().__init__(message)
        self.model_id = model_id


class ExportFailed(EmbeddingError):
    """A model cannot be exported to ONNX, or its export gives different vectors; no export is left behind.

    Attributes
    ----------
    model_id : str
    cosine : float or None
        The lowest cosine between vectors of the export and of the model, when they could be compared.
    """

    def __init__(self, message: str, *, model_id: str, cosine: float | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id
        self.cosine = cosine


class InvalidExport(EmbeddingError):
    """A folder does not hold a complete export of the expected model.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, message: str, *, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder


class TrainingFailed(EmbeddingError):
    """An adapter cannot be trained with the given data, model or folder."""


class InvalidScale(EmbeddingError):
    """A model's scale file cannot be used; the model itself can."""
