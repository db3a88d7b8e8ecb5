"""skillrank tune."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import CONSOLE, AsJson, DataDir, opened, print_json, saying_errors, settings_for
from service.evaluation.judgements import JudgedQuery, read_judgements
from service.learning.tuning import Report
from service.learning.tuning import tune as find_better_weights
from service.ranking.blend import Weights
from service.search.answers import SearchRequest
from service.search.engine import SkillSearch

MOST_CHOICES = 20_000


def tune(
    judged: Annotated[
        Path | None, typer.Option("--judged", help='Lines of {"query": …, "expected": [names]}: the guard.')
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the report and change nothing.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change the weights of ranking, only if recorded outcomes say that it is better; status 1 when refused."""
    settings = settings_for(data_dir)
    with saying_errors(), opened(settings) as (store, encoders):
        queries = read_judgements(judged) if judged is not None else []
        searching = SkillSearch(store, encoders, correct=settings.correct)
        searching.learning.learn_all()

        def ndcg(weights: Weights) -> float:
            return _mean_ndcg(searching, queries, weights)

        report = find_better_weights(
            store.recorded_choices(limit=MOST_CHOICES),
            searching.weights(),
            ndcg if queries else None,
            len(queries),
        )
        adopted = report.refused is None and not dry_run
        if adopted:
            store.adopt_weights(report.proposed.version, asdict(report.proposed), report.as_json())
        if as_json:
            print_json({**report.as_json(), "adopted": adopted})
        else:
            _print(report, adopted=adopted)
    if report.refused is not None and not dry_run:
        raise typer.Exit(1)


def _mean_ndcg(searching: SkillSearch, queries: list[JudgedQuery], weights: Weights) -> float:
    # SciPy takes a second to import, which no other command should wait for.
    from service.evaluation.measures import score  # noqa: PLC0415

    ranked = [searching.order(SearchRequest(query=each.query), weights) for each in queries]
    return float(score(queries, ranked)["nDCG@10"].mean())


def _print(report: Report, *, adopted: bool) -> None:
    CONSOLE.print(
        f"{report.choices} recorded choices of {report.reporters} reporters to judge by, "
        f"worth {report.effective:.0f} under the proposal",
        highlight=False,
    )
    CONSOLE.print(f"proposed: {report.proposed}", highlight=False)
    CONSOLE.print(f"SNIPS  {report.snips_current:.3f} now, {report.snips_proposed:.3f} proposed", highlight=False)
    for name, gain in (("IPS", report.ips_gain), ("DR", report.dr_gain)):
        CONSOLE.print(
            f"{name:6s} gain {gain.mean:+.4f} (80% interval {gain.low:+.4f} to {gain.high:+.4f})", highlight=False
        )
    if report.ndcg_current is not None:
        CONSOLE.print(
            f"nDCG@10 of {report.judged} judged queries: {report.ndcg_current:.4f} now, "
            f"{report.ndcg_proposed:.4f} proposed",
            highlight=False,
        )
    if report.refused is not None:
        CONSOLE.print(f"refused: {report.refused}", style="yellow", highlight=False, soft_wrap=True)
    elif adopted:
        CONSOLE.print(f"adopted {report.proposed.version}", style="green", highlight=False)
    else:
        CONSOLE.print(f"would adopt {report.proposed.version}; nothing was changed", highlight=False)
