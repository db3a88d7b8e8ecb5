"""Runs a training: holds out documents, takes the steps, measures, and resumes a run that was stopped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from embeddings.errors import TrainingFailed
from embeddings.sources import DEFAULT_MODEL, TRAINING_RECORD, ModelSource, resolve_source
from embeddings.training.batches import grouped_order
from embeddings.training.measure import measure
from embeddings.training.recipe import (
    WEIGHTS_FILE,
    CurvePoint,
    Recipe,
    TrainingDocument,
    TrainingProgress,
    TrainingRecord,
)

if TYPE_CHECKING:
    from embeddings.training.lora import AdapterTrainer

_STATE_FILE: Final = "unfinished.pt"
_STEPS_BETWEEN_STATES: Final = 5
_FEWEST_TEXTS: Final = 4
_QUERY_TOKENS: Final = 256
# With fewer documents, the share that is held out is too small to measure anything.
_FEWEST_TO_HOLD_OUT: Final = 20
_OTHERS_MEASURED: Final = 400
# Every text is compared with every other, which takes several times four bytes per pair.
_MOST_TEXTS: Final = 10_000
_LIBRARIES: Final = ("torch", "peft", "sentence-transformers", "transformers")


def train_adapter(
    documents: Sequence[TrainingDocument],
    out: Path,
    *,
    model: str = DEFAULT_MODEL,
    recipe: Recipe = Recipe(),  # noqa: B008  frozen
    files_sha256: Mapping[str, str] | None = None,
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> TrainingRecord:
    """Train an adapter, and measure it after each epoch on the documents that were held out.

    After every epoch `out` holds a usable adapter. The same call resumes a run that was stopped, losing at most five
    steps, and does not repeat a complete one. With other data, another recipe or another model it starts from the
    beginning.

    Parameters
    ----------
    documents : sequence of TrainingDocument
    out : Path
        A folder, created if missing, for ``adapter_model.safetensors`` (float16), ``adapter_config.json`` and
        ``training.json`` (a `TrainingRecord`).
    model : str
        A model as `resolve_source` accepts it, without an adapter.
    recipe : Recipe
    files_sha256 : mapping, optional
        Copied into the record.
    on_progress : callable
        Called after each step, from this thread.

    Raises
    ------
    ModelNotFound
        When `model` leads to no usable model.
    TrainingFailed
        When there are too few or too many documents, or the model or `out` cannot be used.
    """
    source = resolve_source(model)
    if source.adapter is not None:
        raise TrainingFailed(f"{model} has an adapter already; name the model without it")
    return _Training(documents, out, source, recipe, dict(files_sha256 or {}), on_progress).run()


def held_out_ids(ids: set[str], recipe: Recipe) -> set[str]:
    """Return the documents that a training with this recipe holds out; none when there are too few to measure."""
    if len(ids) < _FEWEST_TO_HOLD_OUT:
        return set()
    return {each for each in ids if _share(f"{recipe.seed}:{each}") < recipe.held_out}


class _Training:
    def __init__(
        self,
        documents: Sequence[TrainingDocument],
        out: Path,
        source: ModelSource,
        recipe: Recipe,
        files_sha256: dict[str, str],
        on_progress: Callable[[TrainingProgress], None],
    ) -> None:
        ordered = sorted(documents, key=lambda document: (document.id, document.text))
        held_out = held_out_ids({document.id for document in ordered}, recipe)
        self._learnt = [document for document in ordered if document.id not in held_out]
        self._measured = [document for document in ordered if document.id in held_out]
        self._out = out
        self._source = source
        self._recipe = recipe
        self._on_progress = on_progress
        self._steps_per_epoch = -(-len(self._learnt) // recipe.documents_per_step)
        self._steps = self._steps_per_epoch * recipe.epochs
        self._record = TrainingRecord(
            model_id=source.model_id,
            recipe=recipe,
            data_sha256=hashlib.sha256(msgspec.json.encode(ordered)).hexdigest(),
            files_sha256=files_sha256,
            texts=len(ordered),
            queries=sum(len(document.queries) for document in ordered),
            held_out_documents=len(held_out),
            curve=[],
            losses=[],
            seconds=0.0,
            precision="",
            versions={name: version(name) for name in _LIBRARIES},
            complete=False,
        )

    def run(self) -> TrainingRecord:
        _check_size(len(self._learnt))
        # Importing it takes seconds, and only a training needs it.
        from embeddings.training.lora import AdapterTrainer  # noqa: PLC0415

        try:
            self._out.mkdir(parents=True, exist_ok=True)
            trainer = AdapterTrainer(self._source.folder, self._recipe, self._steps)
            self._record = msgspec.structs.replace(self._record, precision=trainer.precision)
            finished = self._finished()
            if finished is not None:
                return finished
            self._train(trainer)
            (self._out / _STATE_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise TrainingFailed(f"{self._out} cannot be written: {error}") from error
        return self._record

    def _finished(self) -> TrainingRecord | None:
        """Return the record of this training if it is complete, so that it is not repeated."""
        try:
            record = msgspec.json.decode((self._out / TRAINING_RECORD).read_bytes(), type=TrainingRecord)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        whole = record.complete and (self._out / WEIGHTS_FILE).is_file()
        return record if whole and _identity(record) == _identity(self._record) else None

    def _train(self, trainer: AdapterTrainer) -> None:
        recipe = self._recipe
        documents = trainer.document_tokens([each.text for each in self._learnt], most=recipe.document_tokens)
        vectors = trainer.encode(documents)
        ids = np.array([document.id for document in self._learnt])
        duplicate = (vectors @ vectors.T >= recipe.duplicate_cosine) | (ids[:, None] == ids)
        memory = self._take_up(trainer)
        if memory is None:
            memory = _Memory(order=np.arange(len(ids)), asked=vectors.copy(), answering=vectors)
            self._measure(trainer, epoch=0)
        before = self._record.seconds - time.perf_counter()
        for step in range(len(self._record.losses), self._steps):
            epoch, place = divmod(step, self._steps_per_epoch)
            random = np.random.default_rng([recipe.seed, epoch])
            queries = [_draw(document.queries, recipe.queries_per_document, random) for document in self._learnt]
            if place == 0:
                mistaken = memory.asked @ memory.answering.T
                memory.order[:] = grouped_order(mistaken, duplicate, group_size=recipe.group_size, random=random)
            batch = np.array_split(memory.order, self._steps_per_epoch)[place]
            owner = np.repeat(np.arange(len(batch)), [len(queries[row]) for row in batch])
            masked = duplicate[np.ix_(batch, batch)][owner]
            masked[np.arange(len(owner)), owner] = False
            loss, asked, memory.answering[batch] = trainer.step(
                trainer.query_tokens([text for row in batch for text in queries[row]], most=recipe.query_tokens),
                [documents[row] for row in batch],
                owner,
                masked,
            )
            memory.asked[batch] = [asked[owner == row].mean(axis=0) for row in range(len(batch))]
            self._record.losses.append(round(loss, 5))
            if place == self._steps_per_epoch - 1:
                self._measure(trainer, epoch=epoch + 1)
                trainer.save(self._out, self._source.model_id.partition("@")[0])
            self._write_record(seconds=before + time.perf_counter())
            if step % _STEPS_BETWEEN_STATES == 0 or place == self._steps_per_epoch - 1:
                self._put_down(trainer, memory)
            self._on_progress(TrainingProgress(done=step + 1, steps=self._steps, loss=loss))

    def _measure(self, trainer: AdapterTrainer, *, epoch: int) -> None:
        losses = self._record.losses[-self._steps_per_epoch :]
        found = None
        if self._measured:
            # All are encoded again: among vectors that are some steps old, a fresh one would be found too easily.
            among = [*self._measured, *self._learnt[:_OTHERS_MEASURED]]
            asked = [(document.id, text) for document in self._measured for text in document.queries]
            found = measure(
                trainer.encode(trainer.query_tokens([text for _, text in asked], most=_QUERY_TOKENS)),
                trainer.encode(
                    trainer.document_tokens([document.text for document in among], most=self._recipe.document_tokens)
                ),
                np.array([answer for answer, _ in asked]),
                np.array([document.id for document in among]),
            )
        self._record.curve.append(
            CurvePoint(epoch=epoch, loss=round(float(np.mean(losses)), 4) if losses else None, found=found)
        )

    def _write_record(self, *, seconds: float) -> None:
        complete = len(self._record.losses) == self._steps
        self._record = msgspec.structs.replace(self._record, seconds=round(seconds, 1), complete=complete)
        (self._out / TRAINING_RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(self._record), indent=1))

    def _put_down(self, trainer: AdapterTrainer, memory: _Memory) -> None:
        """Write the state that is needed to resume, completely or not at all."""
        draft = self._out / f"{_STATE_FILE}.draft"
        trainer.write_state(draft, msgspec.json.encode(self._record).decode(), memory._asdict())
        draft.replace(self._out / _STATE_FILE)

    def _take_up(self, trainer: AdapterTrainer) -> _Memory | None:
        """Resume an earlier run of the same training, if one was stopped."""
        from embeddings.training.lora import read_note  # noqa: PLC0415

        file = self._out / _STATE_FILE
        if not file.is_file():
            return None
        try:
            note, arrays = read_note(file)
            record = msgspec.json.decode(note, type=TrainingRecord)
            if _identity(record) != _identity(self._record):
                return None
            trainer.read_state(file)
            memory = _Memory(**arrays)
        # A damaged file may raise anything.
        except Exception as error:
            raise TrainingFailed(f"{file} is damaged ({error}); remove it to start again") from error
        self._record = record
        return memory


class _Memory(NamedTuple):
    """What one epoch passes on to the next for each text: its place in the order, and its latest vectors."""

    order: NDArray[np.intp]
    asked: NDArray[np.float32]
    answering: NDArray[np.float32]


def _identity(record: TrainingRecord) -> tuple[str, Recipe, str, str]:
    return record.model_id, record.recipe, record.data_sha256, record.precision


def _share(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def _draw(queries: Sequence[str], most: int, random: np.random.Generator) -> list[str]:
    if len(queries) <= most:
        return list(queries)
    return [queries[place] for place in sorted(random.choice(len(queries), most, replace=False))]


def _check_size(texts: int) -> None:
    if texts < _FEWEST_TEXTS:
        raise TrainingFailed(f"training takes at least {_FEWEST_TEXTS} documents with queries; {texts} given")
    if texts > _MOST_TEXTS:
        raise TrainingFailed(f"training takes at most {_MOST_TEXTS:,} texts; {texts:,} given")
