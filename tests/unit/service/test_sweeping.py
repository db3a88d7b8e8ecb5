"""One sweep, from what it finds to what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.learning.outcomes import Learning
from service.settings import Settings
from service.upkeep import Sweep, sweep
from service.work.sessions import session_report
from store.clock import format_time
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome, NewSession
from store.protocol import Store
from store.query_hash import hash_of
from store.sqlite import open_store

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


def test_nothing_is_forgotten_unless_that_is_asked_for(store: Store, clock: Any) -> None:
    clock.advance(days=4000)
    done = sweep(store, Learning(store), settings())
    assert done == Sweep(abandoned_uses=1, ended_sessions=1, forgotten_searches=0, forgotten_uses=0)
    assert store.search("q").query == WORDS
    assert sweep(store, Learning(store), settings()) == Sweep(
        abandoned_uses=0, ended_sessions=0, forgotten_searches=0, forgotten_uses=0
    )


def test_what_is_fresh_is_left_alone(store: Store, clock: Any) -> None:
    clock.advance(hours=1)
    done = sweep(store, Learning(store), settings(keep_searches_days=1.0))
    assert done == Sweep(abandoned_uses=0, ended_sessions=0, forgotten_searches=0, forgotten_uses=0)


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
