"""skillrank train-adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from embeddings import DEFAULT_MODEL
from embeddings.scale import BEYOND, Scale
from embeddings.training import Recipe, TrainingRecord, train_adapter
from service.cli.context import CONSOLE, ERRORS, AsJson, DataDir, opened, print_json, saying_errors, settings_for
from service.evaluation.adapting import training_documents
from service.evaluation.judgements import read_judgements

_RECIPE: Final = Recipe()


def train(
    out: Annotated[Path, typer.Argument(help="The folder that gets the adapter.")],
    queries: Annotated[
        Path | None,
        typer.Option("--queries", help='Lines of {"query": …, "expected": [names]}; without: the documents alone.'),
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

    Ended half-way, the same command goes on where it was. What is held out then shows how to read the new model's
    cosines. With the result, index anew: --model BASE+FOLDER.
    """
    # SciPy takes a second to import, which no other command should wait for.
    from service.evaluation.held_out import held_out_queries, keep_scale  # noqa: PLC0415

    recipe = Recipe(epochs=epochs, held_out=held_out, seed=seed)
    out = out.expanduser()
    with saying_errors():
        with opened(settings_for(data_dir)) as (store, _):
            judged = read_judgements(queries) if queries is not None else None
            documents, unknown = training_documents(store, judged)
        if unknown:
            ERRORS.print(f"{unknown} queries name no skill that is indexed and are left out", style="yellow")
        files = {} if queries is None else {"queries": hashlib.sha256(queries.read_bytes()).hexdigest()}
        with _bar() as show:
            record = train_adapter(
                documents,
                out,
                model=base,
                recipe=recipe,
                files_sha256=files,
                on_progress=lambda now: show(f"loss {now.loss:.3f}", now.done, now.steps),
            )
        model = f"{base}+{out.resolve()}"
        measured = held_out_queries(documents, judged, recipe)
        settings = settings_for(data_dir, model=model)
        with opened(settings) as (store, _), _bar() as show:
            scale = keep_scale(out, measured, store, settings, words=judged is not None, on_progress=show)
        if as_json:
            print_json({**msgspec.to_builtins(record), "scale": scale})
        else:
            _print(record)
            _print_scale(scale, len(measured), "queries" if judged is not None else "parts of the documents")
            _print_use(model)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int | None], None]]:
    with Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
        disable=not ERRORS.is_terminal,
    ) as bar:
        task = bar.add_task("reading the documents", total=None)
        yield lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total)


def _print(record: TrainingRecord) -> None:
    CONSOLE.print(
        f"learnt from {record.queries} queries about {record.texts} texts in {record.seconds / 60:.1f} min; "
        f"{record.held_out_documents} documents were held out",
        highlight=False,
    )
    for point in record.curve:
        loss = "" if point.loss is None else f"  loss {point.loss:.3f}"
        found = point.found
        measured = "" if found is None else f"  Hit@1 {found.hit_at_1:.3f}  nDCG@10 {found.ndcg_at_10:.3f}"
        CONSOLE.print(f"  epoch {point.epoch}{measured}{loss}", highlight=False)


def _print_scale(scale: Scale | None, queries: int, kind: str) -> None:
    from service.evaluation.calibration import (  # noqa: PLC0415
        FEWEST_QUERIES,
        FIRST,
        RIGHT_AT_HIGH,
        RIGHT_AT_MEDIUM,
        TOLD_NOTHING_FITS,
    )

    if scale is None:
        CONSOLE.print(
            f"no scale: {queries} {kind} were held out and it takes {FEWEST_QUERIES}, so confidence stays medium; "
            "give more queries, or a greater --held-out",
            highlight=False,
            soft_wrap=True,
        )
        return
    lines = [
        f"how its cosines read, by {scale.queries} {kind} that were held out:",
        f"  below {scale.low:.2f} nothing fits: at most {TOLD_NOTHING_FITS:.0%} of these {kind} would be told so",
        *(
            f"  {name} from {level:.2f}: the right skill is among the first {FIRST} in at least {share:.0%}"
            if level < BEYOND
            else f"  never {name}: too few of these {kind} have the right skill among the first {FIRST} in {share:.0%}"
            for name, level, share in (("medium", scale.medium, RIGHT_AT_MEDIUM), ("high", scale.high, RIGHT_AT_HIGH))
        ),
        f"  words weigh {scale.lexical_weight:g} beside meaning, whose spread is {scale.spread:.3f}",
    ]
    for line in lines:
        CONSOLE.print(line, highlight=False, soft_wrap=True)


def _print_use(model: str) -> None:
    CONSOLE.print(
        f"use it: skillrank index --model {model}   (and SKILLRANK_MODEL={model} for what serves)",
        markup=False,
        soft_wrap=True,
    )
