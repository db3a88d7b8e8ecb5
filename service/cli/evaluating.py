"""skillrank eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import Progress
from rich.table import Table

from service.cli.context import (
    CONSOLE,
    ERRORS,
    AsJson,
    DataDir,
    Model,
    opened,
    plain,
    print_json,
    saying_errors,
    settings_for,
    short,
)

if TYPE_CHECKING:
    from service.evaluation.measures import Difference
    from service.evaluation.queries import Judged
    from service.evaluation.report import Evaluation

_SHOWN_CHARACTERS = 120
_SURE = 0.05
_LEAST_P = 0.001


def evaluate(
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", "-q", help='Lines of {"query": …, "expected": ["name"] or {"name": 2, "related": 1}}.'
        ),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Ask recorded queries; what was taken and completed is right.")
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="How many skills a self-check draws.")] = 200,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", help="A second setting, such as outcomes=off or model=NAME; may be repeated."),
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option("--fail-under", help="MEASURE=NUMBER; status 1 below it; may be repeated.")
    ] = None,
    misses: Annotated[int, typer.Option(min=0, help="How many of the worst misses to print.")] = 5,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Measure search on your library: on your queries, on recorded choices, or by a self-check of the documents."""
    # SciPy takes a second to import, which no other command should wait for.
    from service.evaluation.queries import read_judged, recorded_queries, self_check_queries  # noqa: PLC0415
    from service.evaluation.report import compare as compared  # noqa: PLC0415
    from service.evaluation.report import evaluate as evaluated  # noqa: PLC0415
    from service.evaluation.report import parse_thresholds  # noqa: PLC0415
    from service.evaluation.settings import Variant, asking, parse_variant  # noqa: PLC0415

    if queries is not None and recorded:
        raise typer.BadParameter("give --queries or --recorded, not both")
    settings = settings_for(data_dir, model=model)
    with saying_errors(), opened(settings) as (store, _):
        thresholds = parse_thresholds(fail_under or [])

        def judge() -> Judged:
            if queries is not None:
                return read_judged(queries, store)
            return recorded_queries(store) if recorded else self_check_queries(store, count=sample)

        judged = judge()
        # Ranking has learnt from the very choices that recorded queries are judged by.
        base = Variant(outcomes=not recorded)
        variants = [base] + ([parse_variant(base, compare)] if compare else [])
        runs = []
        for variant in variants:
            with asking(variant, store, settings) as ask, _progress(len(judged.queries), quiet=as_json) as advance:
                runs.append(evaluated(judged, ask, advance))
        change = compared(*runs) if compare else None
        under = runs[-1].under(thresholds)
        if as_json:
            print_json(_as_json(runs, compare, change, under, misses))
        else:
            _print(runs, compare, change, misses)
            for each in under:
                ERRORS.print(f"[red]{each}[/]", highlight=False)
    if under:
        raise typer.Exit(1)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    with Progress(console=ERRORS, transient=True, disable=quiet or not ERRORS.is_terminal) as progress:
        task = progress.add_task("asking", total=total)
        yield lambda: progress.advance(task)


def _as_json(
    runs: list[Evaluation],
    compare: list[str] | None,
    change: dict[str, Difference] | None,
    under: list[str],
    misses: int,
) -> dict[str, Any]:
    told = {**runs[0].as_json(misses), "under": under}
    if compare and change:
        told["compared"] = {"with": compare, **runs[1].as_json(misses), "difference": msgspec.to_builtins(change)}
    return told


def _print(
    runs: list[Evaluation], compare: list[str] | None, change: dict[str, Difference] | None, misses: int
) -> None:
    for note in runs[0].judged.notes:
        CONSOLE.print(f"[yellow]note:[/] {plain(note)}", highlight=False)
    CONSOLE.print(_table("as it is" if compare else None, runs[0]))
    if compare and change:
        CONSOLE.print(_table(plain(", ".join(compare)), runs[1]))
        CONSOLE.print(f"difference, 95% interval, paired randomisation test ({len(runs[0].judged.queries)} queries)")
        for name, each in change.items():
            sure = "" if each.p < _SURE else "  could be chance"
            CONSOLE.print(
                f"  {name:<10} {each.mean:+.3f}  [{each.low:+.3f}, {each.high:+.3f}]  {_p(each.p)}{sure}",
                highlight=False,
                markup=False,
            )
    worst = runs[-1].misses(misses)
    if worst:
        CONSOLE.print("worst misses", style="bold")
    for miss in worst:
        where = "not among the first 50" if miss.place is None else f"at place {miss.place}"
        CONSOLE.print(f"“{plain(short(miss.query, _SHOWN_CHARACTERS))}”", highlight=False)
        CONSOLE.print(
            f"    expected {plain(', '.join(miss.expected))}: {where}; first stood {plain(miss.first or 'nothing')}",
            highlight=False,
        )


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= _LEAST_P else f"p < {_LEAST_P}"


def _table(title: str | None, run: Evaluation) -> Table:
    rows = run.table
    table = Table("queries", *next(iter(rows.values())), title=title, title_justify="left", box=None)
    for kind, cells in rows.items():
        table.add_row(plain(kind), *(f"{c.mean:.3f}\n{c.low:.2f}–{c.high:.2f}" for c in cells.values()))
    return table
