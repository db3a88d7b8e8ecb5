"""The sentence-transformers runtime: runs any model, merges adapters, and writes models out for ONNX.

The only module beside `embeddings.training.lora` that imports sentence-transformers, torch and peft. That takes
seconds, so this module is imported only where one of them is really needed.
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
# For models that know no limit: time and memory grow with the square of this.
_MOST_TOKENS: Final = 8192
_ONNX_OPSET: Final = 17
# The exporter keeps its state in module globals.
_EXPORTER: Final = threading.Lock()


class TransformerEncoder:
    """An `Encoder` run by sentence-transformers.

    Queries and documents get the prompts that the model defines for them.

    Parameters
    ----------
    source : ModelSource
    device : str, optional
        A torch device; sentence-transformers' own choice when left out.

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
        # A Hugging Face tokenizer sets its truncation and padding anew for each call, which two threads cannot
        # do to one tokenizer.
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
        """What the model wants before every query; mostly nothing."""
        return self._first_prompt("query")

    @property
    def document_prompt(self) -> str:
        """What the model wants before every document; mostly nothing."""
        # The library itself asks for "document" first, which it defines as empty for every model, so that it
        # never reaches the other names.
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
        """Write the whole model, pooling and normalisation included, as one float32 ONNX graph.

        Inputs ``input_ids`` and ``attention_mask``, int64 (batch, tokens); output ``vectors``, float32 (batch,
        dimension), L2-normalised. Both axes are dynamic. The encoder must be on the CPU.

        Raises
        ------
        ExportFailed
            When the model does not start with a transformer, pools without its prompt, or cannot be traced.
        """
        first, *rest = self._model
        if not isinstance(first, Transformer):
            raise ExportFailed(
                f"{self.model_id} starts with a {type(first).__name__}, not a transformer.", model_id=self.model_id
            )
        if any(isinstance(module, Pooling) and not module.include_prompt for module in rest):
            raise ExportFailed(f"{self.model_id} leaves its prompt out of the pooling.", model_id=self.model_id)
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
        # A model's own code runs here and may fail in any way.
        except Exception as error:
            raise ExportFailed(
                f"{self.model_id} cannot be traced: {_in_one_line(error)}", model_id=self.model_id
            ) from error

    def _first_prompt(self, *names: str) -> str:
        return next((prompt for name in names if (prompt := self._model.prompts.get(name))), "")


class _Pipeline(torch.nn.Module):
    """All modules of a model as one function of tensors, which is what can be traced."""

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
    # Its files may be anything, and the libraries that read them have no error in common.
    except Exception as error:
        raise ModelUnusable(
            f"{source.model_id} cannot be loaded from {source.folder}: {_in_one_line(error)}",
            model_id=source.model_id,
        ) from error
    # Weights may be stored in half precision, which is slower on a processor and cannot be exported.
    return model.float().eval()


def _merge_adapter(model: SentenceTransformer, folder: Path) -> None:
    transformer = model[0]
    if not isinstance(transformer, Transformer):
        raise TypeError(f"an adapter needs a transformer, not a {type(transformer).__name__}")
    # An adapter of another model loads with no more than a warning, and changes nothing.
    warnings.filterwarnings("error", message="Found missing adapter keys")
    adapted = PeftModel.from_pretrained(transformer.model, folder, torch_device="cpu")
    transformer.model = adapted.merge_and_unload()


def _read_dimension(model: SentenceTransformer, source: ModelSource) -> int:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelUnusable(f"{source.model_id} does not say how long its vectors are.", model_id=source.model_id)
    return dimension


def _limit_tokens(model: SentenceTransformer) -> int:
    first = model[0]
    if not isinstance(first, Transformer):
        return _MOST_TOKENS
    # A tokenizer without a limit says so with a huge number; the table of positions is a limit all the same.
    positions = getattr(first.config, "max_position_embeddings", None)
    limits = [limit for limit in (model.max_seq_length, positions) if limit is not None]
    model.max_seq_length = max_tokens = min(*limits, _MOST_TOKENS)
    return max_tokens


@contextmanager
def _eager_attention(transformer: Transformer) -> Iterator[None]:
    # The other implementations leave guards against fully masked rows in the graph, which cost a tenth of its time.
    before = transformer.model.config._attn_implementation  # noqa: SLF001
    transformer.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        transformer.model.set_attn_implementation(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from our users that loading draws a progress bar and tracing warns about every constant it folds."""
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
