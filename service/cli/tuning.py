"""skillrank tune."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import AsJson, DataDir, opened, saying_errors, settings_for
from service.cli.output import print_json, say, table
from service.evaluation.judgements import JudgedQuery, read_judgements
from service.learning.tuning import Report
from service.learning.tuning import tune as find_better_weights
from service.ranking.blend import Weights
from service.ranking.offpolicy import Interval
from service.search.answers import SearchRequest
from service.search.engine import SkillSearch
from service.text import counted
from store.location import expanded

MOST_CHOICES = 20_000


def tune(
    judged: Annotated[
        Path | None,
        typer.Option(
            "--judged",
            help='A file with lines of {"query": …, "expected": [names]}, which guards against lost relevance.',
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the report, and change nothing.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Improve the ranking weights with recorded outcomes.

    Weights are changed only if the outcomes show that this is better. Exits with code 1 when the change is refused.
    """
    settings = settings_for(data_dir)
    with saying_errors(), opened(settings) as (store, encoders):
        queries = read_judgements(expanded(judged)) if judged is not None else []
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
    say(f"{counted(report.choices, 'recorded choice')} by {counted(report.reporters, 'reporter')} to evaluate with")
    if report.choices:
        _print_estimates(report)
    if report.ndcg_current is not None and report.ndcg_proposed is not None:
        say(
            f"nDCG@10 of {counted(report.judged, 'judged query', 'judged queries')}: {report.ndcg_current:.4f} now, "
            f"{report.ndcg_proposed:.4f} with the proposal"
        )
    if report.refused is not None:
        say(f"refused: {report.refused}", style="yellow")
    elif adopted:
        say(f"adopted {report.proposed.version}", style="green")
    else:
        say(f"would adopt {report.proposed.version}; nothing was changed")


def _print_estimates(report: Report) -> None:
    proposed = report.proposed
    weights = {
        "relevance temperature": proposed.temperature,
        "success": proposed.success,
        "speed": proposed.speed,
        **{name: part.weight for name, part in proposed.others.items()},
    }
    say(f"proposed weights: {', '.join(f'{name} {weight:g}' for name, weight in weights.items())}")
    say(f"effective sample size under the proposal: {report.effective:.0f}")
    rows = [("SNIPS now", _number(report.snips_current), ""), ("SNIPS proposed", _number(report.snips_proposed), "")]
    rows += [
        (f"{name} gain", _number(gain.mean, signed=True), _interval(gain))
        for name, gain in (("IPS", report.ips_gain), ("DR", report.dr_gain))
    ]
    table(("estimate", "value", "80% interval"), rows)
    say(
        "The estimates are of the success of what is put first, from 0 to 1, by off-policy evaluation: "
        "SNIPS and IPS weigh recorded choices by their propensity, DR (doubly robust) also uses the posterior.",
        style="dim",
    )


def _number(value: float, *, signed: bool = False) -> str:
    if not math.isfinite(value):
        return "not enough data"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def _interval(gain: Interval) -> str:
    if not (math.isfinite(gain.low) and math.isfinite(gain.high)):
        return "not enough data"
    return f"{gain.low:+.4f} to {gain.high:+.4f}"
