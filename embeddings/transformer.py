"""The sentence-transformers runtime: runs any model, merges adapters and writes ONNX graphs.

Apart from `embeddings.training.lora`, the only module that imports sentence-transformers, torch and peft. Importing
them takes seconds, so import this module only where one of them is needed.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers.utils import logging as transformers_logging

from embeddings.errors import ExportFailed, ModelUnusable
from embeddings.sources import ModelSource
from embeddings.texts import clean_texts

_TEXTS_PER_CALL: Final = 128
# For models without a limit of their own: time and memory grow with its square.
_MOST_TOKENS: Final = 8192
_ONNX_OPSET: Final = 17
# The exporter keeps its state in global variables.
_EXPORTER: Final = threading.Lock()


class TransformerEncoder:
    """An `Encoder` run by sentence-transformers.

    Queries and documents are prefixed with the prompts that the model defines for them.

    Parameters
    ----------
    source : ModelSource
    device : str, optional
        A torch device; sentence-transformers chooses one when omitted.

    Raises
    ------
    ModelUnusable
        When sentence-transformers cannot load the model, or peft cannot merge the adapter.
    """

    def __init__(self, source: ModelSource, *, device: str | None = None) -> None:
        self._source = source
        self._model = _load_model(source, device)
        self._dimension = _read_dimension(self._model, source)
        self._max_tokens = _limit_tokens(self._model)
        # Every call changes the truncation and padding of the Hugging Face tokenizer, which two threads cannot do at
        # the same time.
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """See `Encoder.model_id`."""
        return self._source.model_id

    @property
    def dimension(self) -> int:
        """See `Encoder.dimension`."""
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """See `Encoder.max_tokens`."""
        return self._max_tokens

    @property
    def query_prompt(self) -> str:
        """The text that the model expects before every query; empty for most models."""
        return self._first_prompt("query")

    @property
    def document_prompt(self) -> str:
        """The text that the model expects before every document; empty for most models."""
        # The library looks up "document" first and defines it as empty for every model, so that it never reaches the
        # other names.
        return self._first_prompt("document", "passage", "corpus")

    def encode_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """See `Encoder.encode_documents`."""
        cleaned = clean_texts(texts, max_tokens=self._max_tokens)
        vectors = np.empty((len(cleaned), self._dimension), np.float32)
        for start in range(0, len(cleaned), _TEXTS_PER_CALL):
            part = cleaned[start : start + _TEXTS_PER_CALL]
            with self._lock:
                vectors[start : start + len(part)] = self._model.encode_document(
                    part, prompt=self.document_prompt, normalize_embeddings=True, show_progress_bar=False
                )
            if on_progress is not None:
                on_progress(len(part))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.encode_queries`."""
        cleaned = clean_texts(texts, max_tokens=self._max_tokens)
        if not cleaned:
            return np.empty((0, self._dimension), np.float32)
        with self._lock:
            vectors = self._model.encode_query(
                cleaned, prompt=self.query_prompt, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, np.float32)

    def tokenizer_json(self) -> str:
        """Return the tokenizer in the format of the ``tokenizers`` library.

        Raises
        ------
        ExportFailed
            When the model has no such tokenizer.
        """
        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ExportFailed(f"{self.model_id} has no fast tokenizer.", model_id=self.model_id)
        return str(backend.to_str())

    def write_graph(self, file: Path) -> None:
        """Write the complete model, with pooling and normalisation, as one float32 ONNX graph.

        The inputs are ``input_ids`` and ``attention_mask``, int64 (batch, tokens); the output is ``vectors``, float32
        (batch, dimension), L2-normalised. Both axes are dynamic. The encoder must be on the CPU.

        Raises
        ------
        ExportFailed
            When the model does not start with a transformer, excludes its prompt from pooling, or cannot be traced.
        """
        first, *rest = self._model
        if not isinstance(first, Transformer):
            raise ExportFailed(
                f"{self.model_id} starts with a {type(first).__name__}, not a transformer.", model_id=self.model_id
            )
        if any(isinstance(module, Pooling) and not module.include_prompt for module in rest):
            raise ExportFailed(f"{self.model_id} excludes its prompt from pooling.", model_id=self.model_id)
        tokens = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
        axes = {"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}}
        try:
            with _EXPORTER, quiet(), torch.inference_mode(), _eager_attention(first):
                torch.onnx.export(
                    _Pipeline(self._model),
                    (tokens, mask),
                    file,
                    input_names=["input_ids", "attention_mask"],
                    output_names=["vectors"],
                    dynamic_axes=axes | {"vectors": {0: "batch"}},
                    opset_version=_ONNX_OPSET,
                    dynamo=False,
                )
        # This runs code of the model, which may raise anything.
        except Exception as error:
            raise ExportFailed(
                f"{self.model_id} cannot be traced: {_in_one_line(error)}", model_id=self.model_id
            ) from error

    def _first_prompt(self, *names: str) -> str:
        return next((prompt for name in names if (prompt := self._model.prompts.get(name))), "")


class _Pipeline(torch.nn.Module):
    """All modules of a model as one function of tensors, so that it can be traced."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self._model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        features = self._model({"input_ids": input_ids, "attention_mask": attention_mask})
        return torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=-1)


def _load_model(source: ModelSource, device: str | None) -> SentenceTransformer:
    try:
        with quiet():
            model = SentenceTransformer(str(source.folder), device=device, local_files_only=True)
            if source.adapter is not None:
                _merge_adapter(model, source.adapter)
    # The files may hold anything, and the libraries that read them share no base error.
    except Exception as error:
        raise ModelUnusable(
            f"{source.model_id} cannot be loaded from {source.folder}: {_in_one_line(error)}",
            model_id=source.model_id,
        ) from error
    # Weights stored in half precision are slower on a CPU and cannot be exported.
    return model.float().eval()


def _merge_adapter(model: SentenceTransformer, folder: Path) -> None:
    transformer = model[0]
    if not isinstance(transformer, Transformer):
        raise TypeError(f"an adapter needs a transformer, not a {type(transformer).__name__}")
    # An adapter of another model would load with just a warning and change nothing.
    warnings.filterwarnings("error", message="Found missing adapter keys")
    adapted = PeftModel.from_pretrained(transformer.model, folder, torch_device="cpu")
    transformer.model = adapted.merge_and_unload()


def _read_dimension(model: SentenceTransformer, source: ModelSource) -> int:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelUnusable(f"{source.model_id} does not state the length of its vectors.", model_id=source.model_id)
    return dimension


def _limit_tokens(model: SentenceTransformer) -> int:
    first = model[0]
    if not isinstance(first, Transformer):
        return _MOST_TOKENS
    # A tokenizer without a limit reports a huge number; the position table is a limit in any case.
    positions = getattr(first.config, "max_position_embeddings", None)
    limits = [limit for limit in (model.max_seq_length, positions) if limit is not None]
    model.max_seq_length = max_tokens = min(*limits, _MOST_TOKENS)
    return max_tokens


@contextmanager
def _eager_attention(transformer: Transformer) -> Iterator[None]:
    # The other implementations add guards against fully masked rows to the graph, which cost a tenth of its time.
    before = transformer.model.config._attn_implementation  # noqa: SLF001
    transformer.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        transformer.model.set_attn_implementation(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars of loading and the warnings of tracing."""
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]
