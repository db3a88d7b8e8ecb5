"""Whatever is called, in whatever order, repeated or at once: the signals are the set that the rules define.

The rules stand here a second time, as plain Python over sets; the charts must equal a recount of that set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.work.projects import complete_project, join_project, record_progress_update
from service.work.signals import SignalOutcome, emit_skill_signals
from store.clock import format_time
from store.contract.projects import (
    NewMentorshipSession,
    NewProgressUpdate,
    NewProject,
    SkillDeclaration,
    WorkTransaction,
)
from store.contract.signals import Signal, SignalFilter
from store.errors import Conflict, NotFound
from store.protocol import Store

SKILLS = ["sql", "python", "rust", "negotiation"]
CATEGORY = {"sql": "data", "python": "code", "rust": "code"}
PROJECTS = ["p", "q"]
USERS = ["ann", "bob", "cid"]

projects, users = st.sampled_from(PROJECTS), st.sampled_from(USERS)
scopes = st.lists(st.sampled_from(SKILLS), max_size=4)
calls = st.one_of(
    st.tuples(st.just("declare"), projects, scopes),
    st.tuples(st.just("join"), projects, users),
    st.tuples(st.just("complete"), projects),
    st.tuples(st.just("update"), projects, users, st.sampled_from([None, "k", "l"]), st.sampled_from(["a", "b"])),
    st.tuples(st.just("mentor"), projects, users),
    st.tuples(st.just("emit"), users, st.sampled_from(["project", "update", "mentorship", None]), scopes),
    st.tuples(st.just("wait"), st.integers(-3 * 86_400, 5 * 86_400)),
)
SignalKey = tuple[str, str, str, str, str]


@dataclass
class Rules:
    """What the document says, over sets: (user, skill, source type, source, signal type) with its time."""

    scope: dict[str, list[str]] = field(default_factory=lambda: {project: [] for project in PROJECTS})
    members: dict[str, set[str]] = field(default_factory=lambda: {project: set() for project in PROJECTS})
    keys: dict[tuple[str, str, str], str] = field(default_factory=dict)
    signals: dict[SignalKey, tuple[str, datetime]] = field(default_factory=dict)

    def emit(self, user: str, source_type: str, source: str, signal_type: str, project: str, now: datetime) -> int:
        before = len(self.signals)
        for skill in self.scope[project]:
            self.signals.setdefault((user, skill, source_type, source, signal_type), (project, now))
        return len(self.signals) - before


def declared(store: Store, project_id: str, names: list[str]) -> None:
    def work(transaction: WorkTransaction) -> None:
        # Ideas are every skill there is: had they any effect, everything below would differ.
        transaction.add_project(NewProject(id=project_id, name=project_id, metadata={"skill_ideas": SKILLS}))
        wanted = [SkillDeclaration(skill_name=name, category=CATEGORY.get(name)) for name in names]
        transaction.declare_skills(project_id, wanted, add_missing=True)

    store.transaction(work)


def apply(store: Store, rules: Rules, clock: Any, call: tuple[Any, ...]) -> None:
    """Make one call on the store and on the rules; the outcome must be what the rules say."""
    now = clock.moment
    match call:
        case ("declare", project, names):
            declared(store, project, names)
            rules.scope[project] = list(dict.fromkeys(names))
        case ("join", project, user):
            rules.members[project].add(user)
            inserted = rules.emit(user, "project", project, "joined", project, now)
            _same(join_project(store, project, user).signals, inserted, len(rules.scope[project]))
        case ("complete", project):
            inserted = sum(
                rules.emit(user, "project", project, "completed", project, now) for user in rules.members[project]
            )
            outcome = complete_project(store, project).signals
            _same(outcome, inserted, len(rules.scope[project]) * len(rules.members[project]))
        case ("update", project, user, key, text):
            new = NewProgressUpdate(project_id=project, user_id=user, content=text, idempotency_key=key)
            kept = rules.keys.get((project, user, key)) if key else None
            if kept not in {None, text}:
                with pytest.raises(Conflict):
                    record_progress_update(store, new)
                return
            recorded = record_progress_update(store, new)
            assert recorded.new == (kept is None)
            inserted = 0
            if kept is None:
                rules.keys[project, user, key or recorded.update.id] = text
                inserted = rules.emit(user, "update", recorded.update.id, "update", project, now)
            _same(recorded.signals, inserted, inserted)
        case ("mentor", project, user):
            session = NewMentorshipSession(
                intern_id=user, mentor_id="mentor", session_focus="python and sql", project_id=project
            )
            store.transaction(lambda work: work.add_mentorship_session(session))
        case ("emit", user, source_type, names):
            _emit_what_is_no_evidence(store, user, source_type, names)
        case ("wait", seconds):
            clock.advance(seconds=seconds)


def _same(outcome: SignalOutcome, inserted: int, asked: int) -> None:
    assert (outcome.inserted, outcome.skipped) == (inserted, asked - inserted)
    assert (outcome.reason is None) == (asked == inserted and asked > 0)


def _emit_what_is_no_evidence(store: Store, user: str, source_type: str | None, names: list[str]) -> None:
    """Call the emitter for an event that never was: nothing may come of it."""
    known = {skill.skill_name: skill.id for skill in store.skills(declared=True)}
    told: dict[str, Any] = {
        "user_id": user,
        "source_type": source_type,
        "source_id": "never recorded",
        "signal_type": "update",
        "skill_ids": [known[name] for name in names if name in known],
    }
    if source_type in {"project", "update"} and told["skill_ids"]:
        with pytest.raises(NotFound):
            emit_skill_signals(store, **told)
    else:
        assert emit_skill_signals(store, **told).inserted == 0


def all_signals(store: Store) -> list[Signal]:
    found, cursor = [], None
    while True:
        page = store.signal_activity(SignalFilter(), cursor=cursor, limit=7)
        found += page.signals
        cursor = page.next
        if cursor is None:
            return found


def key_of(signal: Signal) -> SignalKey:
    return (signal.user_id, signal.skill_name, signal.source_type, signal.source_id, signal.signal_type)


def check_charts(store: Store, rules: Rules, now: datetime) -> None:
    """Compare every chart with a recount of the rules' set, unfiltered and with every single filter."""
    filters = [
        {},
        *({"user_id": user} for user in USERS),
        *({"project_id": project} for project in PROJECTS),
        *({"category": category} for category in ("data", "code")),
        {"since": format_time(now - timedelta(days=2)), "until": format_time(now)},
        {"user_id": "ann", "project_id": "p", "since": format_time(now - timedelta(days=9))},
    ]
    for wanted in filters:
        counted = [
            (skill, moment)
            for (user, skill, *_), (project, moment) in rules.signals.items()
            if wanted.get("user_id", user) == user
            and wanted.get("project_id", project) == project
            and wanted.get("category", CATEGORY.get(skill)) == CATEGORY.get(skill)
            and wanted.get("since", "") <= format_time(moment) < wanted.get("until", "a")
        ]
        chart = store.signal_distribution(SignalFilter(**wanted))
        assert {each.skill_name: each.signals for each in chart.skills} == Counter(skill for skill, _ in counted)
        assert {each.category: each.signals for each in chart.categories} == Counter(
            CATEGORY.get(skill) for skill, _ in counted
        )
        assert len(store.signal_activity(SignalFilter(**wanted), limit=500).signals) == min(len(counted), 500)
        momentum = store.signal_momentum(SignalFilter(**wanted), bucket="day", window=timedelta(days=400))
        inside = [moment for _, moment in counted if momentum.since <= format_time(moment) < momentum.until]
        assert momentum.total == sum(each.signals for each in momentum.buckets) == len(inside)
        by_day = Counter(format_time(moment)[:10] for moment in inside)
        assert {each.time_bucket[:10]: each.signals for each in momentum.buckets if each.signals} == by_day


def test_any_sequence_of_calls_leaves_the_signals_that_the_rules_define(
    new_database: Callable[[], Callable[[], Store]], clock: Any
) -> None:
    @given(st.lists(calls, max_size=25))
    def check(sequence: list[tuple[Any, ...]]) -> None:
        store, rules = new_database()(), Rules()
        # Something to emit for, and somebody to complete it, from the first call on; `q` begins with nothing.
        begin = [
            ("declare", "p", ["sql", "negotiation"]),
            ("declare", "q", []),
            ("join", "p", "ann"),
            ("join", "p", "bob"),
        ]
        for call in [*begin, *sequence]:
            apply(store, rules, clock, call)
        assert {key_of(signal): (signal.project_id, signal.created_at) for signal in all_signals(store)} == {
            key: (project, format_time(moment)) for key, (project, moment) in rules.signals.items()
        }
        check_charts(store, rules, clock.moment)
        store.close()

    check()


def test_calls_at_once_and_repeated_leave_the_same_signals_as_one_after_another(
    new_database: Callable[[], Callable[[], Store]],
) -> None:
    events = st.lists(
        st.one_of(
            st.tuples(st.just("join"), projects, users),
            st.tuples(st.just("update"), projects, users, st.sampled_from("klm")),
        ),
        min_size=1,
        max_size=8,
    )

    @settings(max_examples=15)
    @given(events, st.integers(2, 4))
    def check(asked: list[tuple[str, ...]], threads: int) -> None:
        open_one = new_database()
        # Two stores on one file, as two processes have it; every thread makes every call.
        stores = [open_one(), open_one()]
        for project, names in SCOPES.items():
            declared(stores[0], project, names)
        at_once(threads, lambda number: [happen(stores[number % 2], call) for call in asked])
        found = [key_of(signal) for signal in all_signals(stores[1])]
        assert len(found) == len(set(found))
        assert set(found) == set(expected_signals(stores[1], asked))
        for store in stores:
            store.close()

    check()


SCOPES = {"p": ["sql", "python"], "q": ["python", "rust"]}


def happen(store: Store, call: tuple[str, ...]) -> None:
    if call[0] == "join":
        join_project(store, call[1], call[2])
    else:
        new = NewProgressUpdate(project_id=call[1], user_id=call[2], content="x", idempotency_key=call[3])
        record_progress_update(store, new)


def at_once(threads: int, work: Callable[[int], object]) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def expected_signals(store: Store, asked: list[tuple[str, ...]]) -> Iterator[SignalKey]:
    updates = {(each.project_id, each.user_id, each.idempotency_key): each.id for each in store.progress_updates()}
    for call in asked:
        source, kind = (call[1], "project") if call[0] == "join" else (updates[call[1:]], "update")
        for skill in SCOPES[call[1]]:
            yield call[2], skill, kind, source, "joined" if call[0] == "join" else "update"
