"""What can go wrong on the way from a model's name to its vectors."""

from __future__ import annotations

from pathlib import Path

from migrations.errors import SkillrankError


class EmbeddingError(SkillrankError):
    """A model cannot be found, prepared or run."""


class ModelNotFound(EmbeddingError):
    """No usable model stands behind a name; the message says what to do.

    Attributes
    ----------
    name : str
        The model as it was asked for.
    """

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class ModelUnusable(EmbeddingError):
    """A model's files are there, but sentence-transformers or peft cannot make an encoder of them.

    Attributes
    ----------
    model_id : str
    """

    def __init__(self, message: str, *, model_id: str) -> None:
        super().__init__(message)
        self.model_id = model_id


class ExportFailed(EmbeddingError):
    """A model cannot be exported to ONNX, or the export answers differently; no export was left behind.

    Attributes
    ----------
    model_id : str
    cosine : float or None
        The lowest cosine between the export's and the model's vectors, when the two could be compared.
    """

    def __init__(self, message: str, *, model_id: str, cosine: float | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id
        self.cosine = cosine


class InvalidExport(EmbeddingError):
    """A folder is not a whole export of the model it should hold.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, message: str, *, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder


class TrainingFailed(EmbeddingError):
    """An adapter cannot be trained: the data, the model or the folder does not allow it."""


class InvalidScale(EmbeddingError):
    """A scale beside a model cannot be used; the model itself can."""
