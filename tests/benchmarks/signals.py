"""Progress updates per second, and the charts' latency on a million signals.

python -m tests.benchmarks.signals [--updates 10000] [--clients 16] [--signals 1000000]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.work.projects import join_project, record_progress_update
from service.work.signals import emit_skill_signals
from store.contract.projects import NewProgressUpdate, NewProject, SkillDeclaration, WorkTransaction
from store.contract.signals import SignalFilter
from store.protocol import Store
from store.sqlite import open_store
from tests.benchmarks.figures import line, seconds_of

PROJECTS, USERS, SKILLS, SCOPE, CATEGORIES = 50, 200, 100, 20, 8
YEAR = timedelta(days=365)


class _Calendar:
    """A clock that runs through a year."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        calendar = _Calendar()
        store = open_store(Path(scratch) / "store.db", clock=calendar)
        scopes = _declare(store)
        cpu = time.process_time()
        seconds = seconds_of(lambda: _work(store, arguments.updates, arguments.clients))
        cpu = time.process_time() - cpu
        emitted = store.signal_distribution(SignalFilter()).total
        print(
            f"{arguments.updates} updates by {arguments.clients} clients: {arguments.updates / seconds:.0f} updates/s"
        )
        print(f"each took {1000 * cpu / arguments.updates:.2f} ms of CPU, which no other load on the machine changes")
        print(f"{emitted} signals of them and of joining: {SCOPE * arguments.updates / seconds:.0f} signals/s")
        _fill(store, calendar, scopes, arguments.signals)
        megabytes = (Path(scratch) / "store.db").stat().st_size / 1e6
        print(f"{store.signal_distribution(SignalFilter()).total} signals in {megabytes:.0f} MB")
        _measure(store, calendar, arguments.rounds)
        store.close()


def _declare(store: Store) -> dict[str, list[int]]:
    chance = random.Random(4)
    scopes = {}
    for number in range(PROJECTS):
        project_id = f"project-{number}"
        wanted = [
            SkillDeclaration(skill_name=f"skill {skill}", category=f"category {skill % CATEGORIES}")
            for skill in chance.sample(range(SKILLS), SCOPE)
        ]

        def work(transaction: WorkTransaction, project_id: str = project_id, wanted: object = wanted) -> list[int]:
            transaction.add_project(NewProject(id=project_id, name=project_id))
            skills = transaction.declare_skills(project_id, wanted, add_missing=True)  # type: ignore[arg-type]
            return [skill.skill_id for skill in skills]

        scopes[project_id] = store.transaction(work)
        for user in range(4):
            join_project(store, project_id, f"user-{(number * 4 + user) % USERS}")
    return scopes


def _work(store: Store, updates: int, clients: int) -> None:
    def client(first: int) -> None:
        for number in range(first, updates, clients):
            record_progress_update(store, _update(number))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _update(number: int) -> NewProgressUpdate:
    return NewProgressUpdate(
        project_id=f"project-{number % PROJECTS}",
        user_id=f"user-{number * 7 % USERS}",
        content=f"step {number}",
        idempotency_key=f"key {number}",
    )


def _fill(store: Store, calendar: _Calendar, scopes: dict[str, list[int]], total: int) -> None:
    """Add updates over a year, fifty to a transaction, until there are `total` signals."""
    missing = (total - store.signal_distribution(SignalFilter()).total) // SCOPE
    for first in range(0, missing, 50):
        calendar.now += YEAR * 50 / max(missing, 1)

        def work(transaction: WorkTransaction, numbers: range = range(first, min(first + 50, missing))) -> None:
            for number in numbers:
                update, _ = transaction.add_progress_update(_update(10_000_000 + number * 13))
                emit_skill_signals(
                    store,
                    user_id=update.user_id,
                    source_type="update",
                    source_id=update.id,
                    signal_type="update",
                    skill_ids=scopes[update.project_id],
                    transaction=transaction,
                )

        store.transaction(work)


def _measure(store: Store, calendar: _Calendar, rounds: int) -> None:
    since = (calendar.now - timedelta(days=90)).isoformat()
    filters = {
        "all": SignalFilter(),
        "90 days": SignalFilter(since=since),
        "one user": SignalFilter(user_id="user-3"),
        "one project": SignalFilter(project_id="project-3"),
        "one skill": SignalFilter(skill_name="skill 3"),
        "one category": SignalFilter(category="category 3"),
        "user, skill, 90 days": SignalFilter(user_id="user-3", skill_name="skill 3", since=since),
    }
    for name, wanted in filters.items():
        charts = {
            "distribution": lambda wanted=wanted: store.signal_distribution(wanted),
            "momentum, a year by day": lambda wanted=wanted: store.signal_momentum(wanted, bucket="day", window=YEAR),
            "activity, a page of 50": lambda wanted=wanted: store.signal_activity(wanted, limit=50),
        }
        for chart, call in charts.items():
            call()
            print(line(f"{chart}: {name}", [seconds_of(call) for _ in range(rounds)], "ms", scale=1000))
    names = [f"skill {number}" for number in range(20)]  # as many as fit a query well

    def scope() -> object:
        return store.scope(names, project_id="project-3", user_id="user-3", since=since)

    scope()
    print(line("scope of a search: project and user", [seconds_of(scope) for _ in range(rounds)], "ms", scale=1000))


if __name__ == "__main__":
    main()
