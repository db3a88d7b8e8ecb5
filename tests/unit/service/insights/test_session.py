"""One session's report, told from its parts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.insights.session import MOST_MOMENTS, MOST_STEPS, Event, Search, Session, Use, correlate


def at(minute: int) -> str:
    return f"2026-03-04T12:{minute:02}:00.000000Z"


def use(name: str, began: int, ended: int | None, outcome: str = "completed") -> Use:
    return Use(
        id=f"use of {name} at {began}",
        skill_name=name,
        invoked_at=at(began),
        workflow_phase=None,
        search_id=None,
        outcome=None if ended is None else outcome,
        finished_at=None if ended is None else at(ended),
        duration_seconds=None if ended is None else 60.0 * (ended - began),
        error_type=None,
    )


def event(step: str, minute: int, status: str = "passed", **told: Any) -> Event:
    fields = {
        "id": f"{step} {minute} {status}",
        "invocation_id": None,
        "workflow": "ci",
        "phase": None,
        "step": step,
        "status": status,
        "occurred_at": at(minute),
        "duration_seconds": None,
    }
    return Event(**fields | told)


def session(uses: list[Use], events: list[Event], searches: list[Search] | None = None) -> Session:
    return Session(
        session_id="s",
        project_id=None,
        user_id=None,
        started_at=at(0),
        ended_at=None,
        searches=searches or [],
        uses=uses,
        events=events,
    )


def test_an_empty_session_is_a_report_of_nothing() -> None:
    report = correlate(session([], []))
    assert (report.story, report.uses, report.after, report.outcomes) == ([], [], [], {})


def test_the_story_tells_everything_in_the_order_of_time() -> None:
    asked = Search(id="q", searched_at=at(1), query=None, confidence="high", served=["a"])
    report = correlate(session([use("a", 1, 3), use("b", 4, None)], [event("unit", 2), event("unit", 3)], [asked]))
    told = [(moment.at, moment.kind, moment.about, moment.status) for moment in report.story]
    assert told == [
        (at(1), "search", "", "high"),
        (at(1), "use", "a", None),
        (at(2), "event", "unit", "passed"),
        (at(3), "event", "unit", "passed"),
        (at(3), "outcome", "a", "completed"),
        (at(4), "use", "b", None),
    ]
    assert (report.searches, report.outcomes, report.event_statuses) == (
        1,
        {"completed": 1, "running": 1},
        {"passed": 2},
    )


def test_steps_run_within_the_use_during_whose_span_they_are_reported() -> None:
    events = [event("early", 1), event("begins", 2), event("inside", 3, "failed"), event("ends", 5), event("late", 6)]
    (report,) = correlate(session([use("a", 2, 5)], events)).uses
    assert [(run.step, run.status) for run in report.steps] == [
        ("inside", "failed"),
        ("begins", "passed"),
        ("ends", "passed"),
    ]
    assert (report.passed, report.failed, report.skipped) == (2, 1, 0)


def test_a_use_that_goes_on_holds_everything_since() -> None:
    (report,) = correlate(session([use("a", 2, None)], [event("unit", 1), event("unit", 9)])).uses
    assert report.distinct_steps == 1


def test_uses_that_overlap_share_what_was_reported() -> None:
    reports = correlate(session([use("a", 1, 9), use("b", 3, 5)], [event("unit", 4)])).uses
    assert [report.passed for report in reports] == [1, 1]


def test_a_use_that_is_named_counts_wherever_the_clock_stood() -> None:
    named = event("unit", 30, invocation_id="use of a at 1")
    elsewhere = event("lint", 4, invocation_id="nobody's")
    first, second = correlate(session([use("a", 1, 2), use("b", 3, 40)], [elsewhere, named])).uses
    assert [run.step for run in first.steps] == ["unit"]
    assert [run.step for run in second.steps] == ["lint"]


def test_a_step_is_told_as_it_was_reported_last() -> None:
    events = [event("unit", 2, "started"), event("unit", 3, "failed"), event("unit", 4)]
    (report,) = correlate(session([use("a", 1, 9)], events)).uses
    assert [(run.status, run.reports) for run in report.steps] == [("passed", 3)]
    assert (report.passed, report.failed) == (1, 1)


def test_judgements_come_after_the_skill_that_began_last() -> None:
    events = [event("unit", 1, "failed"), event("unit", 4, "failed"), event("lint", 5, "skipped"), event("unit", 8)]
    report = correlate(session([use("a", 2, 3), use("b", 6, 7)], events))
    assert report.before_any_skill == {"failed": 1}
    assert [(each.skill_name, each.passed, each.failed) for each in report.after] == [("a", 0, 1), ("b", 1, 0)]


def test_a_long_session_is_counted_whole_and_told_in_part() -> None:
    events = [event(f"step {n:05}", n % 50) for n in range(MOST_MOMENTS + 5)]
    events.sort(key=lambda each: each.occurred_at)
    report = correlate(session([use("a", 0, 59)], events))
    assert report.moments_left_out == 7
    assert len(report.story) == MOST_MOMENTS
    assert report.event_statuses == {"passed": MOST_MOMENTS + 5}
    assert report.uses[0].distinct_steps == MOST_MOMENTS + 5
    assert len(report.uses[0].steps) == MOST_STEPS


@given(
    st.lists(
        st.builds(
            event,
            st.sampled_from(["unit", "lint"]),
            st.integers(0, 59),
            st.sampled_from(["started", "passed", "failed", "skipped"]),
        ),
        max_size=30,
    ),
    st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(30, 59)), max_size=5),
)
def test_each_judgement_comes_after_one_skill_or_none(events: list[Event], spans: list[tuple[int, int | None]]) -> None:
    uses = sorted((use("a", *span) for span in spans), key=lambda each: each.invoked_at)
    report = correlate(session(uses, sorted(events, key=lambda each: each.occurred_at)))
    judged = sum(each.status in {"passed", "failed"} for each in events)
    told = sum(each.passed + each.failed for each in report.after) + sum(report.before_any_skill.values())
    assert told == judged
    assert [moment.at for moment in report.story] == sorted(moment.at for moment in report.story)
