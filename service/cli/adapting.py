"""skillrank train-adapter."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from embeddings import DEFAULT_MODEL
from embeddings.scale import BEYOND, Scale
from embeddings.training import Recipe, TrainingRecord, train_adapter
from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import note, print_json, progress, say, styled
from service.evaluation.adapting import training_documents
from service.evaluation.judgements import read_judgements
from service.text import counted
from store.location import expanded

_RECIPE: Final = Recipe()


def train(
    out: Annotated[Path, typer.Argument(help="The folder to write the adapter to.")],
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            help='A file with lines of {"query": …, "expected": [names]}; default: learn from the documents alone.',
        ),
    ] = None,
    base: Annotated[str, typer.Option("--base", help="The model to adapt.")] = DEFAULT_MODEL,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, max=50, help="How often to pass over the data.")
    ] = _RECIPE.epochs,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", min=0, max=0.5, help="The share of documents to keep out of training, for measuring."
        ),
    ] = _RECIPE.held_out,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the random choices.")] = _RECIPE.seed,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Adapt the embedding model to your library.

    Trains an adapter on the indexed documents, which takes about an hour on two cores. If it is interrupted, run
    the same command again to continue. The documents that are held out calibrate the confidence of the new model.
    Afterwards index with the result: --model BASE+FOLDER.
    """
    # SciPy takes a second to import, which no other command should wait for.
    from service.evaluation.held_out import held_out_queries, keep_scale  # noqa: PLC0415

    recipe = Recipe(epochs=epochs, held_out=held_out, seed=seed)
    with saying_errors():
        out = expanded(out)
        queries = None if queries is None else expanded(queries)
        with opened(settings_for(data_dir)) as (store, _):
            judged = read_judgements(queries) if queries is not None else None
            documents, unknown = training_documents(store, judged)
        if unknown:
            left_out = counted(unknown, "query was", "queries were")
            note(styled("note:", "yellow"), f" {left_out} left out: no skill that is expected is indexed")
        files = {} if queries is None else {"queries": hashlib.sha256(queries.read_bytes()).hexdigest()}
        with progress() as show:
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
        with opened(settings) as (store, _), progress() as show:
            scale = keep_scale(out, measured, store, settings, words=judged is not None, on_progress=show)
        if as_json:
            print_json({**msgspec.to_builtins(record), "scale": scale})
        else:
            _print(record)
            _print_scale(scale, len(measured), "queries" if judged is not None else "parts of the documents")
            _print_use(model)


def _print(record: TrainingRecord) -> None:
    say(
        f"trained with {counted(record.queries, 'query', 'queries')} about {counted(record.texts, 'text')} in "
        f"{record.seconds / 60:.1f} min; {counted(record.held_out_documents, 'document')} held out"
    )
    for point in record.curve:
        loss = "" if point.loss is None else f"  loss {point.loss:.3f}"
        found = point.found
        measured = "" if found is None else f"  Hit@1 {found.hit_at_1:.3f}  nDCG@10 {found.ndcg_at_10:.3f}"
        say(f"epoch {point.epoch}{measured}{loss}", indent=2)


def _print_scale(scale: Scale | None, queries: int, kind: str) -> None:
    from service.evaluation.calibration import (  # noqa: PLC0415
        FEWEST_QUERIES,
        FIRST,
        RIGHT_AT_HIGH,
        RIGHT_AT_MEDIUM,
        TOLD_NOTHING_FITS,
    )

    if scale is None:
        say(
            f"confidence is not calibrated and stays medium: {queries:,} {kind} were held out, at least "
            f"{FEWEST_QUERIES:,} are needed; give more queries or a larger --held-out"
        )
        return
    say(f"calibration of confidence with {scale.queries:,} {kind} that were held out:")
    say(
        f"below a similarity of {scale.low:.2f} no skill fits: this would be wrong for at most {TOLD_NOTHING_FITS:.0%} "
        f"of these {kind}",
        indent=2,
    )
    for name, level, share in (("medium", scale.medium, RIGHT_AT_MEDIUM), ("high", scale.high, RIGHT_AT_HIGH)):
        say(
            f"{name} from {level:.2f}: the right skill is among the first {FIRST} for at least {share:.0%}"
            if level < BEYOND
            else f"never {name}: no similarity has the right skill among the first {FIRST} for {share:.0%}",
            indent=2,
        )
    say(
        f"words weigh {scale.lexical_weight:g} relative to meaning; similarities have a spread of {scale.spread:.3f}",
        indent=2,
    )


def _print_use(model: str) -> None:
    say(f"next: skillrank index --model {model}", wrap=False)
    say(f"and set SKILLRANK_MODEL={model} for the service", wrap=False)
