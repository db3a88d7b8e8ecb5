"""skillrank train-adapter."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from embeddings import DEFAULT_MODEL
from embeddings.training import Recipe, TrainingDocument, TrainingProgress, TrainingRecord, train_adapter
from service.adapting import training_documents
from service.cli.context import CONSOLE, ERRORS, AsJson, DataDir, opened, print_json, saying_errors, settings_for
from service.judgements import read_judgements

_RECIPE: Final = Recipe()


def train(
    out: Annotated[Path, typer.Argument(help="The folder that gets the adapter.")],
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions", help='Lines of {"question": …, "expected": [names]}; without: the documents alone.'
        ),
    ] = None,
    base: Annotated[str, typer.Option("--base", help="The model that is adapted.")] = DEFAULT_MODEL,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=50)] = _RECIPE.epochs,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0, max=0.5, help="The share of documents that only measure.")
    ] = _RECIPE.held_out,
    seed: Annotated[int, typer.Option("--seed", min=0)] = _RECIPE.seed,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Teach the model your library: train an adapter on what is indexed, on two cores in about an hour.

    Ended half-way, the same command goes on where it was. With the result, index anew: --model BASE+FOLDER.
    """
    recipe = Recipe(epochs=epochs, held_out=held_out, seed=seed)
    with saying_errors():
        with opened(settings_for(data_dir)) as (store, _):
            judged = read_judgements(questions) if questions is not None else None
            documents, unknown = training_documents(store, judged)
        if unknown:
            ERRORS.print(f"{unknown} questions name no skill that is indexed and are left out", style="yellow")
        files = {} if questions is None else {"questions": hashlib.sha256(questions.read_bytes()).hexdigest()}
        record = _train_with_progress(documents, out.expanduser(), base, recipe, files)
        if as_json:
            print_json(record)
        else:
            _print(record, f"{base}+{out.expanduser().resolve()}")


def _train_with_progress(
    documents: list[TrainingDocument], out: Path, base: str, recipe: Recipe, files: dict[str, str]
) -> TrainingRecord:
    bar = Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
        disable=not ERRORS.is_terminal,
    )
    with bar:
        task = bar.add_task("reading the documents", total=None)

        def show(progress: TrainingProgress) -> None:
            bar.update(task, description=f"loss {progress.loss:.3f}", completed=progress.done, total=progress.steps)

        return train_adapter(documents, out, model=base, recipe=recipe, files_sha256=files, on_progress=show)


def _print(record: TrainingRecord, model: str) -> None:
    CONSOLE.print(
        f"learnt from {record.questions} questions about {record.texts} texts in {record.seconds / 60:.1f} min; "
        f"{record.held_out_documents} documents were held out",
        highlight=False,
    )
    for point in record.curve:
        loss = "" if point.loss is None else f"  loss {point.loss:.3f}"
        found = point.found
        measured = "" if found is None else f"  Hit@1 {found.hit_at_1:.3f}  nDCG@10 {found.ndcg_at_10:.3f}"
        CONSOLE.print(f"  epoch {point.epoch}{measured}{loss}", highlight=False)
    CONSOLE.print(
        f"use it: skillrank index --model {model}   (and SKILLRANK_MODEL={model} for what serves)",
        markup=False,
        soft_wrap=True,
    )
