"""Any interleaving of tracking calls, against a model in plain Python.

The model keeps the uses as a dictionary and adds them up anew at every step; the store must say the same. The size is
that of `make test`; ``HYPOTHESIS_PROFILE=campaign`` runs a long one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import Conflict, NotFound
from store.protocol import Store

SKILLS = st.sampled_from(["lint", "test", "review"])
SESSIONS = st.none() | st.sampled_from(["s1", "s2", "s3"])
PATHS = st.none() | st.sampled_from(["quick", "full", "quick check"])
OUTCOMES = st.sampled_from(["completed", "completed", "failed", "abandoned", "cancelled"])
ERRORS = st.none() | st.sampled_from(["ValueError", "KeyError"])
ACTIONS = st.lists(st.sampled_from(["commit", "push"]), max_size=3)
# Whole microseconds: the store's sums are exact to these.
DURATIONS = st.none() | st.integers(0, 10**9).map(lambda us: us / 1e6)
JUMPS = st.integers(-200_000_000_000, 400_000_000_000).map(lambda us: timedelta(microseconds=us))
WHICH = st.sampled_from([0, 1])
ENDINGS = st.builds(
    NewOutcome, outcome=OUTCOMES, duration_seconds=DURATIONS, error_type=ERRORS, follow_up_actions=ACTIONS
)


@dataclass
class Use:
    """What the model knows of one use."""

    start: NewInvocation
    invoked_at: datetime
    ended: NewOutcome | None = None
    seconds: float | None = None

    @property
    def timed(self) -> float | None:
        return self.seconds if self.ended is not None and self.ended.outcome == "completed" else None


@dataclass
class Model:
    """The log, and when its sessions began and ended."""

    uses: dict[str, Use] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    percentiles: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def begin(self, use_id: str, start: NewInvocation, now: datetime) -> None:
        self.uses[use_id] = Use(start, now)
        if start.session_id is not None:
            self.started.setdefault(start.session_id, now)

    def finish(self, use: Use, ending: NewOutcome, now: datetime) -> None:
        elapsed = max((now - use.invoked_at).total_seconds(), 0.0)
        use.ended = ending
        use.seconds = elapsed if ending.duration_seconds is None else ending.duration_seconds

    def open_uses(self) -> dict[str, Use]:
        return {use_id: use for use_id, use in self.uses.items() if use.ended is None}

    def of_session(self, session_id: str) -> list[Use]:
        return [use for use in self.uses.values() if use.start.session_id == session_id]

    def refresh_percentiles(self, skill: str) -> None:
        timed = [use.timed for use in self.uses.values() if use.start.skill_name == skill and use.timed is not None]
        self.percentiles[skill] = tuple(
            float(np.percentile(timed, share)) if len(timed) >= needed else None
            for share, needed in ((50, 2), (95, 20), (99, 100))
        )

    def metrics(self, skill: str) -> dict[str, Any]:
        """Add up one skill's uses."""
        uses = [use for use in self.uses.values() if use.start.skill_name == skill]
        endings = [use.ended for use in uses if use.ended is not None]
        outcomes = Counter(ending.outcome for ending in endings)
        timed = [use.timed for use in uses if use.timed is not None]
        total_us = sum(round(seconds * 1e6) for seconds in timed)
        p50, p95, p99 = self.percentiles.get(skill, (None, None, None))
        return {
            "total_invocations": len(uses),
            "completed_invocations": outcomes["completed"],
            "abandoned_invocations": len(endings) - outcomes["completed"],
            "failed_invocations": outcomes["failed"],
            "cancelled_invocations": outcomes["cancelled"],
            "running_invocations": len(uses) - len(endings),
            "timed_completions": len(timed),
            "total_duration_seconds": total_us / 1e6,
            "avg_duration_seconds": total_us / 1e6 / len(timed) if timed else None,
            "min_duration_seconds": min(timed, default=None),
            "max_duration_seconds": max(timed, default=None),
            "completion_rate": 100 * outcomes["completed"] / len(endings) if endings else None,
            "first_invoked": written(min(use.invoked_at for use in uses)),
            "last_invoked": written(max(use.invoked_at for use in uses)),
            "workflow_paths": dict(Counter(use.start.workflow_path for use in uses if use.start.workflow_path)),
            "common_errors": dict(Counter(ending.error_type for ending in endings if ending.error_type)),
            "follow_up_actions": dict(Counter(action for ending in endings for action in ending.follow_up_actions)),
            "p50_duration_seconds": p50 if p50 is None else pytest.approx(p50, rel=1e-9),
            "p95_duration_seconds": p95 if p95 is None else pytest.approx(p95, rel=1e-9),
            "p99_duration_seconds": p99 if p99 is None else pytest.approx(p99, rel=1e-9),
        }


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Tracking(RuleBasedStateMachine):
    """Two stores on one database, and the model beside them."""

    ids: Bundle[str] = Bundle("ids")

    def __init__(self, open_store: Callable[[], Store], clock: Any) -> None:
        super().__init__()
        self.open_store = open_store
        self.clock = clock
        self.stores = [open_store(), open_store()]
        self.model = Model()
        self.numbers = itertools.count()

    def teardown(self) -> None:
        for store in self.stores:
            store.close()

    @initialize(target=ids)
    def an_id_that_nobody_started(self) -> str:
        return "unknown"

    # --- starting

    @rule(target=ids, which=WHICH, skill=SKILLS, session=SESSIONS, path=PATHS)
    def start(self, which: int, skill: str, session: str | None, path: str | None) -> str:
        use_id = f"use-{next(self.numbers)}"
        start = NewInvocation(skill_name=skill, id=use_id, session_id=session, workflow_path=path)
        recorded = self.stores[which].start_invocation(start)
        assert recorded.invoked_at == written(self.clock())
        self.model.begin(use_id, start, self.clock())
        return use_id

    @rule(which=WHICH, use_id=ids)
    def start_the_same_again(self, which: int, use_id: str) -> None:
        use = self.model.uses.get(use_id)
        if use is not None:
            assert self.stores[which].start_invocation(use.start).invoked_at == written(use.invoked_at)

    @rule(which=WHICH, use_id=ids, skill=SKILLS, session=SESSIONS)
    def start_something_under_a_known_id(self, which: int, use_id: str, skill: str, session: str | None) -> None:
        use = self.model.uses.get(use_id)
        start = NewInvocation(skill_name=skill, id=use_id, session_id=session, workflow_path="other")
        if use is not None and use.start != start:
            with pytest.raises(Conflict):
                self.stores[which].start_invocation(start)

    # --- finishing

    @rule(which=WHICH, use_id=ids, ending=ENDINGS)
    def finish(self, which: int, use_id: str, ending: NewOutcome) -> None:
        store, use = self.stores[which], self.model.uses.get(use_id)
        if use is None:
            with pytest.raises(NotFound):
                store.finish_invocation(use_id, ending)
        elif use.ended is None:
            assert store.finish_invocation(use_id, ending).changed
            self.model.finish(use, ending, self.clock())
        elif same_ending(use, ending):
            assert not store.finish_invocation(use_id, ending).changed
        else:
            with pytest.raises(Conflict) as refused:
                store.finish_invocation(use_id, ending)
            assert refused.value.recorded["outcome"] == use.ended.outcome

    @rule(which=WHICH, use_id=ids)
    def finish_the_same_again(self, which: int, use_id: str) -> None:
        use = self.model.uses.get(use_id)
        if use is not None and use.ended is not None:
            assert not self.stores[which].finish_invocation(use_id, use.ended).changed

    # --- many at once

    @rule(
        target=ids,
        which=WHICH,
        work=st.fixed_dictionaries({"skill_name": SKILLS, "session_id": SESSIONS, "workflow_path": PATHS}),
        endings=st.lists(st.none() | ENDINGS, min_size=1, max_size=60),
        known=st.lists(ids, max_size=3),
        since=st.integers(0, 10**12).map(lambda us: timedelta(microseconds=us)),
    )
    def import_some(
        self,
        which: int,
        work: dict[str, Any],
        endings: list[NewOutcome | None],
        known: list[str],
        since: timedelta,
    ) -> str:
        moment = self.clock() - since
        rows = []
        for use_id in [*known, *(f"use-{next(self.numbers)}" for _ in endings)]:
            start = NewInvocation(id=use_id, invoked_at=written(moment), **work)
            rows.append((start, endings[len(rows) % len(endings)]))
        new = {start.id for start, _ in rows} - self.model.uses.keys()
        report = self.stores[which].import_invocations(rows)
        assert (report.imported, report.duplicates, report.refused) == (len(new), len(rows) - len(new), [])
        for start, ending in rows:
            if start.id in self.model.uses:
                continue
            self.model.begin(str(start.id), start, moment)
            if ending is not None:
                use = self.model.uses[str(start.id)]
                use.ended, use.seconds = ending, ending.duration_seconds
        return str(rows[-1][0].id)

    @rule(which=WHICH, session=st.sampled_from(["s1", "s2", "s3"]))
    def end_session(self, which: int, session: str) -> None:
        store = self.stores[which]
        if session not in self.model.started:
            with pytest.raises(NotFound):
                store.end_session(session)
            return
        end = store.end_session(session)
        assert end.skills == sorted({use.start.skill_name for use in self.model.of_session(session)})
        opened = {use_id for use_id, use in self.model.open_uses().items() if use.start.session_id == session}
        if session in self.model.ended and not opened:
            assert (end.changed, end.abandoned) == (False, [])
            return
        now = self.clock()
        assert (end.changed, set(end.abandoned)) == (True, opened)
        for use_id in opened:
            self.model.finish(self.model.uses[use_id], NewOutcome(outcome="abandoned", source="session_end"), now)
        for skill in end.skills:
            self.model.refresh_percentiles(skill)
        before = self.model.ended.get(session, now)
        self.model.ended[session] = max(now, before, self.model.started[session])
        assert end.session.ended_at == written(self.model.ended[session])

    @rule(which=WHICH, older_than=st.integers(0, 200_000).map(lambda seconds: timedelta(seconds=seconds)))
    def sweep(self, which: int, older_than: timedelta) -> None:
        now = self.clock()
        stale = {use_id for use_id, use in self.model.open_uses().items() if use.invoked_at < now - older_than}
        assert set(self.stores[which].abandon_stale(older_than)) == stale
        for use_id in stale:
            self.model.finish(self.model.uses[use_id], NewOutcome(outcome="abandoned", source="sweep"), now)

    # --- the world around

    @rule(jump=JUMPS)
    def the_clock_jumps(self, jump: timedelta) -> None:
        self.clock.moment += jump

    @rule(which=WHICH)
    def a_store_is_opened_anew(self, which: int) -> None:
        self.stores[which].close()
        self.stores[which] = self.open_store()

    @rule(which=WHICH)
    def metrics_are_rebuilt(self, which: int) -> None:
        self.stores[which].rebuild()
        for skill in {use.start.skill_name for use in self.model.uses.values()}:
            self.model.refresh_percentiles(skill)

    # --- over time

    @rule(
        which=WHICH,
        skill=SKILLS,
        unit=st.sampled_from(["minute", "hour", "day", "week"]),
        count=st.integers(1, 300),
    )
    def look_at_the_timeline(self, which: int, skill: str, unit: Any, count: int) -> None:
        now = self.clock()
        step = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}[unit]
        since = max(now - timedelta(seconds=count * step), datetime(1971, 1, 1, tzinfo=UTC))
        buckets = self.stores[which].timeline(skill, window=now - since, bucket=unit)
        starts = [datetime.fromisoformat(bucket.time_bucket) for bucket in buckets]
        assert starts[0] <= since
        assert starts[-1] <= now < starts[-1] + timedelta(seconds=step)
        assert all(after - before == timedelta(seconds=step) for before, after in itertools.pairwise(starts))
        for bucket, start in zip(buckets, starts, strict=True):
            uses = [
                use
                for use in self.model.uses.values()
                if use.start.skill_name == skill
                and start <= use.invoked_at < start + timedelta(seconds=step)
                and use.invoked_at <= now
            ]
            endings = [use.ended for use in uses if use.ended is not None]
            timed = [use.timed for use in uses if use.timed is not None]
            assert (bucket.invocations, bucket.finished) == (len(uses), len(endings))
            assert bucket.completed == sum(ending.outcome == "completed" for ending in endings)
            assert bucket.avg_duration == (pytest.approx(float(np.mean(timed))) if timed else None)

    # --- what must hold

    @invariant()
    def metrics_are_what_the_log_adds_up_to(self) -> None:
        assert self.stores[0].first_difference() is None

    @invariant()
    def metrics_are_what_the_model_adds_up_to(self) -> None:
        kept = {each.skill_name: each for each in self.stores[1].all_metrics()}
        assert kept.keys() == {use.start.skill_name for use in self.model.uses.values()}
        for skill, metrics in kept.items():
            expected = self.model.metrics(skill)
            assert {name: getattr(metrics, name) for name in expected} == expected

    @invariant()
    def sessions_are_what_the_model_adds_up_to(self) -> None:
        for session in self.model.started:
            kept = {each.skill_name: each for each in self.stores[0].session_skills(session)}
            uses = self.model.of_session(session)
            assert kept.keys() == {use.start.skill_name for use in uses}
            for skill, line in kept.items():
                own = [use for use in uses if use.start.skill_name == skill]
                endings = [use.ended for use in own if use.ended is not None]
                completed = sum(ending.outcome == "completed" for ending in endings)
                assert (line.invocation_count, line.completed_count, line.abandoned_count) == (
                    len(own),
                    completed,
                    len(endings) - completed,
                )
                assert line.first_invoked_at == written(min(use.invoked_at for use in own))
                assert line.last_invoked_at == written(max(use.invoked_at for use in own))
                seconds = [use.timed for use in own if use.timed is not None]
                assert line.total_duration_seconds == sum(round(each * 1e6) for each in seconds) / 1e6

    @invariant()
    def the_summary_is_what_the_model_adds_up_to(self) -> None:
        summary = self.stores[1].summary()
        endings = [use.ended for use in self.model.uses.values() if use.ended is not None]
        completed = sum(ending.outcome == "completed" for ending in endings)
        assert (summary.total_invocations, summary.finished_invocations) == (len(self.model.uses), len(endings))
        assert summary.completed_invocations == completed

    @invariant()
    def health_counts_what_is_open(self) -> None:
        assert self.stores[0].health().open_invocations == len(self.model.open_uses())


def same_ending(use: Use, asked: NewOutcome) -> bool:
    recorded = use.ended
    return (
        recorded is not None
        and (recorded.outcome, recorded.error_type, recorded.follow_up_actions)
        == (asked.outcome, asked.error_type, asked.follow_up_actions)
        and asked.duration_seconds in {None, use.seconds}
    )


def test_any_interleaving_of_calls_leaves_what_a_model_in_plain_python_has(
    new_database: Callable[[], Callable[[], Store]], clock: Any
) -> None:
    began = clock.moment

    def machine() -> Tracking:
        clock.moment = began
        return Tracking(new_database(), clock)

    run_state_machine_as_test(machine)
