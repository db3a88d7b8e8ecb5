"""The part of training that runs the model: a peft adapter in a sentence-transformers model, and one training step.

Apart from `embeddings.transformer`, the only module that imports torch and its family.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from embeddings.errors import TrainingFailed
from embeddings.training.recipe import WEIGHTS_FILE, Recipe
from embeddings.transformer import quiet

# Every linear layer of a BERT: the three projections of attention, its output and the feed-forward network.
_TARGETS: Final = ["query", "key", "value", "dense"]
_STORED: Final = ("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias", "target_modules")
# Few enough for the activations of a layer to stay in the cache, which is a quarter faster than a whole batch at once.
_TOKENS_PER_CHUNK: Final = 3072
_MULTIPLE: Final = 32
_MASKED: Final = -1e4
_MOST_GRADIENT: Final = 1.0
# Parameters of glibc's mallopt.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4


class AdapterTrainer:
    """A model with a LoRA adapter that learns which text answers a query.

    Parameters
    ----------
    folder : Path
        A sentence-transformers model of the BERT family; modules after the transformer are not changed.
    recipe : Recipe
    steps : int
        The total number of steps, on which the learning rate schedule depends.

    Raises
    ------
    TrainingFailed
        When the model cannot be loaded or has no layers that can be adapted.
    """

    def __init__(self, folder: Path, recipe: Recipe, steps: int) -> None:
        _keep_freed_memory()
        torch.manual_seed(recipe.seed)
        self._recipe = recipe
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._bfloat16 = self._device == "cuda" or _cpu_has_bfloat16()
        # Without dropout a text has the same vector in both passes of a step.
        self._config = LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, target_modules=_TARGETS, bias="none"
        )
        try:
            with quiet():
                self._model = SentenceTransformer(str(folder), device=self._device, local_files_only=True).float()
            self._model.add_adapter(self._config)
        # The files may hold anything, and the libraries that read them share no base error.
        except Exception as error:
            raise TrainingFailed(f"the model in {folder} cannot be adapted: {error}") from error
        self._model.eval()
        self._transformer: Any = self._model[0].model
        self._learnt = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(self._learnt, lr=recipe.learning_rate, weight_decay=0.01)
        warm_up = max(1.0, steps / 12)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warm_up, max(0.01, 1 - step / steps))
        )

    @property
    def precision(self) -> str:
        """The number type of most computations."""
        return "bfloat16" if self._bfloat16 else "float32"

    def query_tokens(self, queries: Sequence[str], *, most: int) -> list[list[int]]:
        """Return the tokens of each query, at most `most`."""
        return self._tokens(queries, most, "query")

    def document_tokens(self, texts: Sequence[str], *, most: int) -> list[list[int]]:
        """Return the tokens of each document's text, at most `most`."""
        return self._tokens(texts, most, "document", "passage", "corpus")

    def encode(self, tokens: Sequence[list[int]]) -> NDArray[np.float32]:
        """Return unit vectors with the adapter in its current state, float32 (texts, dimension)."""
        return np.asarray(self._vectors(tokens).cpu().numpy(), np.float32)

    def step(
        self,
        queries: Sequence[list[int]],
        documents: Sequence[list[int]],
        owner: NDArray[np.intp],
        masked: NDArray[np.bool_],
    ) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """Learn from one batch.

        Parameters
        ----------
        queries, documents : sequences of tokens
        owner : intp (queries,)
            The index, in `documents`, of the document that answers the query.
        masked : bool (queries, documents)
            Pairs to ignore: other documents that may answer the query as well.

        Returns
        -------
        loss : float
        query_vectors : float32 (queries, dimension)
        document_vectors : float32 (documents, dimension)
            Both computed before the step.
        """
        # First the gradient of the vectors, then that of the model, chunk by chunk, so that a batch may exceed the
        # memory (Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021).
        asked, held = self._vectors(queries).requires_grad_(), self._vectors(documents).requires_grad_()
        loss = _contrast(
            asked @ held.T / self._recipe.temperature,
            torch.from_numpy(owner).to(self._device),
            torch.from_numpy(masked).to(self._device),
            self._recipe.backward_weight,
        )
        gradients = torch.autograd.grad(loss, (asked, held))
        for tokens, gradient in zip((queries, documents), gradients, strict=True):
            for rows in _chunks(tokens):
                torch.autograd.backward(self._forward([tokens[row] for row in rows]), gradient[rows])
        torch.nn.utils.clip_grad_norm_(self._learnt, _MOST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._schedule.step()
        return float(loss.item()), asked.detach().cpu().numpy(), held.detach().cpu().numpy()

    def save(self, folder: Path, base: str) -> None:
        """Write ``adapter_model.safetensors`` (float16) and ``adapter_config.json``, as peft reads them."""
        state = {name: weights.half().cpu().contiguous() for name, weights in self._adapter().items()}
        save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        told: dict[str, Any] = self._config.to_dict()  # type: ignore[no-untyped-call]
        config = {name: told[name] for name in _STORED} | {"base_model_name_or_path": base, "inference_mode": True}
        (folder / "adapter_config.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(config, order="deterministic"), indent=2)
        )

    def write_state(self, file: Path, note: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write everything that is needed to resume, with the caller's own state in `note` and `arrays`."""
        state = {
            "adapter": self._adapter(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "note": note,
            "arrays": {name: torch.from_numpy(array) for name, array in arrays.items()},
        }
        torch.save(state, file)

    def read_state(self, file: Path) -> None:
        """Resume from a state that `write_state` wrote."""
        state = _read(file)
        set_peft_model_state_dict(self._transformer, state["adapter"], adapter_name="default")
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def _adapter(self) -> dict[str, torch.Tensor]:
        return {
            name if name.startswith("base_model.") else f"base_model.model.{name}": weights.detach()
            for name, weights in get_peft_model_state_dict(self._transformer, adapter_name="default").items()
        }

    @torch.no_grad()
    def _vectors(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        vectors = torch.empty(len(tokens), int(self._transformer.config.hidden_size), device=self._device)
        for rows in _chunks(tokens):
            vectors[rows] = self._forward([tokens[row] for row in rows])
        return vectors

    def _forward(self, tokens: list[list[int]]) -> torch.Tensor:
        first, *rest = self._model
        features = self._model.tokenizer.pad(
            {"input_ids": tokens}, return_tensors="pt", pad_to_multiple_of=_MULTIPLE
        ).to(self._device)
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._bfloat16):
            features = first(dict(features))
        features["token_embeddings"] = features["token_embeddings"].float()
        for module in rest:
            features = module(features)
        return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    def _tokens(self, texts: Sequence[str], most: int, *prompts: str) -> list[list[int]]:
        prompt = next((found for name in prompts if (found := self._model.prompts.get(name))), "")
        read = self._model.tokenizer([prompt + text for text in texts], truncation=True, max_length=most)
        return list(read["input_ids"])


def read_note(file: Path) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the caller's part of a state that `AdapterTrainer.write_state` wrote."""
    state = _read(file)
    return state["note"], {name: array.numpy() for name, array in state["arrays"].items()}


def _read(file: Path) -> dict[str, Any]:
    # Only tensors and plain values are loaded: the file may come from anybody.
    return dict(torch.load(file, weights_only=True, map_location="cpu"))


def _contrast(scores: torch.Tensor, owner: torch.Tensor, masked: torch.Tensor, backward_weight: float) -> torch.Tensor:
    scores = scores.masked_fill(masked, _MASKED)
    forward = torch.nn.functional.cross_entropy(scores, owner)
    # Each text against the queries of others: its own other queries are not negatives.
    own = owner[:, None] == torch.arange(scores.shape[1], device=owner.device)
    others = torch.logsumexp(scores.masked_fill(own, _MASKED), 0)[owner]
    right = scores.gather(1, owner[:, None])[:, 0]
    return forward + backward_weight * (torch.logaddexp(right, others) - right).mean()


def _chunks(tokens: Sequence[list[int]]) -> Iterator[list[int]]:
    """Yield the row numbers of texts of similar length, which need little padding."""
    order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
    start = 0
    while start < len(order):
        longest = -(-len(tokens[order[start]]) // _MULTIPLE) * _MULTIPLE
        size = max(1, _TOKENS_PER_CHUNK // longest)
        yield order[start : start + size]
        start += size


def _cpu_has_bfloat16() -> bool:
    # On other CPUs it is emulated, which is slower than float32.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory: returning it and requesting it again costs a third of the training time."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError, TypeError):
        return  # another C library
