"""Averages several adapters into one (Wortsman et al., "Model soups", 2022).

python -m embeddings.training.soup OUT ADAPTER ADAPTER…

Adapters trained on different queries make different mistakes, and their mean makes fewer than each of them. Low-rank
updates are averaged exactly by concatenating them, so the ranks add up. The adapter is merged at export, so the model
is no slower.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from embeddings.errors import TrainingFailed
from embeddings.sources import SOUP_RECORD, TRAINING_RECORD
from embeddings.training.recipe import WEIGHTS_FILE

_CONFIG: Final = "adapter_config.json"
_FEWEST: Final = 2


def average_adapters(parts: Sequence[Path], out: Path) -> None:
    """Write the mean of several adapters of one model.

    Parameters
    ----------
    parts : sequence of Path
        At least two folders that `train_adapter` wrote, with the same base model and the same adapted layers.
    out : Path
        A folder, created if missing, for ``adapter_model.safetensors`` (float16; its rank is the sum of theirs),
        ``adapter_config.json`` and ``soup.json``, which holds the digests and training records of the parts.

    Raises
    ------
    TrainingFailed
        When there are too few, one cannot be read, or they do not match.
    """
    if len(parts) < _FEWEST:
        raise TrainingFailed(f"averaging takes at least {_FEWEST} adapters; {len(parts)} given")
    try:
        configs = [msgspec.json.decode((part / _CONFIG).read_bytes(), type=dict[str, Any]) for part in parts]
        weights = [load_file(part / WEIGHTS_FILE) for part in parts]
        told = [_told(part) for part in parts]
    # Which error damaged weights raise is up to the library.
    except Exception as error:
        raise TrainingFailed(f"an adapter cannot be read: {error}") from error
    _require_alike(configs, weights)
    rank, alpha = sum(config["r"] for config in configs), sum(config["lora_alpha"] for config in configs)
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: _mean(name, weights) for name in weights[0]}, out / WEIGHTS_FILE, metadata={"format": "pt"})
    config = configs[0] | {"r": rank, "lora_alpha": alpha}
    (out / _CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config, order="deterministic"), indent=2))
    (out / SOUP_RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))


def _mean(name: str, weights: Sequence[dict[str, NDArray[np.float16]]]) -> NDArray[np.float16]:
    # An adapter adds (alpha / rank) · B · A, where alpha / rank is the same for all.
    if "lora_A" in name:
        return np.concatenate([each[name] for each in weights], axis=0)
    halved = [each[name].astype(np.float32) / len(weights) for each in weights]
    return np.concatenate(halved, axis=1).astype(np.float16)


def _told(part: Path) -> dict[str, Any]:
    record = part / TRAINING_RECORD
    return {
        "sha256": hashlib.sha256((part / WEIGHTS_FILE).read_bytes()).hexdigest(),
        "training": msgspec.json.decode(record.read_bytes()) if record.is_file() else None,
    }


def _require_alike(configs: Sequence[dict[str, Any]], weights: Sequence[dict[str, NDArray[np.float16]]]) -> None:
    def form(config: dict[str, Any]) -> tuple[Any, ...]:
        return config["base_model_name_or_path"], sorted(config["target_modules"]), config["lora_alpha"] / config["r"]

    if any(form(config) != form(configs[0]) for config in configs):
        raise TrainingFailed("the adapters differ in their base model, layers or ratio of alpha to rank")
    if any(each.keys() != weights[0].keys() for each in weights):
        raise TrainingFailed("the adapters do not change the same layers")


def main() -> None:
    """Average the adapters given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("adapters", type=Path, nargs="+")
    arguments = parser.parse_args()
    average_adapters(arguments.adapters, arguments.out)


if __name__ == "__main__":
    main()
