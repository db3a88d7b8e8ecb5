"""A small world of planted truths and decoys, through the real store; `tests/benchmarks/planted.py` has large ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.benchmarks import planted


def test_what_is_planted_is_found_and_the_decoys_are_not(tmp_path: Path) -> None:
    world = planted.make(2, planted.Size(events=30_000, projects=12, skills=50, users=48))
    store = planted.write(world, tmp_path / "planted.db")
    try:
        found = planted.ask(store, world)
        scores = {kind: planted.score(kind, found[kind]) for kind in planted.TRUTHS}
        total: Counter[str] = sum(scores.values(), Counter())
        naive = sum((planted.score(kind, planted.naive(kind, store, world)) for kind in planted.TRUTHS), Counter())
    finally:
        store.close()
    # Of 17; a world so small has too few uses on one day to find every anomaly. Benjamini–Hochberg allows a false
    # alarm now and then.
    assert total["hit"] >= 14, scores
    assert total["false alarm"] <= 2, scores
    assert naive["false alarm"] > 10 * max(total["false alarm"], 1)
