"""Workflow events, how sessions end, and the reports that are kept of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome, NewSession
from store.contract.workflows import NewWorkflowEvent, SessionStory, WorkflowEvent, WorkflowFilter
from store.errors import Conflict, InvalidRecord, NotFound
from store.protocol import Store

ALL = WorkflowFilter()


def event(**told: Any) -> NewWorkflowEvent:
    return NewWorkflowEvent(**{"session_id": "s", "workflow": "ci", "step": "unit", "status": "passed"} | told)


def full(at: Callable[..., str]) -> NewWorkflowEvent:
    return event(
        id="e1",
        project_id="shop",
        invocation_id="u1",
        phase="test",
        occurred_at=at(4, 9),
        duration_seconds=2,
        payload={"of": [1, "two"], "in": {"a": None}},
    )


def make(story: SessionStory) -> dict[str, Any]:
    """A report that tells what it was made of."""
    return {"events": [each.id for each in story.events], "ended": story.ended_at is not None}


def searched(identifier: str, at: str, *, session: str = "s", words: str | None = "fix my types") -> SearchRecord:
    return SearchRecord(
        id=identifier,
        searched_at=at,
        query=words,
        query_hash="h" * 64,
        query_vector=b"\x00" * 16,
        model_id="m",
        session_id=session,
        user_id="ada",
        project_id="shop",
        filters={},
        weights_version="w",
        explored=False,
        confidence="high",
        degraded=[],
        elapsed_ms=1.0,
        results=[ServedSkill(position=n, skill_name=f"skill {n}", score=-n, components={}) for n in range(1, 6)],
    )


def test_an_event_is_kept_as_it_was_reported(store: Store, at: Callable[..., str]) -> None:
    recorded, new = store.record_event(full(at))
    assert new
    assert recorded == store.workflow_event("e1")
    told = msgspec.structs.asdict(full(at))
    assert {field: getattr(recorded, field) for field in told} == told
    assert recorded.recorded_at == at(4, 12)


def test_the_store_makes_an_id_and_a_time(store: Store, at: Callable[..., str]) -> None:
    first, second = store.record_event(event())[0], store.record_event(event())[0]
    assert first.id != second.id
    assert first.occurred_at == at(4, 12)
    assert store.session("s").started_at == at(4, 12)


def test_the_same_event_again_changes_nothing(store: Store, clock: Any, at: Callable[..., str]) -> None:
    store.record_event(full(at))
    untimed, _ = store.record_event(event(id="e2"))
    clock.advance(hours=1)
    assert store.record_event(full(at)) == (store.workflow_event("e1"), False)
    # Told without a time, it stays when it was told first.
    assert store.record_event(event(id="e2")) == (untimed, False)
    assert len(store.session_story("s").events) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": "t"},
        {"workflow": "cd"},
        {"step": "lint"},
        {"status": "failed"},
        {"project_id": None},
        {"invocation_id": "u2"},
        {"phase": None},
        {"occurred_at": "2026-03-04T09:00:01Z"},
        {"duration_seconds": None},
        {"payload": {}},
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(
    store: Store, at: Callable[..., str], other: dict[str, Any]
) -> None:
    store.record_event(full(at))
    with pytest.raises(Conflict) as refused:
        store.record_event(msgspec.structs.replace(full(at), **other))
    assert refused.value.recorded["id"] == "e1"
    assert next(iter(other)) in str(refused.value)
    with pytest.raises(NotFound):
        store.session("t")


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"workflow": " "}, "workflow"),
        ({"workflow": "w" * 201}, "workflow"),
        ({"step": ""}, "step"),
        ({"step": "s" * 501}, "step"),
        ({"phase": ""}, "phase"),
        ({"id": " "}, "id"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": "a/b"}, "session_id"),
        ({"id": ".."}, "id"),
        ({"duration_seconds": -1.0}, "duration_seconds"),
        ({"duration_seconds": float("nan")}, "duration_seconds"),
        ({"occurred_at": "soon"}, "time"),
        ({"payload": {"text": "x" * 17_000}}, "payload"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_named(store: Store, told: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.record_event(event(**told))
    assert refused.value.field == field
    assert store.record_events([event(**told), event(id="good")]).added == 1


def test_a_status_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRecord):
        store.record_event(event(status="maybe"))
    with pytest.raises(NotFound):
        store.session("s")


def test_a_batch_takes_what_is_right_and_says_why_it_refuses_the_rest(store: Store) -> None:
    store.record_event(event(id="known"))
    report = store.record_events(
        [event(id="known"), event(id="a"), event(id="known", step="lint"), event(step=""), event(id="b", status="no")]
    )
    assert (report.added, report.known) == (1, 1)
    assert [(each.position, each.id) for each in report.refused] == [(2, "known"), (3, None), (4, "b")]
    assert "already recorded with another step" in report.refused[0].reason
    assert store.record_events([event(id="a"), event(id="a")]).known == 2


ODD = ["a\x00b", "a\u2028b", "'\"\\", "𝔘", "null", "1"]


@pytest.mark.parametrize("text", ODD)
def test_odd_text_comes_back_as_it_went_in_alone_and_in_a_batch(store: Store, text: str) -> None:
    def odd(identifier: str) -> NewWorkflowEvent:
        return event(id=identifier, step=f"x{text}", workflow=text, phase=text, payload={text: text})

    alone, _ = store.record_event(odd("alone"))
    assert store.record_events([odd("one"), odd("two")]).added == 2
    together = store.workflow_event("one")
    assert (alone.step, alone.workflow, alone.phase, alone.payload) == (f"x{text}", text, text, {text: text})
    assert msgspec.structs.replace(together, id="alone", seq=alone.seq) == store.workflow_event("alone") == alone
    assert store.record_events([odd("one"), odd("two")]).known == 2


def test_text_that_is_none_is_refused_alone(store: Store) -> None:
    bad = [event(id="\ud800"), event(step="\ud800"), event(payload={"a": "\ud800"})]
    report = store.record_events([*bad, event(id="good")])
    assert (report.added, [each.position for each in report.refused]) == (1, [0, 1, 2])


def test_a_refused_event_leaves_no_session_behind(store: Store) -> None:
    store.record_events([event(session_id="ghost", status="no"), event(session_id="real")])
    assert store.session("real")
    with pytest.raises(NotFound):
        store.session("ghost")


def test_an_unknown_event_or_session_is_not_found(store: Store) -> None:
    for ask in (
        lambda: store.workflow_event("none"),
        lambda: store.session_story("none"),
        lambda: store.session_report("none", make),
        lambda: store.end_session("none", make),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_story_has_everything_in_the_order_of_time(store: Store, at: Callable[..., str]) -> None:
    store.record_search(searched("q1", at(3)))
    store.start_invocation(NewInvocation(id="u2", skill_name="b", session_id="s", invoked_at=at(3, 2)))
    store.start_invocation(NewInvocation(id="u1", skill_name="a", session_id="s", invoked_at=at(3, 1)))
    store.finish_invocation("u1", NewOutcome(outcome="failed", finished_at=at(3, 3), error_type="E"))
    store.record_events([event(id=f"e{hour}", occurred_at=at(3, hour)) for hour in (5, 4, 6)])
    store.record_event(event(id="e4b", occurred_at=at(3, 4), status="started"))
    story = store.session_story("s")
    assert [search.served for search in story.searches] == [["skill 1", "skill 2", "skill 3"]]
    assert story.searches[0].query == "fix my types"
    assert [use.id for use in story.uses] == ["u1", "u2"]
    assert (story.uses[0].outcome, story.uses[0].error_type, story.uses[1].outcome) == ("failed", "E", None)
    assert [each.id for each in story.events] == ["e4b", "e4", "e5", "e6"]


def test_ending_keeps_a_report_of_what_ending_did(store: Store) -> None:
    store.start_invocation(NewInvocation(id="u1", skill_name="a", session_id="s"))
    store.record_event(event(id="e1"))
    ended = store.end_session("s", make)
    assert (ended.abandoned, ended.changed) == (["u1"], True)
    kept = {"events": ["e1"], "ended": True}
    assert store.session_report("s", lambda _: {"made": "anew"}) == kept
    assert not store.end_session("s", lambda _: {"made": "anew"}).changed
    assert store.session_report("s", lambda _: {"made": "anew"}) == kept


def test_ending_is_whole_or_nothing(store: Store) -> None:
    store.start_invocation(NewInvocation(id="u1", skill_name="a", session_id="s"))

    def broken(_: SessionStory) -> dict[str, Any]:
        raise RuntimeError("no report today")

    with pytest.raises(RuntimeError):
        store.end_session("s", broken)
    assert store.session("s").ended_at is None
    assert store.invocation("u1").outcome is None


LATE: dict[str, Callable[[Store, str], object]] = {
    "an event": lambda store, _: store.record_event(event(id="late")),
    "a batch": lambda store, _: store.record_events([event(id="late")]),
    "a use": lambda store, _: store.start_invocation(NewInvocation(id="late", skill_name="a", session_id="s")),
    "an imported use": lambda store, _: store.import_invocations(
        [(NewInvocation(id="late", skill_name="a", session_id="s"), NewOutcome(outcome="completed"))]
    ),
    "a search": lambda store, now: store.record_search(searched("late", now)),
}


@pytest.mark.parametrize("late", LATE)
def test_what_is_recorded_after_the_end_invalidates_the_report(store: Store, at: Callable[..., str], late: str) -> None:
    store.start_session(NewSession(id="s"))
    store.end_session("s", lambda _: {"made": 1})
    LATE[late](store, at(4, 12))
    assert store.session_report("s", lambda _: {"made": 2}) == {"made": 2}
    assert store.session_report("s", lambda _: {"made": 3}) == {"made": 2}


def test_an_outcome_after_the_end_invalidates_the_report(store: Store) -> None:
    store.start_session(NewSession(id="s"))
    store.end_session("s", make)
    store.start_invocation(NewInvocation(id="u", skill_name="a", session_id="s"))
    store.session_report("s", lambda _: {"made": 1})
    store.finish_invocation("u", NewOutcome(outcome="completed"))
    assert store.session_report("s", lambda _: {"made": 2}) == {"made": 2}


def test_a_session_that_went_on_after_its_end_ends_again(store: Store, clock: Any, at: Callable[..., str]) -> None:
    store.start_session(NewSession(id="s"))
    store.end_session("s", make)
    clock.advance(hours=2)
    store.start_invocation(NewInvocation(id="late", skill_name="a", session_id="s"))
    clock.advance(hours=1)
    ended = store.end_session("s", make)
    assert (ended.abandoned, ended.changed, ended.session.ended_at) == (["late"], True, at(4, 15))
    assert not store.end_session("s", make).changed


def test_an_open_session_has_no_kept_report(store: Store) -> None:
    store.record_event(event(id="e1"))
    assert store.session_report("s", make) == {"events": ["e1"], "ended": False}
    assert store.session_report("s", lambda _: {"made": "anew"}) == {"made": "anew"}


def test_reports_of_other_sessions_stay(store: Store) -> None:
    for session in ("s", "t"):
        store.start_session(NewSession(id=session))
        store.end_session(session, lambda _: {"made": 1})
    store.record_event(event(session_id="t"))
    assert store.session_report("s", lambda _: {"made": 2}) == {"made": 1}


def test_a_session_without_activity_is_idle(store: Store, clock: Any, at: Callable[..., str]) -> None:
    store.start_session(NewSession(id="quiet"))
    store.start_session(NewSession(id="ended"))
    for session in ("searching", "using", "finishing", "reporting", "backfilling"):
        store.start_session(NewSession(id=session))
    store.start_invocation(NewInvocation(id="u", skill_name="a", session_id="finishing"))
    store.end_session("ended", make)
    clock.advance(hours=5)
    store.record_search(searched("q", at(4, 17), session="searching"))
    store.start_invocation(NewInvocation(skill_name="a", session_id="using"))
    store.finish_invocation("u", NewOutcome(outcome="completed"))
    store.record_event(event(session_id="reporting"))
    store.record_event(event(session_id="backfilling", occurred_at=at(1)))
    clock.advance(hours=1)
    assert store.idle_sessions(timedelta(hours=2)) == ["quiet"]
    assert store.idle_sessions(timedelta(hours=7)) == []
    assert store.idle_sessions(timedelta.max) == []
    clock.advance(hours=5)
    assert len(store.idle_sessions(timedelta(hours=2))) == 6


def test_a_use_that_a_sweep_abandons_is_no_activity(store: Store, clock: Any) -> None:
    store.start_invocation(NewInvocation(skill_name="a", session_id="s"))
    clock.advance(days=2)
    assert len(store.abandon_stale(timedelta(days=1))) == 1
    assert store.idle_sessions(timedelta(days=1)) == ["s"]


def test_a_step_counts_once_a_session_as_it_was_judged_last(store: Store, at: Callable[..., str]) -> None:
    store.start_session(NewSession(id="s", project_id="shop"))
    store.record_events(
        [
            event(occurred_at=at(3, 1), status="failed"),
            event(occurred_at=at(3, 4), status="started"),
            event(occurred_at=at(3, 3), status="passed"),
            event(session_id="t", occurred_at=at(3, 3), status="passed"),
            event(session_id="t", occurred_at=at(3, 3), status="failed"),
            event(session_id="t", step="skipped one", status="skipped"),
        ]
    )
    for identifier, skill, hour in (("u1", "before", 2), ("u2", "after", 5)):
        store.start_invocation(NewInvocation(id=identifier, skill_name=skill, session_id="s", invoked_at=at(3, hour)))
    found = store.step_totals(ALL, steps=10)
    assert found.steps == 1
    assert {(t.skill_name, t.project_id): (t.sessions, t.passed) for t in found.totals} == {
        (None, "shop"): (1, 1),
        (None, ""): (1, 0),
        ("before", "shop"): (1, 1),
    }


def test_steps_that_never_differ_come_last(store: Store) -> None:
    for number in range(4):
        store.record_events(
            [
                event(session_id=f"s{number}", step="always", status="passed"),
                event(session_id=f"s{number}", step="sometimes", status="failed" if number == 0 else "passed"),
                event(session_id=f"s{number}", step="often", status="failed" if number < 2 else "passed"),
            ]
        )
    found = store.step_totals(ALL, steps=2)
    assert found.steps == 3
    assert {total.step for total in found.totals} == {"often", ""}


def test_all_steps_of_a_workflow_together_fail_when_one_does(store: Store, at: Callable[..., str]) -> None:
    def told(session: str, step: str, status: str, hour: int) -> NewWorkflowEvent:
        return event(session_id=session, step=step, status=status, occurred_at=at(3, hour))

    store.record_events(
        [
            told("s", "unit", "failed", 1),
            told("s", "unit", "passed", 2),
            told("s", "lint", "passed", 3),
            told("t", "unit", "passed", 1),
            told("t", "lint", "failed", 2),
            event(session_id="t", workflow="one step alone", step="unit", status="failed"),
        ]
    )
    store.start_invocation(NewInvocation(skill_name="late", session_id="t", invoked_at=at(3, 3)))
    store.start_invocation(NewInvocation(skill_name="between", session_id="s", invoked_at=at(3, 2, 30)))
    found = [total for total in store.step_totals(WorkflowFilter(workflow="ci"), steps=9).totals if not total.step]
    assert {total.skill_name: (total.sessions, total.passed) for total in found} == {None: (2, 1), "between": (1, 1)}
    everything = store.step_totals(ALL, steps=9)
    assert everything.steps == 3
    assert {total.workflow for total in everything.totals if not total.step} == {"ci"}


def test_a_filter_chooses_sessions(store: Store, clock: Any, at: Callable[..., str]) -> None:
    store.record_event(event(session_id="old", project_id="shop", phase="test"))
    clock.advance(days=2)
    store.start_invocation(NewInvocation(skill_name="a", session_id="new", project_id="shop", workflow_phase="plan"))
    store.record_event(event(session_id="new", workflow="cd", phase="ship", status="failed"))
    store.record_event(event(session_id="elsewhere", project_id="bank", phase="test"))

    def phases(**wanted: Any) -> set[str]:
        return {total.phase for total in store.phase_totals(WorkflowFilter(**wanted))}

    assert phases() == {"test", "plan", "ship"}
    assert phases(project_id="shop") == {"test", "plan", "ship"}
    assert phases(project_id="bank") == {"test"}
    assert phases(project_id="nobody's") == set()
    assert phases(workflow="cd") == {"plan", "ship"}
    assert phases(since=at(5)) == {"plan", "ship", "test"}
    assert phases(since=at(5), project_id="shop", workflow="ci") == set()
    assert store.step_totals(WorkflowFilter(workflow="cd"), steps=9).steps == 1
    with pytest.raises(InvalidRecord):
        phases(since="yesterday")


def test_phases_count_how_uses_and_steps_ended(store: Store) -> None:
    for outcome in ("completed", "completed", "abandoned", None):
        use = store.start_invocation(NewInvocation(skill_name="a", session_id="s", workflow_phase="build"))
        if outcome:
            store.finish_invocation(use.id, NewOutcome(outcome=outcome))
    store.start_invocation(NewInvocation(skill_name="a", session_id="s"))
    store.record_events([event(phase="build", status=status) for status in ("started", "passed", "failed", "failed")])
    assert {(t.kind, t.outcome): t.n for t in store.phase_totals(ALL)} == {
        ("use", "completed"): 2,
        ("use", "abandoned"): 1,
        ("use", "running"): 1,
        ("step", "passed"): 1,
        ("step", "failed"): 2,
    }


def test_transitions_follow_time_inside_sessions(store: Store, at: Callable[..., str]) -> None:
    for session in ("s", "t"):
        for hour, skill in ((4, "c"), (1, "a"), (2, "a"), (3, "b")):
            store.start_invocation(NewInvocation(skill_name=skill, session_id=session, invoked_at=at(3, hour)))
    store.start_invocation(NewInvocation(skill_name="a", session_id="t", invoked_at=at(3, 5)))
    store.start_invocation(NewInvocation(skill_name="c", session_id="t", invoked_at=at(3, 6)))
    found = {(t.before, t.after): (t.n, t.sessions, t.leaving) for t in store.transitions(ALL, between="skills")}
    assert found == {("a", "b"): (2, 2, 3), ("b", "c"): (2, 2, 2), ("a", "c"): (1, 1, 3), ("c", "a"): (1, 1, 1)}


def test_phases_of_uses_and_events_are_one_path(store: Store, at: Callable[..., str]) -> None:
    store.record_event(event(phase="test", occurred_at=at(3, 2)))
    store.start_invocation(NewInvocation(skill_name="a", session_id="s", workflow_phase="plan", invoked_at=at(3, 1)))
    store.start_invocation(NewInvocation(skill_name="a", session_id="s", invoked_at=at(3, 3)))
    store.record_event(event(phase="ship", occurred_at=at(3, 4)))
    found = [(t.before, t.after) for t in store.transitions(ALL, between="phases")]
    assert found == [("plan", "test"), ("test", "ship")]


MOMENTS = st.integers(0, 5).map(lambda hour: f"2026-03-03T{hour:02}:00:00.000000Z")
TOLD = st.lists(
    st.builds(
        NewWorkflowEvent,
        id=st.integers(0, 30).map(str),
        session_id=st.sampled_from(["s", "t"]),
        workflow=st.sampled_from(["ci", "cd"]),
        step=st.sampled_from(["unit", "lint"]),
        status=st.sampled_from(["started", "passed", "failed", "skipped"]),
        phase=st.sampled_from(["test", "ship", None]),
        occurred_at=MOMENTS,
        project_id=st.sampled_from(["shop", "bank", None]),
    ),
    max_size=25,
    unique_by=lambda told: told.id,
)


# Every example makes databases of its own.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), told=TOLD)
def test_any_order_and_repetition_of_events_says_the_same(
    new_database: Callable[[], Callable[..., Store]], data: st.DataObject, told: list[NewWorkflowEvent]
) -> None:
    again = data.draw(st.permutations(told + [each for each in told if data.draw(st.booleans())]))
    cut = data.draw(st.integers(0, len(again)))
    one, other = new_database()(), new_database()()
    for store in (one, other):
        # A session that an event begins has that event's project; to compare, both begin alike.
        for session in ("s", "t"):
            store.start_session(NewSession(id=session))
            store.start_invocation(
                NewInvocation(id=session, skill_name="a", session_id=session, invoked_at="2026-03-03T02:30:00Z")
            )
    one.record_events(told)
    for each in again[:cut]:
        other.record_event(each)
    other.record_events(again[cut:])
    for session in ("s", "t"):
        assert one.session_story(session) == other.session_story(session)
    for wanted in (ALL, WorkflowFilter(project_id="shop"), WorkflowFilter(workflow="ci")):
        assert _told(one, wanted) == _told(other, wanted)
    one.close()
    other.close()


def _told(store: Store, wanted: WorkflowFilter) -> list[Any]:
    def ordered(found: list[Any]) -> list[str]:
        return sorted(map(repr, found))

    return [
        ordered(store.step_totals(wanted, steps=10).totals),
        ordered(store.phase_totals(wanted)),
        ordered(store.transitions(wanted, between="phases")),
        ordered(store.transitions(wanted, between="skills")),
    ]


def test_many_threads_may_report_the_same_events(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    told = [event(id=str(number), session_id=f"s{number % 3}") for number in range(60)]
    with ThreadPoolExecutor(6) as threads:
        reports = list(threads.map(lambda _: store.record_events(told), range(6)))
    assert sum(report.added for report in reports) == 60
    assert sum(report.known for report in reports) == 300
    found: list[WorkflowEvent] = [store.workflow_event(each.id or "") for each in told]
    assert len({each.seq for each in found}) == 60


def test_events_of_one_batch_without_a_time_keep_their_order(store: Store) -> None:
    statuses = ["failed", "passed", "failed", "passed"]
    batch = [event(id=f"e{n}", status=status, occurred_at=None) for n, status in enumerate(statuses)]
    store.record_events(batch)
    moments = [store.workflow_event(f"e{n}").occurred_at for n in range(len(statuses))]
    assert moments == sorted(set(moments))
    story = store.session_story("s").events
    assert [each.status for each in story] == statuses
    assert store.record_events(batch).known == len(statuses)


def test_an_empty_time_is_refused_and_does_not_mean_now(store: Store) -> None:
    with pytest.raises(InvalidRecord):
        store.record_event(event(occurred_at=""))
