"""The tracking store against the specification's promises, on a long log.

python -m tests.benchmarks.metrics_store [--rows 1000000] [--keep FOLDER]

Prints for each promise the promise, the figure and how many times better it is (the aim is ten), at synchronous=FULL.
A single caller waits for the disk twice for each use, so what a commit alone costs here is printed beside it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import apsw
from msgspec.structs import replace

from store.clock import format_time
from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import SqliteStore, importing, open_store
from store.sqlite.connection import open_connection
from store.sqlite.uses import ADD_OUTCOME
from tests.benchmarks.figures import line, seconds_of, verdict

SKILLS = 200
DAYS = 90
BATCH = 20_000
CALLERS = 32
AIM = 10.0
NOW = datetime.now(UTC)

Use = tuple[NewInvocation, NewOutcome | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder whose log is used again, or made there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        store = open_store(folder / "metrics.db")
        _fill(store, arguments.rows)
        _bulk_import(store, folder / "metrics.db")
        _one_use(store, folder)
        _summary(store)
        _timeline(store)
        _concurrent(store, folder)
        print("the metrics equal a recomputation:", _timed(store.first_difference))
        store.close()


def _fill(store: SqliteStore, wanted: int) -> None:
    present = sum(each.total_invocations for each in store.all_metrics())
    chance = random.Random(present)
    took = 0.0
    added = max(0, wanted - present)
    # In the order of time, as a log grows.
    moments = sorted(chance.random() * DAYS for _ in range(added))
    for start in range(0, added, BATCH):
        uses = _uses(chance, [DAYS - moment for moment in moments[start : start + BATCH]])
        took += seconds_of(partial(store.import_invocations, uses))
    size = store.health().size_bytes
    print(f"a log of {present + added} uses, {size / 1e6:.0f} MB; {added} imported in {took:.1f} s")


def _uses(chance: random.Random, days_ago: Sequence[float]) -> list[Use]:
    # Skills are used as words are: the first of them a sixth of the time.
    names = chance.choices([f"skill-{n}" for n in range(SKILLS)], [1 / (n + 1) for n in range(SKILLS)], k=len(days_ago))
    return [_use(chance, name, days) for name, days in zip(names, days_ago, strict=True)]


def _use(chance: random.Random, name: str, days_ago: float) -> Use:
    moment = NOW - timedelta(days=days_ago)
    invocation = NewInvocation(
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        skill_name=name,
        invoked_at=format_time(moment),
        session_id=f"session-{moment:%m%d%H}-{chance.randrange(20)}",
        workflow_path=chance.choice(["quick", "comprehensive", "review", None]),
    )
    kind = chance.random()
    if kind < 0.01:
        return invocation, None
    seconds = round(chance.lognormvariate(2, 1), 6)
    if kind < 0.85:
        follow_up = chance.choice([[], ["git commit"], ["git commit", "git push"]])
        return invocation, NewOutcome(
            outcome="completed", duration_seconds=seconds, follow_up_actions=follow_up, source="import"
        )
    error = chance.choice(["ValueError", "Timeout", None])
    return invocation, NewOutcome(outcome="failed", duration_seconds=seconds, error_type=error, source="import")


def _bulk_import(store: SqliteStore, path: Path) -> None:
    chance = random.Random()
    for name, days, named in (
        ("ids at random, times of the last day", 1, True),
        ("ids at random, times at random over the whole log", DAYS, True),
        ("the store's own ids, times of the last day", 1, False),
    ):
        imported, bare = [], []
        for _ in range(20):
            one, other = (_uses(chance, [chance.random() * days for _ in range(1000)]) for _ in range(2))
            if not named:
                one, other = ([(replace(start, id=None), end) for start, end in batch] for batch in (one, other))
            imported.append(seconds_of(partial(store.import_invocations, one)))
            bare.append(_bare_rows(path, other))
        _promise(f"1,000 imported, {name}", 50, 100, imported)
        print(line("  of which the bare rows alone, neither counted nor committed", bare, "ms", scale=1e3))


def _bare_rows(path: Path, batch: Sequence[Use]) -> float:
    usable, _ = importing.check(batch, now=format_time(NOW), keep_queries=True)
    with closing(open_connection(path, readonly=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO projection_paused(only_row) VALUES (1)")
        started = time.perf_counter()
        connection.executemany(
            _bare_writer.START,
            [
                (row.start["id"], row.start["skill_name"], row.start["invoked_at"], row.start["workflow_path"])
                for row in usable
            ],
        )
        connection.executemany(ADD_OUTCOME, [row.outcome for row in usable if row.outcome])
        took = time.perf_counter() - started
        connection.execute("ROLLBACK")
    return took


def _one_use(store: SqliteStore, folder: Path) -> None:
    figures = [seconds_of(lambda: _start_and_finish(store)) for _ in range(300)]
    _promise("one use, start + finish, a caller alone", 1, 2, figures)
    bare = apsw.Connection(str(folder / "bare.db"))
    for sql in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE IF NOT EXISTS t(x)"):
        bare.execute(sql).fetchall()
    commit = [2 * seconds_of(lambda: bare.execute("INSERT INTO t VALUES (1)").fetchall()) for _ in range(300)]
    bare.close()
    print(line("  of which two commits of one row to a bare table", commit, "ms", scale=1e3))


def _summary(store: SqliteStore) -> None:
    store.summary()
    _promise("summary, unchanged log", 1, 1, [seconds_of(store.summary) for _ in range(300)])
    figures = []
    for _ in range(50):
        store.start_invocation(NewInvocation(skill_name="skill-0"))
        figures.append(seconds_of(store.summary))
        time.sleep(0.005)  # its row is written after the answer
    _promise("summary, the log has grown since", 1, 1, figures)


def _timeline(store: SqliteStore) -> None:
    week = timedelta(days=7)
    for name in ("skill-0", f"skill-{SKILLS - 1}"):
        figures = [seconds_of(partial(store.timeline, name, window=week, bucket="hour")) for _ in range(100)]
        used = store.skill_metrics(name)
        _promise(f"7 days by the hour, {used.total_invocations if used else 0} uses of the skill", 10, 20, figures)


def _concurrent(store: SqliteStore, folder: Path) -> None:
    through, bare = [], []
    with _bare_writer(folder / "metrics.db") as group:
        for _ in range(5):
            through.append(_rate(lambda: _start_and_finish(store), CALLERS, 60))
            bare.append(CALLERS * 60 / seconds_of(lambda: [group(CALLERS) for _ in range(60)]))
    print(line(f"start + finish through the store, {CALLERS} callers", through, "/s"))
    print(line(f"bare inserts in groups of {CALLERS} into the same tables", bare, "/s"))
    _promise(f"one use among {CALLERS} callers", 1, 2, [1 / rate for rate in through])
    ratio = statistics.median(through) / statistics.median(bare)
    print(verdict("store / bare inserts", ratio, 0.5, at_most=False))


class _bare_writer:  # noqa: N801  used like a function
    """What the tables themselves cost: one connection, one thread, a transaction for each group."""

    START = "INSERT INTO skill_invocation(id, skill_name, invoked_at, workflow_path) VALUES (?, ?, ?, ?)"

    def __init__(self, path: Path) -> None:
        self._connection = open_connection(path, readonly=False)

    def __enter__(self) -> Callable[[int], None]:
        return self._group

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _group(self, size: int) -> None:
        now = format_time(datetime.now(UTC))
        ids = [str(uuid.uuid4()) for _ in range(size)]
        # A start and a finish are two commits for a caller, so they are two here.
        for sql, bindings in (
            (self.START, [(each, "skill-1", now, "quick") for each in ids]),
            (ADD_OUTCOME, [(each, "skill-1", "completed", now, 0.001, None, "[]", "client") for each in ids]),
        ):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(sql, bindings)
            self._connection.execute("COMMIT")


def _start_and_finish(store: SqliteStore) -> None:
    use = store.start_invocation(NewInvocation(skill_name="skill-1", workflow_path="quick"))
    store.finish_invocation(use.id, NewOutcome(outcome="completed"))


def _rate(call: Callable[[], None], callers: int, times: int) -> float:
    def work() -> None:
        for _ in range(times):
            call()

    threads = [threading.Thread(target=work) for _ in range(callers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return callers * times / (time.perf_counter() - started)


def _promise(name: str, low_ms: float, high_ms: float, seconds: Sequence[float]) -> None:
    figure = statistics.median(seconds) * 1000
    told = f"{low_ms:g} to {high_ms:g}" if high_ms > low_ms else f"under {high_ms:g}"
    ratios = f"{low_ms / figure:.1f} to {high_ms / figure:.1f}" if high_ms > low_ms else f"{high_ms / figure:.1f}"
    met = "met" if low_ms / figure >= AIM else "met at the upper end" if high_ms / figure >= AIM else "MISSED"
    best = min(seconds) * 1000
    print(f"{name:<62} {figure:>10.3f} ms     (best {best:.3f})")
    print(f"    promised {told} ms: {ratios} times better, aim {AIM:g}: {met}", flush=True)


def _timed(call: Callable[[], object]) -> str:
    started = time.perf_counter()
    said = call()
    return f"{'yes' if said is None else said} ({time.perf_counter() - started:.1f} s)"


if __name__ == "__main__":
    main()
