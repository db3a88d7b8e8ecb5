"""skillrank eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from service.cli.context import AsJson, DataDir, Model, opened, saying_errors, settings_for, short
from service.cli.output import Cell, heading, lines_of, note, print_json, progress, say, styled, table
from service.text import counted
from store.location import expanded

if TYPE_CHECKING:
    from service.evaluation.measures import Difference, Estimate
    from service.evaluation.queries import Judged
    from service.evaluation.report import Evaluation

_SHOWN_CHARACTERS = 120
_SURE = 0.05
_LEAST_P = 0.001


def evaluate(
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            "-q",
            help='A file with lines of {"query": …, "expected": ["name"] or {"name": 2, "related": 1}}.',
        ),
    ] = None,
    recorded: Annotated[
        bool,
        typer.Option(
            "--recorded", help="Use recorded queries; the skills that were chosen and completed count as right."
        ),
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="How many skills to draw for the self-check.")] = 200,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", help="A setting to compare with, such as outcomes=off or model=NAME; may be repeated."
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option("--fail-under", help="MEASURE=NUMBER: exit with code 1 below this number; may be repeated."),
    ] = None,
    misses: Annotated[int, typer.Option(min=0, help="How many of the worst misses to show.")] = 5,
    data_dir: DataDir = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well search finds the right skills.

    Uses your queries, recorded choices, or by default a self-check, which asks for documents in their own words.
    All measures are between 0 and 1, more is better; below each mean stands its 95% interval.
    """
    # SciPy takes a second to import, which no other command should wait for.
    from service.evaluation.queries import read_judged, recorded_queries, self_check_queries  # noqa: PLC0415
    from service.evaluation.report import compare as compared  # noqa: PLC0415
    from service.evaluation.report import evaluate as evaluated  # noqa: PLC0415
    from service.evaluation.report import parse_thresholds  # noqa: PLC0415
    from service.evaluation.settings import Variant, asking, parse_variant  # noqa: PLC0415

    if queries is not None and recorded:
        raise typer.BadParameter("give --queries or --recorded, not both")
    with saying_errors(), opened(settings := settings_for(data_dir, model=model)) as (store, _):
        thresholds = parse_thresholds(fail_under or [])

        def judge() -> Judged:
            if queries is not None:
                return read_judged(expanded(queries), store)
            return recorded_queries(store) if recorded else self_check_queries(store, count=sample)

        judged = judge()
        # Ranking has learnt from the same choices that recorded queries are judged by.
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
                note(each, style="red")
    if under:
        raise typer.Exit(1)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    done = 0
    with progress(quiet=quiet) as show:

        def advance() -> None:
            nonlocal done
            done += 1
            show("searching", done, total)

        yield advance


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
    for each in runs[0].judged.notes:
        say(styled("note:", "yellow"), f" {each}")
    _print_measures("as configured" if compare else "", runs[0])
    if compare and change:
        _print_measures(", ".join(compare), runs[1])
        _print_change(change, len(runs[0].judged.queries))
    worst = runs[-1].misses(misses)
    if worst:
        heading("worst misses")
    for miss in worst:
        where = "not among the first 50" if miss.place is None else f"at position {miss.place}"
        say(f"“{short(miss.query, _SHOWN_CHARACTERS)}”")
        say(f"expected {', '.join(miss.expected)}: {where}; {miss.first or 'nothing'} came first", indent=4)


def _print_change(change: dict[str, Difference], queries: int) -> None:
    if queries == 1:
        heading("difference (one query has no interval)")
    else:
        heading(f"difference, 95% interval, paired randomisation test ({counted(queries, 'query', 'queries')})")
    for name, each in change.items():
        interval = "" if queries == 1 else f"  [{each.low:+.3f}, {each.high:+.3f}]  {_p(each.p)}"
        chance = "" if each.p < _SURE else "  may be chance"
        say(f"{name:<10} {each.mean:+.3f}{interval}{chance}", indent=2)


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= _LEAST_P else f"p < {_LEAST_P}"


def _print_measures(title: str, run: Evaluation) -> None:
    rows = run.table
    table(
        ("queries", *next(iter(rows.values()))),
        [(kind, *(_estimate(each) for each in measures.values())) for kind, measures in rows.items()],
        title=title,
    )


def _estimate(each: Estimate) -> Cell:
    return lines_of([f"{each.mean:.3f}", f"{each.low:.2f}–{each.high:.2f}"])
