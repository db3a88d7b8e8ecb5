"""What ranking by outcomes costs beside encoding the query, with a long history behind it.

python -m tests.benchmarks.ranking [--uses 1000000]
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from numpy.typing import NDArray

from service.ranking.blend import DEFAULT_WEIGHTS
from service.ranking.book import EvidenceBook
from service.ranking.cells import cells_of
from service.ranking.decay import HALF_LIFE_DAYS
from service.ranking.evidence import Use, evidence_of
from service.ranking.judgement import judge
from tests.benchmarks.figures import line, seconds_of, verdict

DIMENSION = 384
TODAY = 800.0
CANDIDATES = 200
# One short query through the exported model on these cores, from the table of the design.
ENCODING_MS = 4.2
CHUNK = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uses", type=int, default=1_000_000)
    parser.add_argument("--skills", type=int, default=2000)
    parser.add_argument("--kinds", type=int, default=300)
    parser.add_argument("--users", type=int, default=200)
    options = parser.parse_args()
    os.nice(10)
    random = np.random.default_rng(0)
    centres = unit(random.standard_normal((options.kinds, DIMENSION)))
    book = EvidenceBook(DIMENSION, half_life_days=HALF_LIFE_DAYS)
    started = time.perf_counter()
    for _ in range(0, options.uses, CHUNK):
        learn(book, centres, random, options.skills, options.users)
    took = time.perf_counter() - started
    print(f"{options.uses} uses of {options.skills} skills learnt in {took:.0f} s: {book.rows} rows")

    def rank() -> None:
        kind = int(random.integers(options.kinds))
        own = fitting(kind, options.skills)
        names = [f"skill {n}" for n in {*own.tolist(), *random.integers(0, options.skills, CANDIDATES).tolist()}][
            :CANDIDATES
        ]
        skills = [(name, None) for name in names]
        query = asked(centres, np.array([kind]), random)[0]
        relevance = np.sort(random.normal(size=len(names)))[::-1]
        times.append(seconds_of(lambda: judge(relevance, skills, book, query, TODAY, weights=DEFAULT_WEIGHTS)))

    times: list[float] = []
    rank()
    fit = [seconds_of(lambda day=day: book.prior(day)) for day in np.arange(TODAY + 1, TODAY + 8)]
    rank()
    times.clear()
    for _ in range(300):
        rank()
    print(line(f"ranking {CANDIDATES} candidates", times, "ms", scale=1000))
    print(line("fitting prior and trust, once a day or 0.2% of rows", fit, "ms", scale=1000))
    print(verdict("ranking over encoding", 1000 * float(np.median(times)) / ENCODING_MS, 1.0, at_most=True))


def learn(
    book: EvidenceBook, centres: NDArray[np.float32], random: np.random.Generator, skills: int, users: int
) -> None:
    kinds = random.zipf(1.3, CHUNK) % len(centres)
    vectors = asked(centres, kinds, random)
    cells = cells_of(vectors)
    choices = random.integers(0, 8, CHUNK)
    who = random.zipf(1.5, CHUNK) % users
    days = TODAY - random.exponential(120.0, CHUNK)
    done = random.random(CHUNK) < 0.7
    seconds = np.exp(random.normal(4.0, 1.0, CHUNK))
    uses = [
        Use(
            skill_name=f"skill {fitting(int(kinds[n]), skills)[choices[n]]}",
            version=1,
            cell=int(cells[n]),
            reporter=f"user {who[n]}",
            outcome="completed" if done[n] else "failed",
            seconds=float(seconds[n]),
            day=float(days[n]),
        )
        for n in range(CHUNK)
    ]
    for cell in np.unique(cells):
        book.add_queries(np.array([cell]), vectors[cells == cell].sum(axis=0)[None])
    book.add(evidence_of(uses))


def fitting(kind: int, skills: int) -> NDArray[np.int64]:
    """Return the eight skills that serve a kind of query."""
    return (kind * 5 + np.arange(8) * 37) % skills


def asked(centres: NDArray[np.float32], kinds: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    noise = unit(random.standard_normal((len(kinds), DIMENSION)))
    return unit(np.sqrt(0.7) * centres[kinds] + np.sqrt(0.3) * noise)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
