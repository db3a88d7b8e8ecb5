"""Exports a sentence-transformers model to ONNX, so that serving does not need torch."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from embeddings.errors import EmbeddingError, ExportFailed, InvalidExport
from embeddings.layout import (
    GRAPH_FILE,
    LAYOUT,
    TOKENIZER_FILE,
    Manifest,
    digest_files,
    export_folder,
    read_manifest,
    write_manifest,
)
from embeddings.onnx_runtime import OnnxEncoder
from embeddings.protocol import Encoder
from embeddings.sources import ModelSource
from embeddings.transformer import TransformerEncoder

LOWEST_COSINE: Final = 0.9999

_ATTEMPTS: Final = 3
_WORKSHOP: Final = ".export-"
_LEFTOVER_AGE_S: Final = 3600
_LIBRARIES: Final = ("torch", "sentence-transformers", "transformers", "onnxruntime", "tokenizers")

# Empty to very long texts in several scripts, code, and characters that tokenizers treat differently.
_PARITY_TEXTS: Final = (
    "",
    " ",
    "?",
    "fix types",
    "How do I find out why a test fails only sometimes on the build server?",
    "  Leading and trailing blanks,\ttabs\r\nand\n\nline breaks  ",
    "def retry(call, *, times=3):\n    for left in reversed(range(times)):\n        try:\n            return call()\n",
    "---\nname: pdf-forms\ndescription: Fill in forms. Use when a user has one.\n---\n\n# PDF forms\n\n- `fill.py`",
    "SELECT skill_name, count(*) FROM skill_invocation GROUP BY 1 ORDER BY 2 DESC;",
    "修复类型错误并运行测试",
    "型エラーを直してテストを実行する",
    "Прогони тесты и исправь ошибки типов",
    "أصلح أخطاء الأنواع ثم شغّل الاختبارات",
    "Zażółć gęślą jaźń; naïve café, e\u0301 and \u00e9",
    "🚀 ship it 👩‍💻 \u200b\ufeff\x00\x07 end",
    "a" * 300,
    "https://example.org/a/very/long/path?with=a&query=string#and-a-fragment",
    "Read the failing test first. " * 10,
    "Split the report into sections, number the figures and check every link. " * 40,
    "修复类型错误并运行测试。" * 200,
)


def export_model(source: ModelSource, cache_dir: Path) -> Path:
    """Export a model and check that the export gives the same vectors as sentence-transformers.

    The export is written to a temporary folder and renamed, so it appears complete or not at all. An export that
    another process has completed in the meantime is kept; a damaged one is replaced.

    Parameters
    ----------
    source : ModelSource
    cache_dir : Path
        The folder of exports; created if missing.

    Returns
    -------
    Path
        ``export_folder(source.model_id, cache_dir)``, which contains ``model.onnx``, ``tokenizer.json`` and
        ``meta.json``.

    Raises
    ------
    ExportFailed
        When the model cannot be traced, when the folder cannot be written, or when the lowest cosine between the two
        runtimes, over texts of many kinds encoded as documents and as queries, is below ``LOWEST_COSINE``.
    ModelUnusable
        When the model cannot be loaded.
    """
    model = TransformerEncoder(source, device="cpu")
    folder = export_folder(source.model_id, cache_dir)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(cache_dir)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix=_WORKSHOP, ignore_cleanup_errors=True) as workshop:
            draft = export_folder(source.model_id, Path(workshop))
            _write_export(model, draft)
            _put_in_place(draft, folder)
    except OSError as error:
        raise ExportFailed(f"{folder} cannot be written: {error}", model_id=source.model_id) from error
    return folder


def _write_export(model: TransformerEncoder, folder: Path) -> None:
    folder.mkdir()
    model.write_graph(folder / GRAPH_FILE)
    (folder / TOKENIZER_FILE).write_text(model.tokenizer_json(), encoding="utf-8")
    manifest = Manifest(
        layout=LAYOUT,
        model_id=model.model_id,
        dimension=model.dimension,
        max_tokens=model.max_tokens,
        query_prompt=model.query_prompt,
        document_prompt=model.document_prompt,
        versions={name: version(name) for name in _LIBRARIES},
        # Weights beyond protobuf's limit of two gigabytes are stored in separate files.
        digests=digest_files(folder, sorted(path.name for path in folder.iterdir())),
    )
    write_manifest(folder, manifest)
    cosine = _lowest_cosine(model, OnnxEncoder(folder))
    # Written so that a NaN fails too.
    if not cosine >= LOWEST_COSINE:
        raise ExportFailed(
            f"The export of {model.model_id} gives different vectors: the lowest cosine is {cosine:.6f}.",
            model_id=model.model_id,
            cosine=cosine,
        )
    write_manifest(folder, msgspec.structs.replace(manifest, cosine=cosine))


def _lowest_cosine(model: Encoder, export: Encoder) -> float:
    pairs = (
        (model.encode_documents(_PARITY_TEXTS), export.encode_documents(_PARITY_TEXTS)),
        (model.encode_queries(_PARITY_TEXTS), export.encode_queries(_PARITY_TEXTS)),
    )
    return float(np.min([np.einsum("ij,ij->i", expected, given, dtype=np.float64) for expected, given in pairs]))


def _put_in_place(draft: Path, folder: Path) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            draft.rename(folder)
        except OSError:
            # No system renames onto a folder that is not empty.
            if attempt == _ATTEMPTS - 1 or not folder.exists():
                raise
            if _is_whole(folder):
                return
            with suppress(FileNotFoundError):
                folder.rename(draft.with_name(f"damaged-{attempt}"))
        else:
            return


def _is_whole(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except InvalidExport:
        return False
    return True


def _remove_leftovers(cache_dir: Path) -> None:
    """Remove the temporary folders of exports that were killed, so that repeated kills cannot fill the disk."""
    for workshop in cache_dir.glob(f"{_WORKSHOP}*"):
        with suppress(FileNotFoundError):
            if time.time() - workshop.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(workshop, ignore_errors=True)


def main(arguments: Sequence[str]) -> None:
    """Export one model: ``python -m embeddings.export MODEL_ID FOLDER CACHE_DIR [ADAPTER]``.

    On failure, the exit code is 1 and the last line on stderr is the reason.
    """
    model_id, folder, cache_dir, *adapter = arguments
    source = ModelSource(model_id, Path(folder), *map(Path, adapter))
    try:
        export_model(source, Path(cache_dir))
    except EmbeddingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
