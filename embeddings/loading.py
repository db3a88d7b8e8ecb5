"""Loads the encoder of a model name, in the fastest runtime that gives the model's vectors."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from embeddings.errors import EmbeddingError, ExportFailed, InvalidExport, InvalidScale
from embeddings.hashing import HashingEncoder
from embeddings.layout import export_folder
from embeddings.protocol import Encoder
from embeddings.scale import Scale, read_scale, write_scale
from embeddings.sources import ModelSource, resolve_source

HASHING_MODEL: Final = "hashing"


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder and the runtime that it runs in.

    Attributes
    ----------
    encoder : Encoder
    runtime : {'onnx', 'sentence-transformers', 'hashing'}
    degraded : str or None
        Why a slower runtime than ONNX is used; None when all is well.
    scale : Scale or None
        How to interpret the model's cosines, when that was measured.
    scale_problem : str or None
        Why an existing scale is not used.
    """

    encoder: Encoder
    runtime: Literal["onnx", "sentence-transformers", "hashing"]
    degraded: str | None = None
    scale: Scale | None = None
    scale_problem: str | None = None


def identify(model: str, *, adapter: Path | None = None) -> str:
    """Return the ``model_id`` of the encoder that `load_encoder` returns, without loading the model.

    Parameters
    ----------
    model : str
        ``hashing``, or a model as `resolve_source` accepts it.
    adapter : Path, optional
        The folder of a peft adapter for the model.

    Raises
    ------
    ModelNotFound
        When the name leads to no usable model.
    """
    if model == HASHING_MODEL:
        return _hashing(adapter).model_id
    return resolve_source(model, adapter=adapter).model_id


def load_encoder(
    model: str, cache_dir: Path, *, adapter: Path | None = None, allow_export: bool = True
) -> LoadedEncoder:
    """Load a model in the fastest runtime that gives its vectors.

    A complete export in ``cache_dir`` is used; otherwise one is made in a child process, which takes seconds and
    happens once for each ``model_id``. Neither imports torch here. When the model cannot be exported, it runs in
    sentence-transformers, and `LoadedEncoder.degraded` says why. An adapter's scale is copied into the export, so that
    the export can be used without the adapter.

    Parameters
    ----------
    model : str
        ``hashing`` (no model; for tests), or a model as `resolve_source` accepts it.
    cache_dir : Path
        The folder of exports.
    adapter : Path, optional
        The folder of a peft adapter for the model.
    allow_export : bool
        When False, nothing is written.

    Raises
    ------
    ModelNotFound
        When the name leads to no usable model.
    ModelUnusable
        When no runtime can load its files.
    """
    if model == HASHING_MODEL:
        return LoadedEncoder(_hashing(adapter), "hashing")
    source = resolve_source(model, adapter=adapter)
    # Importing a runtime takes up to several seconds, so only the one that is used is imported.
    from embeddings.onnx_runtime import OnnxEncoder  # noqa: PLC0415

    folder = export_folder(source.model_id, cache_dir)
    try:
        return _with_scale(OnnxEncoder(folder), source, folder, carry=allow_export)
    except InvalidExport as invalid:
        reason = str(invalid)
    if allow_export:
        try:
            _export_in_child(source, cache_dir)
            return _with_scale(OnnxEncoder(folder), source, folder, carry=True)
        except (ExportFailed, InvalidExport) as failure:
            reason = str(failure)
    from embeddings.transformer import TransformerEncoder  # noqa: PLC0415

    scale, problem = _scale_in(source.adapter, source.model_id)
    return LoadedEncoder(TransformerEncoder(source), "sentence-transformers", reason, scale, problem)


def load_export(model_id: str, cache_dir: Path) -> LoadedEncoder | None:
    """Load the model with this identity from its export; None when it has no complete export.

    It serves an index that was made with another model, until the index of the current model is built.

    Parameters
    ----------
    model_id : str
        See `Encoder.model_id`.
    cache_dir : Path
        The folder of exports.
    """
    hashing = HashingEncoder()
    if model_id == hashing.model_id:
        return LoadedEncoder(hashing, "hashing")
    from embeddings.onnx_runtime import OnnxEncoder  # noqa: PLC0415

    folder = export_folder(model_id, cache_dir)
    try:
        encoder = OnnxEncoder(folder)
    except InvalidExport:
        return None
    scale, problem = _scale_in(folder, model_id)
    return LoadedEncoder(encoder, "onnx", scale=scale, scale_problem=problem)


def _with_scale(encoder: Encoder, source: ModelSource, folder: Path, *, carry: bool) -> LoadedEncoder:
    """Return the encoder of an export with the scale of the adapter's folder, or else of the export's folder."""
    beside, problem = _scale_in(source.adapter, source.model_id)
    if beside is None and problem is None:
        scale, problem = _scale_in(folder, source.model_id)
        return LoadedEncoder(encoder, "onnx", scale=scale, scale_problem=problem)
    if carry and beside is not None and _scale_in(folder, source.model_id)[0] != beside:
        # The copy matters only to those who have the export without the adapter.
        with suppress(OSError):
            write_scale(folder, beside)
    return LoadedEncoder(encoder, "onnx", scale=beside, scale_problem=problem)


def _scale_in(folder: Path | None, model_id: str) -> tuple[Scale | None, str | None]:
    try:
        return (None, None) if folder is None else (read_scale(folder, model_id), None)
    except InvalidScale as invalid:
        return None, str(invalid)


def _export_in_child(source: ModelSource, cache_dir: Path) -> None:
    # In a separate process: torch would occupy half a gigabyte of this one for as long as the service runs, importing
    # it would block all other threads for seconds, and tracing prints to the terminal.
    adapter = () if source.adapter is None else (source.adapter,)
    command = [sys.executable, "-P", "-m", "embeddings.export", source.model_id, source.folder, cache_dir, *adapter]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except OSError as error:
        raise ExportFailed(
            f"The process for the export could not be started: {error}", model_id=source.model_id
        ) from error
    if done.returncode != 0:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        # With exit code 1 the last line is the reason; any other code is a crash or a kill.
        reason = (
            last_line
            if done.returncode == 1
            else f"The export of {source.model_id} ended with exit code {done.returncode}."
        )
        raise ExportFailed(reason, model_id=source.model_id)


def _hashing(adapter: Path | None) -> HashingEncoder:
    if adapter is not None:
        raise EmbeddingError("The hashing encoder has no weights, so it takes no adapter.")
    return HashingEncoder()
