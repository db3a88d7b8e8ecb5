"""A process that tracks is killed at a random moment, again and again: what it was told is recorded is recorded.

``SKILLRANK_CRASH_ROUNDS=50`` makes a campaign of it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw

from store.sqlite import open_store

ROUNDS = int(os.environ.get("SKILLRANK_CRASH_ROUNDS", "4"))

# Each line is one write to a pipe, made after the store has answered; several threads keep the commits grouped.
TRACK = """
import os, sys, threading
from datetime import timedelta
from pathlib import Path
from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import open_store

store = open_store(Path(sys.argv[1]))
crash = sys.argv[2]

def say(*words):
    os.write(1, (" ".join(words) + chr(10)).encode())

def track(thread):
    number = 0
    while True:
        number += 1
        use_id = f"{crash}-{thread}-{number}"
        session = f"{crash}-{thread}-{number // 10}"
        store.start_invocation(NewInvocation(
            skill_name=f"skill {number % 5}", id=use_id, session_id=session, workflow_path="quick"))
        say("started", use_id)
        if number % 3:
            outcome = ("completed", "failed")[number % 2]
            store.finish_invocation(use_id, NewOutcome(outcome=outcome, duration_seconds=number / 16))
            say(outcome, use_id)
        if number % 10 == 9:
            store.end_session(session)
            say("ended", session)
        if number % 40 == 0:
            report = store.import_invocations([
                (NewInvocation(skill_name="imported", id=f"{use_id}-{row}"), NewOutcome(outcome="completed"))
                for row in range(20)])
            say("imported", use_id)

for thread in range(4):
    threading.Thread(target=track, args=(thread,)).start()
"""


def run_until_killed(path: Path, crash: int, chance: random.Random) -> list[tuple[str, str]]:
    """Track, kill the process after a random number of answers, and return every answer it gave."""
    process = subprocess.Popen([sys.executable, "-c", TRACK, str(path), str(crash)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(chance.randint(1, 600))]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    assert process.wait(20) == -signal.SIGKILL
    whole = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return [(word, key) for word, key in whole]


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "crash.db"
    chance = random.Random(20260304)
    answered: list[tuple[str, str]] = []
    for crash in range(ROUNDS):
        answered += run_until_killed(path, crash, chance)
        with closing(open_store(path)) as store:
            assert store.first_difference() is None, f"after crash {crash}"
            for word, key in answered:
                match word:
                    case "started":
                        store.invocation(key)
                    case "completed" | "failed":
                        assert store.invocation(key).outcome == word
                    case "ended":
                        assert store.session(key).ended_at is not None
                    case "imported":
                        assert [store.invocation(f"{key}-{row}").outcome for row in range(20)] == ["completed"] * 20
                    case other:
                        raise AssertionError(f"the process said {other}")
        with closing(apsw.Connection(str(path))) as connection:
            assert connection.pragma("integrity_check") == "ok"
    assert len(answered) > ROUNDS
