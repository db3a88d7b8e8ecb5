"""From a model's name to a running encoder, in the fastest runtime that gives its vectors."""

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
    """An encoder, and how it runs.

    Attributes
    ----------
    encoder : Encoder
    runtime : {'onnx', 'sentence-transformers', 'hashing'}
    degraded : str or None
        Why a slower runtime than ONNX had to be taken, in words; None when nothing is amiss.
    scale : Scale or None
        How the model's cosines read, where that was measured and lies beside it.
    scale_problem : str or None
        Why a scale that lies there is not used, in words.
    """

    encoder: Encoder
    runtime: Literal["onnx", "sentence-transformers", "hashing"]
    degraded: str | None = None
    scale: Scale | None = None
    scale_problem: str | None = None


def identify(model: str, *, adapter: Path | None = None) -> str:
    """Return the ``model_id`` that `load_encoder` would give, without loading the model.

    Parameters
    ----------
    model : str
        ``hashing``, or what `resolve_source` takes.
    adapter : Path, optional
        The folder of a peft adapter for the model.

    Raises
    ------
    ModelNotFound
        When nothing usable stands behind the name.
    """
    if model == HASHING_MODEL:
        return _hashing(adapter).model_id
    return resolve_source(model, adapter=adapter).model_id


def load_encoder(
    model: str, cache_dir: Path, *, adapter: Path | None = None, allow_export: bool = True
) -> LoadedEncoder:
    """Load a model in the fastest runtime that gives its vectors.

    An export in ``cache_dir`` is used when it is whole; otherwise one is made, in a child process, which takes
    seconds and happens once for each ``model_id``. Torch is imported for neither. When no export can be had, the
    model runs in sentence-transformers and `LoadedEncoder.degraded` says why. An adapter's scale is copied into the
    export, for whoever has only that.

    Parameters
    ----------
    model : str
        ``hashing`` (no model: for tests), or what `resolve_source` takes.
    cache_dir : Path
        The folder of exports.
    adapter : Path, optional
        The folder of a peft adapter for the model.
    allow_export : bool
        Off: nothing is written.

    Raises
    ------
    ModelNotFound
        When nothing usable stands behind the name.
    ModelUnusable
        When its files cannot be loaded in any runtime.
    """
    if model == HASHING_MODEL:
        return LoadedEncoder(_hashing(adapter), "hashing")
    source = resolve_source(model, adapter=adapter)
    # Each runtime's import takes from a tenth of a second to several seconds: only what runs is imported.
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
    """Load exactly this model, whatever model is asked for now; None when it has no whole export.

    It answers for an index that another model made, while the index of the present one is being built.

    Parameters
    ----------
    model_id : str
        As an encoder's `Encoder.model_id`.
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
    """Return what runs an export, with the scale that lies beside the adapter, or else with the export."""
    beside, problem = _scale_in(source.adapter, source.model_id)
    if beside is None and problem is None:
        scale, problem = _scale_in(folder, source.model_id)
        return LoadedEncoder(encoder, "onnx", scale=scale, scale_problem=problem)
    if carry and beside is not None and _scale_in(folder, source.model_id)[0] != beside:
        # Nothing is amiss here without the copy; whoever has only the export says what it lacks.
        with suppress(OSError):
            write_scale(folder, beside)
    return LoadedEncoder(encoder, "onnx", scale=beside, scale_problem=problem)


def _scale_in(folder: Path | None, model_id: str) -> tuple[Scale | None, str | None]:
    try:
        return (None, None) if folder is None else (read_scale(folder, model_id), None)
    except InvalidScale as invalid:
        return None, str(invalid)


def _export_in_child(source: ModelSource, cache_dir: Path) -> None:
    # In a process of its own: torch would stay in this one, with its half a gigabyte, for as long as the service
    # lives; its import would hold up every other thread for seconds; and tracing prints what it likes.
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
        raise ExportFailed(f"No process could be started for the export: {error}", model_id=source.model_id) from error
    if done.returncode != 0:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        # Code 1 comes with the reason; any other is a crash or a kill, of which the last line knows nothing.
        reason = last_line if done.returncode == 1 else f"The export of {source.model_id} ended with {done.returncode}."
        raise ExportFailed(reason, model_id=source.model_id)


def _hashing(adapter: Path | None) -> HashingEncoder:
    if adapter is not None:
        raise EmbeddingError("The hashing encoder has no weights that an adapter could change.")
    return HashingEncoder()
