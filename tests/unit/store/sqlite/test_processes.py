"""Several processes, each with several threads, on one file."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from store.sqlite import open_store

PROCESSES, THREADS, USES = 4, 4, 25

TRACK = """
import sys, threading
from pathlib import Path
from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store

path, process, threads, uses = Path(sys.argv[1]), *map(int, sys.argv[2:])
store = open_store(path)
print("ready", flush=True)
sys.stdin.readline()

def track(thread):
    for number in range(uses):
        use_id = f"{process}-{thread}-{number}"
        store.start_invocation(NewInvocation(
            skill_name=f"skill {number % 3}", id=use_id, session_id=f"{process}-{thread}", workflow_path="quick"))
        # Everybody also retries one use that all know.
        store.start_invocation(NewInvocation(skill_name="shared", id=f"shared {number}"))
        if number % 5:
            outcome = "completed" if number % 2 else "failed"
            store.finish_invocation(use_id, NewOutcome(outcome=outcome, duration_seconds=number / 8))
        store.finish_invocation(f"shared {number}", NewOutcome(outcome="completed", duration_seconds=1.0))
    store.end_session(f"{process}-{thread}")

workers = [threading.Thread(target=track, args=(number,)) for number in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
store.close()
"""


def test_several_processes_with_several_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRACK, str(path), str(number), str(THREADS), str(USES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert ([process.returncode for process in processes], said) == ([0] * PROCESSES, [""] * PROCESSES)
    with closing(open_store(path)) as store:
        assert store.first_difference() is None
        counted = {each.skill_name: each for each in store.all_metrics()}
        shared = counted.pop("shared")
        assert (shared.total_invocations, shared.completed_invocations) == (USES, USES)
        assert shared.total_duration_seconds == USES
        every = PROCESSES * THREADS * USES
        assert sum(each.total_invocations for each in counted.values()) == every
        assert sum(each.workflow_paths["quick"] for each in counted.values()) == every
        completed = sum(1 for number in range(USES) if number % 5 and number % 2)
        assert sum(each.completed_invocations for each in counted.values()) == PROCESSES * THREADS * completed
        sessions = [store.session_skills(f"{p}-{t}") for p in range(PROCESSES) for t in range(THREADS)]
        assert [sum(line.invocation_count for line in lines) for lines in sessions] == [USES] * len(sessions)
        assert sum(each.running_invocations for each in counted.values()) == 0
