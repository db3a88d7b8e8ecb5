"""What correlating costs: one session of 1,000 events, and many sessions together.

python -m tests.benchmarks.correlation [--events 1000] [--sessions 20000] [--rounds 30]

The floor of one session is reading the same rows bare: the same columns over one open connection, with nothing made
of them. The sessions have ten events and three uses each, in 40 projects.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from service.work.sessions import end_session, session_report
from service.work.workflows import step_correlations, workflow_report
from store.clock import format_time
from store.contract.tracking import NewInvocation, NewOutcome
from store.contract.workflows import NewWorkflowEvent, WorkflowFilter
from store.protocol import Store
from store.sqlite import open_store
from tests.benchmarks.figures import line, seconds_of

PROJECTS, SKILLS, STEPS, PHASES = 40, 50, 8, ("plan", "build", "test", "ship")
START = datetime(2026, 3, 1, tzinfo=UTC)
BARE = (
    "SELECT * FROM session WHERE id = ?",
    "SELECT id, searched_at, query, confidence FROM search WHERE session_id = ?",
    "SELECT * FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id WHERE i.session_id = ?",
    """SELECT id, invocation_id, workflow, phase, step, status, occurred_at, duration_seconds FROM workflow_event
       WHERE session_id = ?""",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "store.db"
        store = open_store(path)
        _one(store, path, arguments.events, arguments.rounds)
        if arguments.sessions:
            _many(store, path, arguments.sessions)
        store.close()


def _one(store: Store, path: Path, events: int, rounds: int) -> None:
    for number in range(rounds):
        _fill_one(store, f"ended {number}", events)
    _fill_one(store, "open", events)
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    bare = _times(rounds, lambda: [connection.execute(sql, ("open",)).fetchall() for sql in BARE])
    made = _times(rounds, lambda: session_report(store, "open"))
    ending = [seconds_of(lambda each=f"ended {number}": end_session(store, each)) for number in range(rounds)]
    kept = _times(rounds, lambda: session_report(store, "ended 0"))
    connection.close()
    print(f"one session of {events} events and {events // 20} uses")
    print(line("reading its rows bare (the floor)", bare, "ms", scale=1000))
    for name, times in (("its report, made", made), ("ending it, its report kept and returned", ending)):
        print(line(name, times, "ms", scale=1000))
        print(f"{'  as a multiple of the floor':<62} {statistics.median(times) / statistics.median(bare):>10.2f}")
    print(line("its report, kept", kept, "ms", scale=1000))


def _many(store: Store, path: Path, sessions: int) -> None:
    seconds = seconds_of(lambda: _fill_many(store, sessions))
    counted = 10 * sessions
    print(f"{counted} events and {3 * sessions} uses in {sessions} sessions, {counted / seconds:.0f} events/s recorded")
    print(f"{path.stat().st_size / 1e6:.0f} MB")
    everything, one = WorkflowFilter(), WorkflowFilter(project_id="project 1")
    print(
        line(
            "skills against steps", _times(5, lambda: step_correlations(store, everything, limit=100)), "ms", scale=1000
        )
    )
    print(line("the whole report", _times(5, lambda: workflow_report(store, everything, limit=100)), "ms", scale=1000))
    print(
        line(
            "the whole report of one project",
            _times(5, lambda: workflow_report(store, one, limit=100)),
            "ms",
            scale=1000,
        )
    )


def _times(rounds: int, call: Callable[[], object]) -> list[float]:
    call()  # SciPy is imported by the first
    return [seconds_of(call) for _ in range(rounds)]


def _fill_one(store: Store, session: str, events: int) -> None:
    uses = events // 20
    store.import_invocations(
        [
            (
                NewInvocation(
                    id=f"{session} use {n}",
                    skill_name=f"skill {n % SKILLS}",
                    session_id=session,
                    invoked_at=format_time(START + timedelta(minutes=20 * n)),
                    workflow_phase=PHASES[n % len(PHASES)],
                ),
                NewOutcome(outcome="completed", duration_seconds=600),
            )
            for n in range(uses)
        ]
    )
    store.record_events(
        [
            NewWorkflowEvent(
                id=f"{session} event {n}",
                session_id=session,
                workflow="ci",
                phase=PHASES[n % len(PHASES)],
                step=f"step {n % 200}",
                status="failed" if n % 7 == 0 else "passed",
                occurred_at=format_time(START + timedelta(minutes=n)),
                duration_seconds=1.5,
                payload={"message": "as it was told"},
            )
            for n in range(events)
        ]
    )


def _fill_many(store: Store, sessions: int) -> None:
    chance = random.Random(5)
    for first in range(0, sessions, 500):
        uses, events = [], []
        for number in range(first, min(first + 500, sessions)):
            began = START + timedelta(minutes=number)
            told = {"session_id": f"session {number}", "project_id": f"project {number % PROJECTS}"}
            for n, skill in enumerate(chance.sample(range(SKILLS), 3)):
                start = format_time(began + timedelta(seconds=n))
                phase = PHASES[min(n, 3)]
                use = NewInvocation(
                    id=f"{number} {n}", skill_name=f"skill {skill}", invoked_at=start, workflow_phase=phase, **told
                )
                outcome = "completed" if chance.random() < 0.8 else "abandoned"
                uses.append((use, NewOutcome(outcome=outcome, duration_seconds=30)))
            events += [
                NewWorkflowEvent(
                    id=f"event {number} {n}",
                    workflow="ci",
                    phase=PHASES[n % len(PHASES)],
                    step=f"step {n % STEPS}",
                    status="passed" if chance.random() < 0.7 else "failed",
                    occurred_at=format_time(began + timedelta(seconds=10 + n)),
                    **told,
                )
                for n in range(10)
            ]
        store.import_invocations(uses)
        store.record_events(events)


if __name__ == "__main__":
    main()
