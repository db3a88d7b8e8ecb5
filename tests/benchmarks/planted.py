"""Truths planted among decoys, and which of them the insights and the correlator find.

python -m tests.benchmarks.planted [--seeds 5] [--first 0] [--events 200000]

Each world is written through the real store (bulk import, searches, event batches), aggregated, and asked. Printed are
hits, misses and false alarms of each kind over all seeds, and beside them what a naive rule on the same records says.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from service.analysis.aggregation import Aggregation
from service.analysis.engine import Analysis, Insight
from store.protocol import Store
from tests.benchmarks.planted_naive import naive
from tests.benchmarks.planted_world import NOW, STEP, Key, Size, World, make, step_verdicts, write

# What is planted. Every other skill, and each of the decoys below, must not be told.
TRUTHS: Final[dict[str, set[Key]]] = {
    "step": {("helper",)},
    "mixed_results": {("mixed",)},
    "worth_trying": {("twin-b", "gem")},
    "use_trend": {("riser", "up"), ("faller", "down")},
    "success_trend": {("drifter", "down")},
    "anomaly": {("breaker", "success"), ("spiker", "use")},
    "unused": {("dead-1",), ("dead-2",), ("dead-3",), ("never-1",), ("never-2",), ("never-3",)},
    "missing_skill": {("theme-1",), ("theme-2",)},
    "passed_over": {("ignored",)},
}
# True as well, but not what they were planted for: neither a hit nor a false alarm.
ALLOWED: Final[dict[str, set[Key]]] = {
    "use_trend": {("dead-1", "down"), ("dead-2", "down"), ("dead-3", "down")},
    "unused": {("ignored",), ("bottom",)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--events", type=int, default=Size().events)
    arguments = parser.parse_args()
    size = Size(events=arguments.events)
    scores: dict[str, dict[str, Counter[str]]] = {"insights": defaultdict(Counter), "naive": defaultdict(Counter)}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            started = time.perf_counter()
            world = make(seed, size)
            store = write(world, Path(scratch) / "planted.db")
            written = time.perf_counter()
            found = ask(store, world)
            print(
                f"seed {seed}: {world.size} events in {written - started:.0f} s, answered in "
                f"{time.perf_counter() - written:.1f} s",
                flush=True,
            )
            for kind in TRUTHS:
                for rule, said in (("insights", found[kind]), ("naive", naive(kind, store, world))):
                    scores[rule][kind].update(score(kind, said))
                    if rule == "insights":
                        _tell_errors(kind, said)
            store.close()
    print(f"\n{'':<16}{'insights':^33}{'naive rule':^33}")
    print(f"{'kind':<16}" + f"{'hits':>8}{'misses':>9}{'false alarms':>14}  " * 2)
    for kind in TRUTHS:
        cells = [scores[rule][kind] for rule in ("insights", "naive")]
        print(f"{kind:<16}" + "".join(f"{c['hit']:>8}{c['miss']:>9}{c['false alarm']:>14}  " for c in cells))


def score(kind: str, found: Iterable[Key]) -> Counter[str]:
    """Count hits, misses and false alarms."""
    said, truths = set(found), TRUTHS[kind]
    wrong = said - truths - ALLOWED.get(kind, set())
    return Counter({"hit": len(said & truths), "miss": len(truths - said), "false alarm": len(wrong)})


def _tell_errors(kind: str, found: Iterable[Key]) -> None:
    said = set(found)
    for what, keys in (("missed", TRUTHS[kind] - said), ("false", said - TRUTHS[kind] - ALLOWED.get(kind, set()))):
        if keys:
            print(f"    {kind}: {what} {', '.join(' / '.join(key) for key in sorted(keys))}")


def ask(store: Store, world: World) -> dict[str, set[Key]]:
    """Aggregate, and return what the insights and the correlator say, as keys of `TRUTHS`."""
    Aggregation(store).run()
    report = Analysis(store, clock=lambda: NOW).report(limit=100_000)
    found: dict[str, set[Key]] = {kind: set() for kind in TRUTHS}
    for insight in report.insights:
        found[insight.kind].add(_KEYS[insight.kind](insight, world))
    found["step"] = {
        (effect.skill_name,) for effect in step_verdicts(store) if effect.step == STEP and effect.finding == "helps"
    }
    return found


def _skill(insight: Insight, _: World) -> Key:
    return (insight.skill_name or "",)


def _trend(insight: Insight, _: World) -> Key:
    return (insight.skill_name or "", "up" if insight.counts["last"] > insight.counts["first"] else "down")


def _theme(insight: Insight, world: World) -> Key:
    first = insight.rows.partition("search_id=")[2].partition("&")[0]
    return (world.theme_of[first],)


_KEYS: Final[dict[str, Callable[[Insight, World], Key]]] = {
    "mixed_results": _skill,
    "worth_trying": lambda insight, _: (insight.project_id or "", insight.skill_name or ""),
    "use_trend": _trend,
    "success_trend": _trend,
    "anomaly": lambda insight, _: (insight.skill_name or "", "use" if "uses" in insight.counts else "success"),
    "unused": _skill,
    "missing_skill": _theme,
    "passed_over": _skill,
}


if __name__ == "__main__":
    main()
