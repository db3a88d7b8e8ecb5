"""The files of an export folder, and how to check that it is complete.

Independent of any runtime: the exporter writes these files and the ONNX encoder reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from embeddings.errors import InvalidExport

GRAPH_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
MANIFEST_FILE: Final = "meta.json"

# Increase it when the layout or the graph of a model changes: older exports are then made again.
LAYOUT: Final = 2


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``meta.json``, which describes an export.

    Attributes
    ----------
    layout : int
        See `LAYOUT`.
    model_id : str
    dimension : int
    max_tokens : int
        How many tokens of a text are read, special tokens included.
    query_prompt, document_prompt : str
        Prepended to every text of that kind.
    versions : dict of str to str
        Versions of the libraries that made it.
    digests : dict of str to str
        SHA-256 of every other file in the folder.
    cosine : float or None
        The lowest cosine between vectors of the export and of sentence-transformers, measured when it was made; None
        before they were compared.
    """

    layout: int
    model_id: str
    dimension: int
    max_tokens: int
    query_prompt: str
    document_prompt: str
    versions: dict[str, str]
    digests: dict[str, str]
    cosine: float | None = None


def export_folder(model_id: str, cache_dir: Path) -> Path:
    """Return the folder of a model's export, whether or not it exists."""
    return cache_dir / re.sub(r"[^\w.@+-]+", "--", model_id, flags=re.ASCII)


def digest_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files in a folder, by file name."""
    digests = {}
    for name in names:
        with (folder / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def read_manifest(folder: Path) -> Manifest:
    """Read an export's manifest and check that the export is complete and undamaged.

    Raises
    ------
    InvalidExport
        When a file is missing, unreadable or changed, or the layout is a different one.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
        digests = digest_files(folder, manifest.digests)
    except FileNotFoundError as error:
        raise InvalidExport(
            f"{folder} is not an export: {Path(error.filename).name} is missing.", folder=folder
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidExport(f"{folder} cannot be read: {error}", folder=folder) from error
    if manifest.layout != LAYOUT:
        raise InvalidExport(f"{folder} has layout {manifest.layout}, not {LAYOUT}.", folder=folder)
    if export_folder(manifest.model_id, folder.parent) != folder:
        raise InvalidExport(f"{folder} is the export of another model, {manifest.model_id}.", folder=folder)
    if manifest.digests != digests:
        raise InvalidExport(f"{folder} is damaged: its files have changed since the export.", folder=folder)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``meta.json``."""
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
