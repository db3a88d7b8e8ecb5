"""Uses counted by project, skill and day: the store's part, through its protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.contract.aggregates import DayMetrics, MetricsFilter
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome, NewSession
from store.protocol import Store

ALL = MetricsFilter()
At = Callable[..., str]


def use(store: Store, skill: str, moment: str, outcome: str | None = "completed", **told: Any) -> str:
    """Record a use, with its outcome if it has one."""
    seconds = told.pop("seconds", None)
    ended = None if outcome is None else NewOutcome(outcome=outcome, duration_seconds=seconds)  # type: ignore[arg-type]
    begun = store.start_invocation(NewInvocation(skill_name=skill, invoked_at=moment, **told))
    if ended is not None:
        store.finish_invocation(begun.id, ended)
    return begun.id


def ask(store: Store, search_id: str, moment: str, *listed: str, **told: Any) -> None:
    """Record a search that listed these skills."""
    fields: dict[str, Any] = {
        "query": f"text of {search_id}",
        "query_hash": f"hash of {search_id}",
        "query_vector": None,
        "model_id": None,
        "session_id": None,
        "user_id": None,
        "project_id": "p",
        "filters": {},
        "weights_version": "w",
        "explored": False,
        "confidence": "high",
        "degraded": [],
        "elapsed_ms": 1.0,
        "results": [
            ServedSkill(position=at, skill_name=name, score=0.0, components={}) for at, name in enumerate(listed, 1)
        ],
    }
    store.record_search(SearchRecord(id=search_id, searched_at=moment, **fields | told))


def exposures(store: Store) -> dict[tuple[str, int], tuple[int, int]]:
    return {(each.skill_name, each.position): (each.shown, each.taken) for each in store.day_exposures(ALL)}


def test_a_use_without_a_project_or_user_has_that_of_its_session(store: Store, at: At) -> None:
    store.start_session(NewSession(id="s", project_id="shop", user_id="ann"))
    use(store, "lint", at(1), session_id="s")
    use(store, "lint", at(1), session_id="s", project_id="q", user_id="bob")
    ask(store, "asked", at(1), "lint", session_id="s", project_id=None, confidence="none")
    store.aggregate()
    counted = [(row.project_id, row.invocations, row.users) for row in store.day_metrics(ALL)]
    assert counted == [("q", 1, 1), ("shop", 1, 1)]
    assert [each.project_id for each in store.day_exposures(ALL)] == ["shop"]
    assert [each.users for each in store.project_skill_totals(MetricsFilter(project_id="shop"))] == [1]
    wanted = MetricsFilter(project_id="shop")
    assert [(each.search_id, each.project_id) for each in store.unanswered_searches(wanted, limit=9)] == [
        ("asked", "shop")
    ]


def test_nothing_is_counted_before_it_is_asked_for(store: Store, at: At) -> None:
    use(store, "lint", at(1))
    assert (store.day_metrics(ALL), store.metrics_sources(), store.aggregate_revision()) == ([], [], 0)
    assert store.last_day(until="2026-12-31") is None


def test_uses_are_counted_by_project_skill_and_day(store: Store, at: At) -> None:
    use(store, "lint", at(1), project_id="p", user_id="ann", session_id="s1", seconds=1.25)
    use(store, "lint", at(1, 23), "failed", project_id="p", user_id="ann", session_id="s2", seconds=9)
    use(store, "lint", at(1, 5), "abandoned", project_id="p", user_id="bob")
    use(store, "lint", at(1, 6), "cancelled", project_id="p")
    use(store, "lint", at(1, 7), None, project_id="p")
    use(store, "lint", at(2), project_id="p")
    use(store, "lint", at(1), project_id="q")
    run = store.aggregate()
    assert (run.invocations, run.outcomes, run.searches, run.days, run.anew) == (7, 6, 0, 2, False)
    newest, *others = store.day_metrics(ALL)
    assert newest.day == "2026-03-02"
    assert others[0] == DayMetrics(
        day="2026-03-01",
        skill_name="lint",
        project_id="p",
        store_id=store.store_id(),
        invocations=5,
        completed=1,
        failed=1,
        abandoned=1,
        cancelled=1,
        timed_completions=1,
        total_duration_seconds=1.25,
        users=2,
        sessions=2,
        reporters=4,  # ann, bob, and two uses that nobody is told of
    )
    assert [each.project_id for each in others] == ["p", "q"]


def test_a_use_belongs_to_the_day_on_which_it_began_however_late_it_ends(store: Store, at: At) -> None:
    begun = use(store, "lint", at(1), None)
    store.aggregate()
    store.finish_invocation(begun, NewOutcome(outcome="completed", finished_at=at(4), duration_seconds=2))
    run = store.aggregate()
    assert (run.invocations, run.outcomes, run.days) == (0, 1, 1)
    assert [(each.day, each.completed) for each in store.day_metrics(ALL)] == [("2026-03-01", 1)]


def test_running_again_changes_nothing(store: Store, at: At) -> None:
    use(store, "lint", at(1), user_id="ann")
    store.aggregate()
    before = (store.day_metrics(ALL), store.metrics_sources(), store.aggregate_revision())
    run = store.aggregate()
    assert (run.invocations, run.outcomes, run.searches, run.days) == (0, 0, 0, 0)
    assert (store.day_metrics(ALL), store.metrics_sources(), store.aggregate_revision()) == before


def test_uses_without_a_project_are_counted_together(store: Store, at: At) -> None:
    use(store, "lint", at(1))
    use(store, "lint", at(1), project_id="")
    use(store, "lint", at(1), project_id="p")
    store.aggregate()
    assert [(each.project_id, each.invocations) for each in store.day_metrics(ALL)] == [("", 2), ("p", 1)]
    assert [each.invocations for each in store.day_metrics(MetricsFilter(project_id=""))] == [2]
    totals = {each.project_id: each.source_id for each in store.project_skill_totals(ALL)}
    assert totals == {"": store.metrics_sources()[0].id, "p": None}


@pytest.mark.parametrize(
    ("wanted", "days"),
    [
        (MetricsFilter(since="2026-03-02"), ["2026-03-03", "2026-03-02"]),
        (MetricsFilter(until="2026-03-02"), ["2026-03-02", "2026-03-01"]),
        (MetricsFilter(since="2026-03-02", until="2026-03-02"), ["2026-03-02"]),
        (MetricsFilter(skill_name="test"), ["2026-03-03"]),
        (MetricsFilter(project_id="nobody's"), []),
    ],
)
def test_a_filter_narrows(store: Store, at: At, wanted: MetricsFilter, days: list[str]) -> None:
    use(store, "lint", at(1))
    use(store, "lint", at(2))
    use(store, "test", at(3))
    store.aggregate()
    assert [each.day for each in store.day_metrics(wanted)] == days
    assert sorted(each.day for each in store.skill_day_totals(wanted)) == sorted(days)


def test_rows_come_in_pages(store: Store, at: At) -> None:
    for day in (1, 2, 3):
        use(store, "lint", at(day))
    store.aggregate()
    pages = [store.day_metrics(ALL, limit=2, offset=offset) for offset in (0, 2)]
    assert [[each.day[-1] for each in page] for page in pages] == [["3", "2"], ["1"]]


def test_totals_of_a_project_include_the_variance_of_its_days_and_its_users(store: Store, at: At) -> None:
    use(store, "lint", at(1), project_id="p", user_id="ann")
    use(store, "lint", at(1), "failed", project_id="p", user_id="ann")
    use(store, "lint", at(2), project_id="p", user_id="ann")
    use(store, "lint", at(2), "cancelled", project_id="p", user_id="bob")
    store.aggregate()
    (total,) = store.project_skill_totals(ALL)
    assert (total.invocations, total.reporter_days, total.completed, total.finished) == (4, 3, 2, 3)
    assert (total.finished_days, total.squares) == (2, 1 / 2 + 1 / 1)
    assert (total.users, total.first_day, total.last_day) == (2, "2026-03-01", "2026-03-02")
    use(store, "lint", at(3), project_id="p", user_id="bob")
    store.aggregate()
    # Ann has not used it since.
    assert [each.users for each in store.project_skill_totals(MetricsFilter(since="2026-03-03"))] == [1]


def test_a_span_is_the_first_and_last_day_on_which_a_skill_was_used(store: Store, at: At) -> None:
    for day, skill in ((1, "lint"), (1, "lint"), (3, "lint"), (2, "test")):
        use(store, skill, at(day))
    store.aggregate()
    lint, test = store.skill_spans(ALL)
    assert (lint.first_day, lint.last_day, lint.active_days, lint.invocations) == ("2026-03-01", "2026-03-03", 2, 3)
    assert test.active_days == 1
    assert store.last_day(until="2026-03-02") == "2026-03-02"


def test_what_searches_listed_is_counted_and_what_was_taken_from_them(store: Store, at: At) -> None:
    ask(store, "a", at(1), "lint", "test")
    ask(store, "b", at(1), "lint", "test")
    use(store, "test", at(1), search_id="a")
    use(store, "test", at(2), search_id="a")  # again, from the same list
    use(store, "other", at(1), search_id="a")  # found otherwise
    store.aggregate()
    assert exposures(store) == {("lint", 1): (2, 0), ("test", 2): (2, 1)}
    use(store, "test", at(3), search_id="a")
    use(store, "lint", at(3), search_id="b")
    store.aggregate()
    assert exposures(store) == {("lint", 1): (2, 1), ("test", 2): (2, 1)}
    totals = {(each.skill_name, each.position): (each.shown, each.taken) for each in store.exposure_totals(ALL)}
    assert totals == exposures(store)


def test_a_list_that_is_recorded_after_its_use_was_taken_from_all_the_same(store: Store, at: At) -> None:
    use(store, "lint", at(1), search_id="late")
    store.aggregate()
    ask(store, "late", at(1), "lint")
    store.aggregate()
    assert exposures(store) == {("lint", 1): (1, 1)}


def test_unanswered_searches_are_those_that_nothing_fitted_and_that_led_to_nothing(store: Store, at: At) -> None:
    ask(store, "fits", at(1), confidence="high")
    ask(store, "none", at(2), confidence="none", user_id="ann")
    ask(store, "low", at(3), confidence="low", session_id="s", query=None)
    ask(store, "helped", at(3), "lint", confidence="low")
    use(store, "lint", at(3), search_id="helped")
    ask(store, "tried", at(4), "lint", confidence="low", project_id=None)
    use(store, "lint", at(4), "failed", search_id="tried")
    ask(store, "forgotten", at(4), confidence="none", query=None, query_hash="")
    found = store.unanswered_searches(ALL, limit=10)
    assert [(each.search_id, each.asker) for each in found] == [("tried", "tried"), ("low", "s"), ("none", "ann")]
    assert found[1].query is None
    assert [each.search_id for each in store.unanswered_searches(ALL, limit=1)] == ["tried"]
    for wanted, ids in (
        (MetricsFilter(project_id="p"), ["low", "none"]),
        (MetricsFilter(project_id=""), ["tried"]),
        (MetricsFilter(since="2026-03-03", until="2026-03-03"), ["low"]),
    ):
        assert [each.search_id for each in store.unanswered_searches(wanted, limit=10)] == ids


def test_forgetting_a_query_leaves_the_counts_as_they_are(store: Store, at: At, clock: Any) -> None:
    ask(store, "a", at(1), "lint", confidence="none")
    use(store, "lint", at(1), "failed", search_id="a")
    store.aggregate()
    before = (store.day_metrics(ALL), store.day_exposures(ALL))
    clock.advance(days=400)
    store.forget_queries(clock() - clock().replace(year=2026, month=6))
    store.aggregate()
    assert (store.day_metrics(ALL), store.day_exposures(ALL)) == before
    assert store.unanswered_searches(ALL, limit=10) == []


def test_two_stores_of_one_database_count_each_use_once(open_another: Callable[[], Store], at: At) -> None:
    one, other = open_another(), open_another()
    use(one, "lint", at(1))
    assert [one.aggregate().invocations, other.aggregate().invocations] == [1, 0]
    assert one.store_id() == other.store_id()
    assert [each.own for each in other.metrics_sources()] == [True]
