"""The ONNX runtime: runs an exported model without torch.

The only module that imports onnxruntime and tokenizers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from embeddings.errors import InvalidExport
from embeddings.layout import GRAPH_FILE, TOKENIZER_FILE, read_manifest
from embeddings.texts import clean_texts

# Texts tokenized at a time: enough to find texts of similar length, few enough to fit in memory.
_TEXTS_PER_ROUND: Final = 512
# Measured in documents per CPU second: 28 at 512 tokens, 26 at 1024, 23 at 4096, where a batch exceeds the cache.
_TOKENS_PER_BATCH: Final = 512
# More threads are limited by memory bandwidth, or by a container's quota, which the number of cores does not reflect.
_MOST_THREADS: Final = 8

_Batch = NDArray[np.intp]


class OnnxEncoder:
    """An `Encoder` run by onnxruntime from an export folder.

    Each batch runs on one thread and batches run in parallel: a short query uses one core, and many documents use all
    of them.

    Parameters
    ----------
    folder : Path
        An export made by `export_model`.

    Raises
    ------
    InvalidExport
        When the folder is missing, incomplete, damaged or of a different layout.
    """

    def __init__(self, folder: Path) -> None:
        self._manifest = read_manifest(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        # Neither library documents which exceptions a file that it cannot read raises.
        except Exception as error:
            raise InvalidExport(f"{folder} cannot be loaded: {error}", folder=folder) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._manifest.max_tokens)
        self._threads = min(_count_cores(), _MOST_THREADS)

    @property
    def model_id(self) -> str:
        """See `Encoder.model_id`."""
        return self._manifest.model_id

    @property
    def dimension(self) -> int:
        """See `Encoder.dimension`."""
        return self._manifest.dimension

    @property
    def max_tokens(self) -> int:
        """See `Encoder.max_tokens`."""
        return self._manifest.max_tokens

    def encode_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """See `Encoder.encode_documents`."""
        return self._encode(texts, self._manifest.document_prompt, on_progress)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.encode_queries`."""
        return self._encode(texts, self._manifest.query_prompt, None)

    def _encode(
        self, texts: Sequence[str], prompt: str, on_progress: Callable[[int], None] | None
    ) -> NDArray[np.float32]:
        cleaned = clean_texts(texts, max_tokens=self.max_tokens)
        vectors = np.empty((len(cleaned), self.dimension), np.float32)
        for start in range(0, len(cleaned), _TEXTS_PER_ROUND):
            rows = vectors[start : start + _TEXTS_PER_ROUND]
            tokens = self._tokenize([prompt + text for text in cleaned[start : start + _TEXTS_PER_ROUND]])
            # Closed even when on_progress raises, so that waiting batches are dropped.
            with closing(self._run(tokens, rows)) as batches:
                for batch in batches:
                    if on_progress is not None:
                        on_progress(len(batch))
        return vectors

    def _tokenize(self, texts: list[str]) -> list[NDArray[np.int64]]:
        return [np.array(encoding.ids, np.int64) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def _run(self, tokens: list[NDArray[np.int64]], vectors: NDArray[np.float32]) -> Generator[_Batch]:
        """Fill the rows of ``vectors``; yield the row numbers of each batch when it is done."""

        def run(batch: _Batch) -> _Batch:
            vectors[batch] = self._run_batch([tokens[row] for row in batch])
            return batch

        batches = _plan_batches([len(ids) for ids in tokens], threads=self._threads)
        if len(batches) == 1:
            yield run(batches[0])
            return
        pool = ThreadPoolExecutor(min(self._threads, len(batches)), thread_name_prefix="embeddings")
        try:
            yield from pool.map(run, batches)
        finally:
            pool.shutdown(cancel_futures=True)

    def _run_batch(self, tokens: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        longest = max(map(len, tokens))
        input_ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(tokens):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        (vectors,) = self._session.run(["vectors"], {"input_ids": input_ids, "attention_mask": mask})
        return np.asarray(vectors, np.float32)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plan_batches(lengths: Sequence[int], *, threads: int) -> list[_Batch]:
    """Group row numbers into batches of similar length, which need little padding; longest first.

    Padding included, no batch has more tokens than ``_TOKENS_PER_BATCH`` or than one thread's share of all, except
    that every batch has at least one row.
    """
    order = np.argsort(lengths, kind="stable")[::-1]
    budget = min(_TOKENS_PER_BATCH, -(-sum(lengths) // threads))
    starts: list[int] = []
    fitting = 0
    for position, row in enumerate(order):
        if fitting == 0:
            starts.append(position)
            fitting = max(1, budget // max(1, lengths[row]))
        fitting -= 1
    return [order[start:stop] for start, stop in pairwise([*starts, len(order)])]
