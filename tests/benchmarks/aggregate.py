"""The aggregator and the insights page on a long log, as ratios to bare statements on the same log.

python -m tests.benchmarks.aggregate [--rows 1000000] [--projects 40] [--skills 200] [--keep FOLDER]

The floor of a full run is one GROUP BY over the joined log by project, skill and day, with nothing written; of an
incremental run, the same over the days that the new rows touch; of the insights page, the four GROUP BYs over the
counted rows that it cannot do without.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import apsw

from service.analysis.aggregation import Aggregation
from service.analysis.engine import Analysis
from store.clock import format_time
from store.contract.aggregates import MetricsFilter
from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import SqliteStore, open_store
from store.sqlite.connection import open_connection
from tests.benchmarks.figures import line, seconds_of, verdict

DAYS = 90
BATCH = 20_000
NOW = datetime.now(UTC)
_FULL = """
SELECT substr(i.invoked_at, 1, 10), i.skill_name, i.project_id, count(*), sum(o.outcome = 'completed'),
       sum(o.outcome = 'failed'), sum(o.duration_seconds)
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id {where} GROUP BY 1, 2, 3
"""
_PAGE = (
    "SELECT project_id, skill_name, sum(invocations), sum(completed) FROM cross_project_metrics GROUP BY 1, 2",
    "SELECT skill_name, day, sum(invocations), sum(completed) FROM cross_project_metrics GROUP BY 1, 2",
    "SELECT skill_name, min(day), max(day), count(DISTINCT day) FROM cross_project_metrics GROUP BY 1",
    "SELECT skill_name, project_id, count(DISTINCT user_id) FROM cross_project_user GROUP BY 1, 2",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--projects", type=int, default=40)
    parser.add_argument("--skills", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="a folder whose log is used again, or made there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        log = open_store(folder / "log.db")
        _fill(log, arguments.rows, arguments.projects, arguments.skills)
        with closing(open_connection(folder / "log.db", readonly=True)) as bare:
            _full(folder, bare)
            _incremental(log, bare, arguments.projects, arguments.skills)
            _page(log, bare)
        log.close()


def _fill(store: SqliteStore, wanted: int, projects: int, skills: int) -> None:
    present = sum(each.total_invocations for each in store.all_metrics())
    chance = random.Random(present)
    moments = sorted(chance.random() * DAYS for _ in range(max(0, wanted - present)))
    seconds = 0.0
    for start in range(0, len(moments), BATCH):
        batch = [_use(chance, DAYS - moment, projects, skills) for moment in moments[start : start + BATCH]]
        seconds += seconds_of(partial(store.import_invocations, batch))
    print(
        f"a log of {present + len(moments)} uses, {store.health().size_bytes / 1e6:.0f} MB; filled in {seconds:.0f} s"
    )


def _use(chance: random.Random, days_ago: float, projects: int, skills: int) -> tuple[NewInvocation, NewOutcome]:
    moment = NOW - timedelta(days=days_ago)
    # Skills are used as words are; each project has people of its own.
    skill = min(int(chance.paretovariate(0.6)) - 1, skills - 1) if chance.random() < 0.5 else chance.randrange(skills)
    project = chance.randrange(projects)
    invocation = NewInvocation(
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        skill_name=f"skill-{skill}",
        invoked_at=format_time(moment),
        user_id=f"user-{project}-{chance.randrange(6)}",
        project_id=f"project-{project}",
    )
    outcome = "completed" if chance.random() < 0.8 else "failed"
    return invocation, NewOutcome(outcome=outcome, duration_seconds=chance.lognormvariate(2, 1), source="import")  # type: ignore[arg-type]


def _full(folder: Path, bare: apsw.Connection) -> None:
    runs, floors = [], []
    for _ in range(3):
        floors.append(seconds_of(partial(_all, bare, _FULL.format(where=""))))
        target = open_store(folder / f"target-{uuid.uuid4()}.db")
        runs.append(seconds_of(partial(target.aggregate, folder / "log.db")))
        target.close()
        for path in folder.glob("target-*"):
            path.unlink()
    _told("full run", runs, "GROUP BY of the joined log", floors, unit="s", scale=1.0)


def _incremental(log: SqliteStore, bare: apsw.Connection, projects: int, skills: int) -> None:
    log.aggregate()
    chance, runs, floors = random.Random(), [], []
    for _ in range(9):
        log.import_invocations([_use(chance, chance.random() * 0.1, projects, skills) for _ in range(1000)])
        today = format_time(NOW - timedelta(days=0.1))[:10]
        floors.append(seconds_of(partial(_all, bare, _FULL.format(where=f"WHERE i.invoked_at >= '{today}'"))))
        runs.append(seconds_of(log.aggregate))
    _told("1,000 new uses of today", runs, "GROUP BY of today, found by a scan", floors, unit="ms", scale=1e3)
    runs = []
    for _ in range(5):
        log.import_invocations([_use(chance, chance.random() * DAYS, projects, skills) for _ in range(1000)])
        runs.append(seconds_of(log.aggregate))
    print(line("1,000 new uses of any of 90 days", runs, "ms", scale=1e3))
    print(line("nothing new", [seconds_of(log.aggregate) for _ in range(30)], "ms", scale=1e3))


def _page(log: SqliteStore, bare: apsw.Connection) -> None:
    Aggregation(log).run()
    print(f"counted rows: {_all(bare, 'SELECT count(*) FROM cross_project_metrics')[0][0]}")
    floors = [seconds_of(lambda: [_all(bare, sql) for sql in _PAGE]) for _ in range(5)]
    Analysis(log).report()  # SciPy is imported once a process
    anew = [seconds_of(lambda: Analysis(log).report()) for _ in range(5)]
    _told("insights page, counts changed", anew, "four GROUP BYs of the counted rows", floors, unit="ms", scale=1e3)
    analysis = Analysis(log)
    analysis.report()
    print(line("insights page, counts as before", [seconds_of(analysis.report) for _ in range(30)], "ms", scale=1e3))
    rows = partial(log.day_metrics, MetricsFilter(skill_name="skill-7"))
    print(line("rows behind one insight", [seconds_of(rows) for _ in range(30)], "ms", scale=1e3))


def _all(connection: apsw.Connection, sql: str) -> list[tuple[object, ...]]:
    return connection.execute(sql).fetchall()


def _told(name: str, runs: list[float], floor: str, floors: list[float], *, unit: str, scale: float) -> None:
    print(line(name, runs, unit, scale=scale))
    print(line(f"  floor: {floor}", floors, unit, scale=scale))
    print(verdict("  ratio", statistics.median(runs) / statistics.median(floors), 3.0, at_most=True), flush=True)


if __name__ == "__main__":
    main()
