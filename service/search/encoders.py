"""The encoders of this process: that of the configured model and that of the model behind the served index."""

from __future__ import annotations

import threading
from pathlib import Path

from embeddings.errors import EmbeddingError
from embeddings.loading import LoadedEncoder, identify, load_encoder, load_export
from embeddings.protocol import Encoder
from embeddings.scale import Scale


class Encoders:
    """Loads each model once.

    Parameters
    ----------
    model : str
        The model that new index runs use (`service.settings.Settings.model`).
    cache_dir : Path
        The folder of exported models.
    """

    def __init__(self, model: str, cache_dir: Path) -> None:
        self._model = model
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._loaded: dict[str, LoadedEncoder] = {}
        self._problems: dict[str, str] = {}
        self._model_id: str | None = None

    @property
    def model_id(self) -> str:
        """The identity of the configured model. Raises `EmbeddingError` when there is no such model."""
        if self._model_id is None:
            self._model_id = identify(self._model)
        return self._model_id

    def load(self) -> Encoder:
        """Return the encoder of the configured model, exporting the model first if necessary."""
        with self._lock:
            loaded = self._loaded.get(self.model_id)
            # Serving never exports a model. An index run does, and replaces an encoder that runs without an export.
            if loaded is None or loaded.degraded:
                loaded = self._loaded[self.model_id] = load_encoder(self._model, self._cache_dir)
                self._problems.pop(self.model_id, None)
            return loaded.encoder

    def for_model(self, model_id: str) -> tuple[Encoder | None, str | None]:
        """Return the encoder of the model that made an index, and a description of its problem, if it has one.

        While a new model's index is being built, the old index is served with the old model's export.
        """
        with self._lock:
            if model_id not in self._loaded and model_id not in self._problems:
                try:
                    self._loaded[model_id] = self._find(model_id)
                except EmbeddingError as error:
                    self._problems[model_id] = str(error)
            loaded = self._loaded.get(model_id)
            if loaded is None:
                return None, self._problems[model_id]
            return loaded.encoder, loaded.degraded or loaded.scale_problem

    def runtime(self, model_id: str) -> str | None:
        """Return the runtime of a model in this process, None when it is not loaded."""
        loaded = self._loaded.get(model_id)
        return loaded.runtime if loaded else None

    def scale(self, model_id: str) -> Scale | None:
        """Return the scale stored beside a model, if any; None while the model is not loaded."""
        loaded = self._loaded.get(model_id)
        return loaded.scale if loaded else None

    def _find(self, model_id: str) -> LoadedEncoder:
        exported = load_export(model_id, self._cache_dir)
        if exported is not None:
            return exported
        if self.model_id == model_id:
            return load_encoder(self._model, self._cache_dir, allow_export=False)
        raise EmbeddingError(
            f"the index was made with {model_id}, which is not exported here, and {self._model!r} is configured; "
            "run `skillrank index` to rebuild the index"
        )
