"""Metrics: by skill, over time, by path, by session, and in total."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from store.contract.metrics import SkillMetrics
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import InvalidRecord
from store.protocol import Store

At = Callable[..., str]


def use(store: Store, skill_name: str = "lint", outcome: str | None = "completed", **fields: Any) -> str:
    """Record one use, finished unless `outcome` is None; fields of both records may be given."""
    of_outcome = {name: fields.pop(name) for name in list(fields) if name in NewOutcome.__struct_fields__}
    begun = store.start_invocation(NewInvocation(skill_name=skill_name, **fields))
    if outcome is not None:
        store.finish_invocation(begun.id, NewOutcome(**{"outcome": outcome} | of_outcome))  # type: ignore[arg-type]
    return begun.id


def metrics(store: Store, skill_name: str = "lint") -> SkillMetrics:
    found = store.skill_metrics(skill_name)
    assert found is not None
    return found


# --- one skill -----------------------------------------------------------------------------------------------


def test_a_skill_that_was_never_used_has_no_metrics(store: Store) -> None:
    assert (store.skill_metrics("nobody"), store.all_metrics()) == (None, [])


def test_a_use_counts_as_soon_as_it_starts(store: Store) -> None:
    use(store, outcome=None)
    counted = metrics(store)
    assert (counted.total_invocations, counted.running_invocations) == (1, 1)
    assert (counted.completion_rate, counted.avg_duration_seconds) == (None, None)


def test_outcomes_are_counted_by_kind_and_abandoned_is_all_that_did_not_complete(store: Store) -> None:
    for outcome in ("completed", "completed", "completed", "failed", "failed", "cancelled", "abandoned", None):
        use(store, outcome=outcome)
    counted = metrics(store)
    assert (counted.total_invocations, counted.completed_invocations, counted.running_invocations) == (8, 3, 1)
    assert (counted.abandoned_invocations, counted.failed_invocations, counted.cancelled_invocations) == (4, 2, 1)


def test_the_completion_rate_is_a_percentage_of_what_finished(store: Store) -> None:
    for outcome in ("completed", "completed", "failed", None, None):
        use(store, outcome=outcome)
    assert metrics(store).completion_rate == pytest.approx(200 / 3)


def test_durations_are_those_of_completed_uses(store: Store) -> None:
    for outcome, seconds in (("completed", 1.5), ("completed", 4.5), ("failed", 100.0), ("abandoned", 0.1)):
        use(store, outcome=outcome, duration_seconds=seconds)
    counted = metrics(store)
    assert (counted.timed_completions, counted.total_duration_seconds) == (2, 6.0)
    assert (counted.min_duration_seconds, counted.avg_duration_seconds, counted.max_duration_seconds) == (1.5, 3.0, 4.5)


def test_a_completion_of_unknown_duration_counts_but_is_not_timed(store: Store) -> None:
    row = NewInvocation(skill_name="lint", invoked_at="2026-01-01T00:00:00Z")
    store.import_invocations([(row, NewOutcome(outcome="completed"))])
    counted = metrics(store)
    assert (counted.completed_invocations, counted.timed_completions) == (1, 0)
    assert (counted.avg_duration_seconds, counted.min_duration_seconds) == (None, None)


def test_the_sum_of_durations_does_not_depend_on_their_order(store: Store) -> None:
    seconds = [0.1, 1e6, 0.2, 0.3, 1e-6]
    for order, skill in ((seconds, "forwards"), (seconds[::-1], "backwards")):
        for duration in order:
            use(store, skill, duration_seconds=duration)
    assert metrics(store, "forwards").total_duration_seconds == metrics(store, "backwards").total_duration_seconds


def test_first_and_last_use_do_not_depend_on_the_order_of_arrival(store: Store, at: At) -> None:
    for day in (3, 1, 4, 2):
        use(store, invoked_at=at(day))
    assert (metrics(store).first_invoked, metrics(store).last_invoked) == (at(1), at(4))


def test_paths_errors_and_actions_are_counted_most_frequent_first(store: Store) -> None:
    use(store, workflow_path="quick", follow_up_actions=["commit", "push"])
    use(store, workflow_path="full", follow_up_actions=["commit"])
    use(store, workflow_path="full", outcome="failed", error_type="ValueError")
    use(store, outcome="failed", error_type="KeyError")
    use(store, outcome="failed", error_type="ValueError")
    counted = metrics(store)
    assert list(counted.workflow_paths.items()) == [("full", 2), ("quick", 1)]
    assert list(counted.common_errors.items()) == [("ValueError", 2), ("KeyError", 1)]
    assert list(counted.follow_up_actions.items()) == [("commit", 2), ("push", 1)]


@pytest.mark.parametrize("name", ["a.b", 'quote"d', "$[0]", "", "ключ", "x" * 500, "{}", "a'b"])
def test_any_text_is_a_key_of_the_maps(store: Store, name: str) -> None:
    use(store, workflow_path=name, outcome="failed", error_type=name, follow_up_actions=[name, name])
    counted = metrics(store)
    assert (counted.workflow_paths, counted.common_errors) == ({name: 1}, {name: 1})
    assert counted.follow_up_actions == {name: 2}


def test_skills_are_listed_most_used_first_then_by_name(store: Store) -> None:
    for skill, uses in (("b", 1), ("c", 3), ("a", 1)):
        for _ in range(uses):
            use(store, skill)
    assert [each.skill_name for each in store.all_metrics()] == ["c", "a", "b"]


def test_the_list_and_the_single_skill_say_the_same(store: Store) -> None:
    for skill in ("a", "b"):
        use(store, skill, workflow_path=skill, outcome="failed", error_type=skill)
    assert [store.skill_metrics(each.skill_name) for each in store.all_metrics()] == store.all_metrics()


# --- tallies for ranking -------------------------------------------------------------------------------------


def test_the_counts_of_a_tally_are_disjoint(store: Store, at: At) -> None:
    for outcome in ("completed", "completed", "failed", "abandoned", "abandoned", "abandoned", "cancelled", None):
        use(store, outcome=outcome, duration_seconds=2.0, invoked_at=at(3))
    tally = store.tallies(["lint"])["lint"]
    assert (tally.completed, tally.failed, tally.abandoned, tally.cancelled, tally.finished) == (2, 1, 3, 1, 7)
    assert (tally.timed_completions, tally.mean_duration_seconds, tally.last_invoked) == (2, 2.0, at(3))


def test_a_typical_duration_is_a_median_and_never_a_mean_of_several(store: Store) -> None:
    use(store, outcome="completed", duration_seconds=2.0)
    assert store.tallies(["lint"])["lint"].typical_seconds == 2.0
    for seconds in (4.0, 300.0):
        use(store, outcome="completed", duration_seconds=seconds)
    assert store.tallies(["lint"])["lint"].typical_seconds is None
    store.refresh_percentiles(["lint"])
    assert store.tallies(["lint"])["lint"].typical_seconds == 4.0


def test_tallies_leave_out_what_was_never_used(store: Store) -> None:
    use(store)
    assert list(store.tallies(["nobody", "lint"])) == ["lint"]
    assert store.tallies([]) == {}


@pytest.mark.parametrize("count", [2, 3, 19, 20, 99, 100, 101, 250])
def test_percentiles_are_linear_interpolations_and_unknown_below_2_20_and_100_durations(
    store: Store, count: int
) -> None:
    durations = np.random.default_rng(count).lognormal(1, 2, count).round(6).tolist()
    store.import_invocations(
        [(NewInvocation(skill_name="lint"), NewOutcome(outcome="completed", duration_seconds=d)) for d in durations]
    )
    store.refresh_percentiles(["lint"])
    counted = metrics(store)
    assert counted.percentile_count == count
    for share, needed, figure in (
        (50, 2, counted.p50_duration_seconds),
        (95, 20, counted.p95_duration_seconds),
        (99, 100, counted.p99_duration_seconds),
    ):
        expected = pytest.approx(float(np.percentile(durations, share)), rel=1e-12) if count >= needed else None
        assert figure == expected, share


@pytest.mark.parametrize("durations", [[], [1.0]])
def test_the_median_of_fewer_than_two_durations_is_unknown(store: Store, durations: list[float]) -> None:
    use(store, outcome="failed", duration_seconds=5.0)
    for duration in durations:
        use(store, duration_seconds=duration)
    store.refresh_percentiles(["lint"])
    assert metrics(store).p50_duration_seconds is None


def test_percentiles_ignore_what_did_not_complete(store: Store) -> None:
    for outcome, seconds in (("completed", 1.0), ("completed", 3.0), ("failed", 99.0), ("abandoned", 99.0)):
        use(store, outcome=outcome, duration_seconds=seconds)
    store.refresh_percentiles(["lint"])
    assert metrics(store).p50_duration_seconds == 2.0


def test_percentiles_are_recomputed_when_a_session_ends(store: Store) -> None:
    use(store, duration_seconds=1.0)
    use(store, duration_seconds=2.0, session_id="s")
    assert metrics(store).p50_duration_seconds is None
    store.end_session("s")
    assert metrics(store).p50_duration_seconds == 1.5


def test_percentiles_of_skills_outside_the_session_are_left_as_they_were(store: Store) -> None:
    for seconds in (1.0, 2.0):
        use(store, "other", duration_seconds=seconds)
    use(store, "lint", session_id="s")
    store.end_session("s")
    assert metrics(store, "other").p50_duration_seconds is None


def test_refreshing_the_percentiles_of_an_unknown_skill_does_nothing(store: Store) -> None:
    store.refresh_percentiles(["nobody"])
    assert store.all_metrics() == []


# --- the summary ---------------------------------------------------------------------------------------------


def test_the_summary_of_an_empty_log_is_all_zeros(store: Store, at: At) -> None:
    summary = store.summary()
    assert (summary.total_skills, summary.total_invocations, summary.most_used_count) == (0, 0, 0)
    assert (summary.overall_completion_rate, summary.most_used_skill, summary.avg_duration_seconds) == (None,) * 3
    assert (summary.top_errors, summary.top_workflow_paths, summary.refreshed_at) == ([], [], at(4, 12))


def test_the_summary_adds_up_every_skill(store: Store) -> None:
    use(store, "a", duration_seconds=1.0, workflow_path="quick")
    use(store, "b", duration_seconds=3.0, workflow_path="quick")
    use(store, "b", "failed", error_type="ValueError", workflow_path="full")
    use(store, "b", None)
    summary = store.summary()
    assert (summary.total_skills, summary.total_invocations, summary.running_invocations) == (2, 4, 1)
    assert (summary.completed_invocations, summary.finished_invocations) == (2, 3)
    assert summary.overall_completion_rate == pytest.approx(200 / 3)
    assert (summary.most_used_skill, summary.most_used_count, summary.avg_duration_seconds) == ("b", 3, 2.0)
    assert [(each.value, each.n) for each in summary.top_workflow_paths] == [("quick", 2), ("full", 1)]
    assert [(each.value, each.n) for each in summary.top_errors] == [("ValueError", 1)]


def test_the_most_used_of_equally_used_skills_is_the_first_by_name(store: Store) -> None:
    for skill in ("b", "a"):
        use(store, skill)
    assert store.summary().most_used_skill == "a"


def test_the_summary_lists_at_most_ten_of_each(store: Store) -> None:
    for number in range(15):
        use(store, workflow_path=f"path {number:02}")
    assert len(store.summary().top_workflow_paths) == 10


def test_the_summary_is_kept_while_the_log_is_unchanged(store: Store, clock: Any) -> None:
    use(store)
    first = store.summary()
    store.refresh_percentiles([])  # the row is kept behind the answer, and before the next write's
    clock.advance(hours=1)
    assert store.summary() == first


@pytest.mark.parametrize("change", ["start", "finish", "import", "sweep", "session end"])
def test_the_summary_is_refreshed_after_every_kind_of_change(store: Store, clock: Any, change: str) -> None:
    begun = use(store, outcome=None, session_id="s")
    before = store.summary()
    clock.advance(days=2)
    match change:
        case "start":
            use(store, outcome=None)
        case "finish":
            store.finish_invocation(begun, NewOutcome(outcome="completed"))
        case "import":
            store.import_invocations([(NewInvocation(skill_name="lint"), None)])
        case "sweep":
            store.abandon_stale(timedelta(days=1))
        case "session end":
            store.end_session("s")
    after = store.summary()
    assert after.refreshed_at != before.refreshed_at
    assert after.total_invocations + after.finished_invocations == 2


def test_the_summary_is_refreshed_after_another_store_wrote(store: Store, open_another: Callable[[], Store]) -> None:
    use(store)
    store.summary()
    use(open_another())
    assert store.summary().total_invocations == 2


# --- the timeline --------------------------------------------------------------------------------------------


def test_the_timeline_has_a_bucket_for_each_hour_empty_ones_included(store: Store, at: At) -> None:
    use(store, invoked_at=at(4, 9, 30), duration_seconds=2.0)
    use(store, "other", invoked_at=at(4, 10, 30))
    buckets = store.timeline("lint", window=timedelta(hours=3), bucket="hour")
    assert [(each.time_bucket, each.invocations) for each in buckets] == [
        (at(4, 9), 1),
        (at(4, 10), 0),
        (at(4, 11), 0),
        (at(4, 12), 0),
    ]


def test_a_bucket_counts_what_started_in_it(store: Store, at: At) -> None:
    use(store, invoked_at=at(4, 12), duration_seconds=1.0)
    use(store, invoked_at=at(4, 12), duration_seconds=4.0)
    use(store, invoked_at=at(4, 12), outcome="failed", duration_seconds=50.0)
    use(store, invoked_at=at(4, 12), outcome=None)
    (bucket,) = [b for b in store.timeline("lint", window=timedelta(hours=1), bucket="hour") if b.invocations]
    assert (bucket.invocations, bucket.completed, bucket.finished, bucket.avg_duration) == (4, 2, 3, 2.5)


def test_an_empty_bucket_has_no_average(store: Store) -> None:
    buckets = store.timeline("nobody", window=timedelta(hours=1), bucket="hour")
    assert [(b.invocations, b.avg_duration) for b in buckets] == [(0, None), (0, None)]


@pytest.mark.parametrize(
    ("bucket", "window", "starts"),
    [
        ("minute", timedelta(minutes=2), ["2026-03-04T11:58", "2026-03-04T11:59", "2026-03-04T12:00"]),
        ("hour", timedelta(hours=2), ["2026-03-04T10:00", "2026-03-04T11:00", "2026-03-04T12:00"]),
        ("day", timedelta(days=2), ["2026-03-02T00:00", "2026-03-03T00:00", "2026-03-04T00:00"]),
        # 4 March 2026 is a Wednesday.
        ("week", timedelta(days=7), ["2026-02-23T00:00", "2026-03-02T00:00"]),
    ],
)
def test_buckets_begin_at_whole_units_and_weeks_on_mondays(
    store: Store, bucket: Any, window: timedelta, starts: list[str]
) -> None:
    buckets = store.timeline("lint", window=window, bucket=bucket)
    assert [each.time_bucket for each in buckets] == [f"{start}:00.000000Z" for start in starts]


def test_the_last_microsecond_belongs_to_its_own_bucket(store: Store, at: At) -> None:
    use(store, invoked_at=at(4, 10, 59, 59, 999_999))
    use(store, invoked_at=at(4, 11, 0, 0, 0))
    buckets = store.timeline("lint", window=timedelta(hours=2), bucket="hour")
    assert [each.invocations for each in buckets] == [1, 1, 0]


def test_the_first_bucket_is_whole(store: Store, at: At) -> None:
    use(store, invoked_at=at(1, 0, 1))
    buckets = store.timeline("lint", window=timedelta(days=3), bucket="day")
    assert [each.invocations for each in buckets] == [1, 0, 0, 0]


def test_uses_outside_the_window_are_not_counted(store: Store, at: At) -> None:
    use(store, invoked_at=at(3, 23, 59))
    use(store, invoked_at=at(4, 12, 1), outcome=None)
    buckets = store.timeline("lint", window=timedelta(hours=12), bucket="hour")
    assert sum(each.invocations for each in buckets) == 0


def test_a_timeline_of_too_many_buckets_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.timeline("lint", window=timedelta(days=30), bucket="minute")
    assert refused.value.field == "bucket"


def test_a_window_beyond_the_calendar_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.timeline("lint", window=timedelta.max, bucket="week")
    assert refused.value.field == "window"


# --- workflow paths ------------------------------------------------------------------------------------------


@pytest.fixture
def paths(store: Store) -> Store:
    for path, times in (("crackerjack-run/quick check", 2), ("quick", 3), ("full review", 1), ("工作流程/检查", 1)):
        for _ in range(times):
            use(store, workflow_path=path, duration_seconds=2.0)
    use(store, "other", workflow_path="quick", outcome="failed")
    return store


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("quick", ["quick", "crackerjack-run/quick check", "quick"]),
        ("QUICK", ["quick", "crackerjack-run/quick check", "quick"]),
        ("qui", ["quick", "crackerjack-run/quick check", "quick"]),
        ("check quick", ["crackerjack-run/quick check"]),
        ("crackerjack-run", ["crackerjack-run/quick check"]),
        ("quick review", []),
        ("quick _", ["quick", "crackerjack-run/quick check", "quick"]),
        ("工作流程", ["工作流程/检查"]),
        ("工作", ["工作流程/检查"]),
        ("nothing", []),
    ],
)
def test_paths_that_hold_every_word_are_found_most_used_first(paths: Store, text: str, found: list[str]) -> None:
    assert [each.workflow_path for each in paths.search_workflow_paths(text)] == found


@pytest.mark.parametrize(
    "text", ["", " ", "*", '"', '" OR NEAR(', "value:quick", "-quick", "a AND", "\x00", "\ud800", "😀", "_", "(" * 300]
)
def test_hostile_text_never_breaks_the_search_for_paths(paths: Store, text: str) -> None:
    paths.search_workflow_paths(text)


def test_a_path_has_its_skill_count_and_average_duration(paths: Store) -> None:
    most, *_, least = paths.search_workflow_paths("quick")
    assert (most.skill_name, most.invocation_count, most.avg_duration) == ("lint", 3, 2.0)
    assert (least.skill_name, least.invocation_count, least.avg_duration) == ("other", 1, None)


def test_paths_are_bounded_by_the_limit(paths: Store) -> None:
    assert len(paths.search_workflow_paths("quick", limit=2)) == 2


def test_paths_are_found_after_a_rebuild(paths: Store) -> None:
    before = paths.search_workflow_paths("quick")
    paths.rebuild()
    assert paths.search_workflow_paths("quick") == before


# --- sessions ------------------------------------------------------------------------------------------------


def test_the_skills_of_a_session_are_returned_most_used_first(store: Store, at: At) -> None:
    use(store, "a", session_id="s", invoked_at=at(2), duration_seconds=1.5)
    use(store, "b", session_id="s", invoked_at=at(3), duration_seconds=1.0)
    use(store, "b", session_id="s", invoked_at=at(1), outcome="failed", duration_seconds=9.0)
    use(store, "b", session_id="s", invoked_at=at(2), outcome=None)
    use(store, "b", session_id="other")
    b, a = store.session_skills("s")
    assert (b.skill_name, b.invocation_count, b.completed_count, b.abandoned_count) == ("b", 3, 1, 1)
    assert (b.first_invoked_at, b.last_invoked_at, b.total_duration_seconds) == (at(1), at(3), 1.0)
    assert (a.skill_name, a.invocation_count, a.total_duration_seconds) == ("a", 1, 1.5)


def test_an_unknown_session_used_nothing(store: Store) -> None:
    assert store.session_skills("nobody") == []


# --- against the log -----------------------------------------------------------------------------------------


def test_an_empty_store_differs_in_nothing(store: Store) -> None:
    assert store.first_difference() is None


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 5e-7, 0.1, 1 / 3, 1e-300, 2.5e-6, 3_153_600_000.0])
def test_no_duration_makes_the_metrics_differ_from_the_log(store: Store, seconds: float) -> None:
    for _ in range(3):
        use(store, session_id="s", workflow_path="p", duration_seconds=seconds)
    assert store.first_difference() is None
    assert metrics(store).min_duration_seconds == metrics(store).max_duration_seconds == seconds


def test_a_rebuild_changes_no_metric(store: Store) -> None:
    for skill in ("a", "b"):
        for number in range(25):
            use(
                store,
                skill,
                ("completed", "failed", None)[number % 3],
                duration_seconds=number / 7,
                session_id="s",
                workflow_path=f"path {number % 4}",
                follow_up_actions=["x", "y"],
            )
    store.refresh_percentiles(["a", "b"])
    before = (store.all_metrics(), store.session_skills("s"))
    store.rebuild()
    assert (store.all_metrics(), store.session_skills("s")) == before
    assert store.first_difference() is None


@pytest.mark.parametrize("order", [("track", "import"), ("import", "track"), ("import", "import")], ids="-then-".join)
def test_an_import_adds_to_what_is_counted_already(store: Store, at: At, order: tuple[str, str]) -> None:
    endings = [
        NewOutcome(outcome="completed", duration_seconds=0.25, follow_up_actions=["commit"]),
        NewOutcome(outcome="completed", duration_seconds=8.5),
        NewOutcome(outcome="failed", duration_seconds=1.0, error_type="ValueError"),
        NewOutcome(outcome="cancelled"),
        None,
    ]
    for turn, way in enumerate(order):
        rows = [
            (
                NewInvocation(
                    skill_name="lint",
                    id=f"{turn}-{place}",
                    invoked_at=at(4, 9, turn * 30 + place),
                    session_id="s",
                    workflow_path="quick",
                ),
                ending,
            )
            for place, ending in enumerate(endings)
        ]
        if way == "import":
            store.import_invocations(rows)
            continue
        for start, ending in rows:
            store.start_invocation(start)
            if ending is not None:
                store.finish_invocation(str(start.id), ending)
    assert store.first_difference() is None
    counted = metrics(store)
    assert (counted.total_invocations, counted.completed_invocations, counted.running_invocations) == (10, 4, 2)
    assert (counted.failed_invocations, counted.cancelled_invocations, counted.timed_completions) == (2, 2, 4)
    assert (counted.total_duration_seconds, counted.min_duration_seconds, counted.max_duration_seconds) == (
        17.5,
        0.25,
        8.5,
    )
    assert (counted.first_invoked, counted.last_invoked) == (at(4, 9, 0), at(4, 9, 34))
    assert (counted.workflow_paths, counted.common_errors) == ({"quick": 10}, {"ValueError": 2})
    (line,) = store.session_skills("s")
    assert (line.invocation_count, line.completed_count, line.total_duration_seconds) == (10, 4, 17.5)
    (bucket,) = [b for b in store.timeline("lint", window=timedelta(hours=4), bucket="hour") if b.invocations]
    assert (bucket.invocations, bucket.completed, bucket.finished, bucket.avg_duration) == (10, 4, 8, 4.375)
    assert store.health().open_invocations == 2


def test_uses_tracked_after_a_rebuild_are_counted(store: Store) -> None:
    running = use(store, outcome=None)
    store.rebuild()
    store.finish_invocation(running, NewOutcome(outcome="completed"))
    use(store)
    assert (metrics(store).completed_invocations, store.first_difference()) == (2, None)
