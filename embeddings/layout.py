"""What an export folder holds, and how to tell that it is whole.

Knows no runtime: the exporter writes what the ONNX encoder reads.
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

# Another layout, or another graph for the same model, gets another number: older folders are then made anew.
LAYOUT: Final = 2


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What ``meta.json`` says about an export.

    Attributes
    ----------
    layout : int
        The number of the layout.
    model_id : str
    dimension : int
    max_tokens : int
        Tokens read of each text, special tokens included.
    query_prompt, document_prompt : str
        Put before every text of that kind.
    versions : dict of str to str
        The libraries that made it.
    digests : dict of str to str
        SHA-256 of every other file of the folder.
    cosine : float or None
        The lowest cosine between the export's vectors and sentence-transformers' when it was made; None before
        they were compared.
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
    """Return where a model's export lies, made or not."""
    return cache_dir / re.sub(r"[^\w.@+-]+", "--", model_id, flags=re.ASCII)


def digest_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files of a folder, by file name."""
    digests = {}
    for name in names:
        with (folder / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def read_manifest(folder: Path) -> Manifest:
    """Read what an export folder holds, and check that it is all there and undamaged.

    Raises
    ------
    InvalidExport
        When a file is missing, unreadable or not the one that was exported, or the layout is another.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
        digests = digest_files(folder, manifest.digests)
    except FileNotFoundError as error:
        raise InvalidExport(f"{folder} is no export: {Path(error.filename).name} is missing.", folder=folder) from error
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidExport(f"{folder} cannot be read: {error}", folder=folder) from error
    if manifest.layout != LAYOUT:
        raise InvalidExport(f"{folder} has layout {manifest.layout}, not {LAYOUT}.", folder=folder)
    if export_folder(manifest.model_id, folder.parent) != folder:
        raise InvalidExport(f"{folder} is the export of another model, {manifest.model_id}.", folder=folder)
    if manifest.digests != digests:
        raise InvalidExport(f"{folder} is damaged: its files are not the ones that were exported.", folder=folder)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``meta.json``."""
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
