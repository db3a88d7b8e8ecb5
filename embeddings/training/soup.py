"""One adapter out of several: the mean of what they change (Wortsman et al., "Model soups", 2022).

python -m embeddings.training.soup OUT ADAPTER ADAPTER…

Trainings on other queries make other mistakes, and their mean makes fewer than each. Low-rank changes are averaged
exactly by putting them side by side, so the ranks add up; merged at export, the model is as fast as any.
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
    """Write the mean of some adapters of one model.

    Parameters
    ----------
    parts : sequence of Path
        Folders that `train_adapter` wrote, at least two, of one base model and with the same layers adapted.
    out : Path
        A folder, made when missing, that gets ``adapter_model.safetensors`` (float16; its rank is the sum of theirs),
        ``adapter_config.json`` and ``soup.json``, which tells the parts' digests and training records.

    Raises
    ------
    TrainingFailed
        When there are too few, one cannot be read, or they do not fit together.
    """
    if len(parts) < _FEWEST:
        raise TrainingFailed(f"a mean takes {_FEWEST} adapters or more; {len(parts)} given")
    try:
        configs = [msgspec.json.decode((part / _CONFIG).read_bytes(), type=dict[str, Any]) for part in parts]
        weights = [load_file(part / WEIGHTS_FILE) for part in parts]
        told = [_told(part) for part in parts]
    # A damaged file of weights raises what its library likes.
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
    # What an adapter adds is (alpha / rank) · B · A; alpha / rank is the same for all.
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
        raise TrainingFailed("the adapters differ in their base model, their layers, or their alpha for each rank")
    if any(each.keys() != weights[0].keys() for each in weights):
        raise TrainingFailed("the adapters do not change the same layers")


def main() -> None:
    """Average the adapters that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("adapters", type=Path, nargs="+")
    arguments = parser.parse_args()
    average_adapters(arguments.adapters, arguments.out)


if __name__ == "__main__":
    main()
