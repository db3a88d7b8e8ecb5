"""One sweep, from what it finds to what it leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from service.learning.outcomes import Learning
from service.settings import Settings
from service.upkeep import Sweep, back_up, backup_due_s, sweep
from service.work.sessions import session_report
from store.clock import format_time
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome, NewSession
from store.protocol import Store
from store.query_hash import hash_of
from store.sqlite import list_backups, open_store

WORDS = "where is the treasure buried"


@pytest.fixture
def store(tmp_path: Path, clock: Any) -> Iterator[Store]:
    store = open_store(tmp_path / "x.db", clock=clock)
    store.record_search(
        SearchRecord(
            id="q",
            searched_at=format_time(clock()),
            query=WORDS,
            query_hash=hash_of(WORDS),
            query_vector=np.ones(8, dtype=np.float32).tobytes(),
            model_id="m",
            session_id="s",
            user_id=None,
            project_id=None,
            filters={},
            weights_version="w",
            explored=False,
            confidence="high",
            degraded=[],
            elapsed_ms=1.0,
            results=[ServedSkill(position=1, skill_name="dig", score=1.0, components={})],
        )
    )
    store.start_invocation(NewInvocation(id="u", skill_name="dig", session_id="s", search_id="q", user_query=WORDS))
    store.finish_invocation("u", NewOutcome(outcome="completed"))
    store.start_invocation(NewInvocation(id="open", skill_name="sail", session_id="s"))
    yield store
    store.close()


def settings(**told: Any) -> Settings:
    return Settings(data_dir=Path("unused"), **told)


NOTHING = Sweep(abandoned_uses=0, ended_sessions=0, refreshed_percentiles=0, forgotten_searches=0, forgotten_uses=0)


def test_nothing_is_forgotten_unless_that_is_asked_for(store: Store, clock: Any) -> None:
    clock.advance(days=4000)
    done = sweep(store, Learning(store), settings())
    assert done == msgspec.structs.replace(NOTHING, abandoned_uses=1, ended_sessions=1)
    assert store.search("q").query == WORDS
    assert sweep(store, Learning(store), settings()) == NOTHING


def test_what_is_fresh_is_left_alone(store: Store, clock: Any) -> None:
    clock.advance(hours=1)
    sweep(store, Learning(store), settings())
    assert sweep(store, Learning(store), settings(keep_searches_days=1.0)) == NOTHING


def test_percentiles_of_skills_whose_uses_have_no_session_are_computed(store: Store) -> None:
    for number in range(30):
        for use in range(2):
            identifier = f"{number} {use}"
            store.start_invocation(NewInvocation(id=identifier, skill_name=f"skill {number}"))
            store.finish_invocation(identifier, NewOutcome(outcome="completed", duration_seconds=float(use)))
    # `dig` was used in the session, which has not ended.
    assert sweep(store, Learning(store), settings()).refreshed_percentiles == 31
    metrics = store.skill_metrics("skill 7")
    assert metrics is not None
    assert (metrics.p50_duration_seconds, metrics.percentile_count) == (0.5, 2)
    assert sweep(store, Learning(store), settings()) == NOTHING


@pytest.mark.parametrize("hours", [1e12, float("inf")])
def test_limits_longer_than_the_calendar_mean_never(store: Store, clock: Any, hours: float) -> None:
    clock.advance(days=4000)
    sweep(store, Learning(store), settings())
    assert sweep(store, Learning(store), settings(open_limit_hours=hours, session_idle_hours=hours)) == NOTHING


def test_a_backup_is_due_when_the_last_one_is_old_or_from_the_future(store: Store, tmp_path: Path) -> None:
    told = Settings(data_dir=tmp_path)
    assert backup_due_s(told, 2.0) == 0
    report, pruned = back_up(store, told, moment=datetime(2026, 1, 1, tzinfo=UTC))
    assert pruned == []
    assert 0 < backup_due_s(told, 2.0) <= 7200
    for hours in (-3, 3):
        moment = time.time() + 3600 * hours
        os.utime(report.path, (moment, moment))
        assert backup_due_s(told, 2.0) == 0


def test_of_the_service_s_backups_the_last_seven_are_kept(store: Store, tmp_path: Path) -> None:
    told = Settings(data_dir=tmp_path)
    made = [back_up(store, told, moment=datetime(2026, 1, 30 - day, tzinfo=UTC))[0].path for day in range(9)]
    assert [str(path) for path in list_backups(told.backups_dir)] == made[2:]


def test_a_session_that_nobody_ended_has_its_report_kept(store: Store, clock: Any) -> None:
    clock.advance(hours=30)
    sweep(store, Learning(store), settings(session_idle_hours=2))
    assert store.session("s").ended_at == format_time(clock())
    assert store.session_report("s", lambda _: pytest.fail("it was not kept"))["outcomes"] == {
        "abandoned": 1,
        "completed": 1,
    }
    assert session_report(store, "s").searches == 1


def test_what_was_learnt_of_a_query_outlives_it(store: Store, clock: Any) -> None:
    clock.advance(days=3)
    done = sweep(store, Learning(store), settings(keep_searches_days=2.0, keep_queries=False))
    assert (done.forgotten_searches, done.forgotten_uses) == (1, 1)
    assert store.search("q").query_vector is None
    learnt = store.evidence_since(-1, -1, -1)
    assert [cell.queries for cell in learnt.cells] == [1]
    assert any(row[0] == "dig" and row[2] == learnt.cells[0].id for row in learnt.sums)


def test_many_idle_sessions_are_ended_in_one_sweep(store: Store, clock: Any) -> None:
    for number in range(30):
        store.start_session(NewSession(id=f"idle {number}"))
    clock.advance(days=2)
    assert sweep(store, Learning(store), settings()).ended_sessions == 31


def test_what_killed_backups_left_is_swept(store: Store, tmp_path: Path) -> None:
    told = Settings(data_dir=tmp_path)
    told.backups_dir.mkdir()
    left = told.backups_dir / ".skillrank-backup-0123456789abcdef.partial"
    left.touch()
    sweep(store, Learning(store), told)
    assert left.exists()  # it may be a running one's
    os.utime(left, (0, 0))
    sweep(store, Learning(store), told)
    assert not left.exists()
