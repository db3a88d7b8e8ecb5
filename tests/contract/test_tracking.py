"""Sessions, uses and outcomes: what is recorded, what is refused, and what may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from store.contract.catalogue import DocumentWrite
from store.contract.tracking import Invocation, NewInvocation, NewOutcome, NewSession
from store.errors import Conflict, InvalidRecord, NotFound
from store.protocol import Store

COMPLETED = NewOutcome(outcome="completed")
FAILED = NewOutcome(outcome="failed", error_type="ValueError")


def start(store: Store, skill_name: str = "lint", **fields: Any) -> Invocation:
    return store.start_invocation(NewInvocation(skill_name=skill_name, **fields))


# --- sessions ------------------------------------------------------------------------------------------------


def test_a_session_starts_now_with_what_it_was_given(store: Store, at: Callable[..., str]) -> None:
    session = store.start_session(NewSession(id="s", project_id="p", user_id="u"))
    assert (session.id, session.project_id, session.user_id) == ("s", "p", "u")
    assert (session.started_at, session.ended_at) == (at(4, 12), None)
    assert store.session("s") == session


def test_a_session_without_an_id_is_given_one(store: Store) -> None:
    first, second = store.start_session(NewSession()), store.start_session(NewSession())
    assert first.id != second.id


def test_starting_a_session_again_returns_it_unchanged(store: Store, clock: Any) -> None:
    first = store.start_session(NewSession(id="s", project_id="p"))
    clock.advance(hours=1)
    assert store.start_session(NewSession(id="s", project_id="other", user_id="u")) == first


def test_starting_an_ended_session_again_leaves_it_ended(store: Store) -> None:
    store.start_session(NewSession(id="s"))
    ended = store.end_session("s").session
    assert store.start_session(NewSession(id="s")) == ended


def test_an_unknown_session_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        store.session("nobody")
    assert refused.value.kind == "session"


@pytest.mark.parametrize("session_id", ["", "   ", "x" * 201])
def test_a_session_id_that_is_no_name_is_refused(store: Store, session_id: str) -> None:
    with pytest.raises(InvalidRecord):
        store.start_session(NewSession(id=session_id))


def test_ending_a_session_reports_what_it_did(store: Store, clock: Any, at: Callable[..., str]) -> None:
    running = start(store, "lint", session_id="s")
    done = start(store, "test", session_id="s")
    store.finish_invocation(done.id, COMPLETED)
    clock.advance(minutes=5)
    end = store.end_session("s")
    assert (end.changed, end.abandoned, end.skills) == (True, [running.id], ["lint", "test"])
    assert end.session.ended_at == at(4, 12, 5)


def test_ending_a_session_abandons_its_open_uses(store: Store, clock: Any) -> None:
    use = start(store, session_id="s")
    clock.advance(seconds=90)
    store.end_session("s")
    ended = store.invocation(use.id)
    assert (ended.outcome, ended.source, ended.duration_seconds) == ("abandoned", "session_end", 90.0)


def test_ending_a_session_leaves_other_open_uses_alone(store: Store) -> None:
    start(store, session_id="s")
    others = [start(store, session_id="other").id, start(store).id]
    store.end_session("s")
    assert [store.invocation(use).outcome for use in others] == [None, None]


def test_ending_a_session_again_changes_nothing_and_says_so(store: Store, clock: Any) -> None:
    start(store, session_id="s")
    first = store.end_session("s")
    clock.advance(hours=1)
    again = store.end_session("s")
    assert (again.changed, again.abandoned, again.skills) == (False, [], first.skills)
    assert again.session == first.session


def test_ending_an_unknown_session_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.end_session("nobody")


def test_a_session_never_ends_before_it_started(store: Store, clock: Any) -> None:
    started = store.start_session(NewSession(id="s"))
    clock.advance(hours=-1)
    assert store.end_session("s").session.ended_at == started.started_at


# --- starting ------------------------------------------------------------------------------------------------


def test_a_use_is_recorded_with_everything_it_was_given(store: Store) -> None:
    given = NewInvocation(
        skill_name="lint",
        id="use-1",
        invoked_at="2026-03-04T10:00:00+02:00",
        session_id="s",
        user_id="u",
        project_id="p",
        project_path="/home/é",
        workflow_path="quick",
        workflow_phase="check",
        search_id="q",
        selection_rank=2,
        alternatives_considered=["a", "b"],
        user_query="which? 😀",
        user_context={"deep": [1, {"x": None}]},
    )
    use = store.start_invocation(given)
    for field in given.__struct_fields__:
        if field != "invoked_at":
            assert getattr(use, field) == getattr(given, field), field
    assert use.invoked_at == "2026-03-04T08:00:00.000000Z"
    assert (use.outcome, use.finished_at, use.duration_seconds, use.follow_up_actions) == (None, None, None, [])
    assert store.invocation("use-1") == use


def test_a_use_without_id_and_time_is_given_both(store: Store, at: Callable[..., str]) -> None:
    first, second = start(store), start(store)
    assert first.id != second.id
    assert first.invoked_at == at(4, 12)


def test_an_unknown_session_begins_with_its_first_use(store: Store) -> None:
    use = start(store, session_id="s", project_id="p", user_id="u")
    session = store.session("s")
    assert (session.project_id, session.user_id, session.started_at) == ("p", "u", use.invoked_at)


def test_starting_the_same_again_returns_what_is_recorded(store: Store, clock: Any) -> None:
    given = NewInvocation(skill_name="lint", id="use", session_id="s", user_context={"n": 1})
    first = store.start_invocation(given)
    clock.advance(minutes=1)
    assert store.start_invocation(given) == first
    assert store.skill_metrics("lint").total_invocations == 1  # type: ignore[union-attr]


def test_starting_the_same_again_after_it_finished_returns_it_finished(store: Store) -> None:
    given = NewInvocation(skill_name="lint", id="use")
    store.start_invocation(given)
    store.finish_invocation("use", COMPLETED)
    assert store.start_invocation(given).outcome == "completed"


def test_a_context_that_json_writes_in_another_way_is_still_the_same_start(store: Store) -> None:
    given = NewInvocation(
        skill_name="lint",
        id="use",
        user_context={"pair": (1, 2)},
        alternatives_considered=("a",),  # type: ignore[arg-type]
    )
    assert store.start_invocation(given) == store.start_invocation(given)


@pytest.mark.parametrize(
    "other",
    [
        {"skill_name": "other"},
        {"session_id": "other"},
        {"user_id": "other"},
        {"workflow_path": "other"},
        {"search_id": "other"},
        {"selection_rank": 3},
        {"alternatives_considered": ["other"]},
        {"user_context": {"other": 1}},
        {"invoked_at": "2026-01-01T00:00:00Z"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_content_under_the_same_id_is_a_conflict(store: Store, other: dict[str, Any]) -> None:
    first = start(store, id="use")
    with pytest.raises(Conflict) as refused:
        store.start_invocation(NewInvocation(**{"skill_name": "lint", "id": "use"} | other))
    (field,) = other
    assert refused.value.recorded == {"invocation_id": "use", field: getattr(first, field)}
    assert store.invocation("use") == first


@pytest.mark.parametrize(
    "broken",
    [
        {"skill_name": ""},
        {"skill_name": "  "},
        {"skill_name": "x" * 301},
        {"skill_name": "\ud800"},
        {"id": ""},
        {"id": "x" * 201},
        {"id": "\udfff"},
        {"session_id": " "},
        {"invoked_at": "yesterday"},
        {"invoked_at": "2026-13-01T00:00:00Z"},
        {"selection_rank": 0},
        {"selection_rank": 2**70},
        {"user_context": {"surrogate": "\ud800"}},
        {"user_context": {"unknown": object()}},
        {"project_path": "/undecodable/\udcff"},
    ],
    ids=", ".join,
)
def test_a_start_that_breaks_a_rule_is_refused_and_leaves_nothing(store: Store, broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        store.start_invocation(NewInvocation(**{"skill_name": "lint"} | broken))
    assert (store.all_metrics(), store.first_difference()) == ([], None)


def test_a_use_is_tied_to_the_version_that_was_served(store: Store, document: Callable[..., DocumentWrite]) -> None:
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("lint", content_hash="first"), generation)
    before = start(store)
    store.write_document(document("lint", content_hash="second"), generation)
    after = start(store)
    of = {version.id: version.content_hash for version in store.versions("lint")}
    assert [of[use.skill_version_id] for use in (before, after)] == ["first", "second"]  # type: ignore[index]


def test_a_skill_without_a_document_has_no_version(store: Store) -> None:
    assert start(store, "practised by hand").skill_version_id is None


# --- finishing -----------------------------------------------------------------------------------------------


def test_a_finish_is_recorded_with_everything_it_was_given(store: Store) -> None:
    use = start(store, invoked_at="2026-03-04T08:00:00Z")
    given = NewOutcome(
        outcome="failed",
        finished_at="2026-03-04T09:00:00Z",
        duration_seconds=1.5,
        error_type="ValueError",
        follow_up_actions=["retry", "ask"],
    )
    finish = store.finish_invocation(use.id, given)
    ended = finish.invocation
    assert finish.changed
    assert ended.finished_at == "2026-03-04T09:00:00.000000Z"
    for field in ("outcome", "duration_seconds", "error_type", "follow_up_actions", "source"):
        assert getattr(ended, field) == getattr(given, field), field
    assert store.invocation(use.id) == ended


@pytest.mark.parametrize("outcome", ["completed", "failed", "abandoned", "cancelled"])
def test_every_outcome_can_be_recorded(store: Store, outcome: Any) -> None:
    use = start(store)
    assert store.finish_invocation(use.id, NewOutcome(outcome=outcome)).invocation.outcome == outcome


def test_without_a_duration_it_is_the_time_since_the_start(store: Store, clock: Any) -> None:
    use = start(store)
    clock.advance(seconds=2, milliseconds=250)
    assert store.finish_invocation(use.id, COMPLETED).invocation.duration_seconds == 2.25


def test_a_clock_that_went_backwards_gives_no_negative_duration(store: Store, clock: Any) -> None:
    use = start(store)
    clock.advance(hours=-3)
    ended = store.finish_invocation(use.id, COMPLETED).invocation
    assert (ended.duration_seconds, ended.finished_at) == (0.0, use.invoked_at)


def test_finishing_the_same_again_changes_nothing(store: Store, clock: Any) -> None:
    use = start(store)
    first = store.finish_invocation(use.id, FAILED)
    clock.advance(hours=1)
    again = store.finish_invocation(use.id, FAILED)
    assert (again.changed, again.invocation) == (False, first.invocation)
    assert store.skill_metrics("lint").failed_invocations == 1  # type: ignore[union-attr]


def test_the_recorded_duration_given_again_is_the_same_finish(store: Store) -> None:
    use = start(store)
    told = NewOutcome(outcome="completed", duration_seconds=0.1)
    store.finish_invocation(use.id, told)
    assert not store.finish_invocation(use.id, told).changed


@pytest.mark.parametrize(
    "other",
    [
        NewOutcome(outcome="completed"),
        NewOutcome(outcome="failed"),
        NewOutcome(outcome="failed", error_type="KeyError"),
        NewOutcome(outcome="failed", error_type="ValueError", follow_up_actions=["more"]),
        NewOutcome(outcome="failed", error_type="ValueError", duration_seconds=9.0),
    ],
    ids=["outcome", "no error", "other error", "actions", "duration"],
)
def test_another_finish_is_a_conflict_that_says_what_is_recorded(store: Store, other: NewOutcome) -> None:
    use = start(store)
    first = store.finish_invocation(use.id, FAILED).invocation
    with pytest.raises(Conflict) as refused:
        store.finish_invocation(use.id, other)
    assert refused.value.recorded["outcome"] == "failed"
    assert refused.value.recorded["error_type"] == "ValueError"
    assert refused.value.recorded["finished_at"] == first.finished_at
    assert store.invocation(use.id) == first


def test_finishing_an_unknown_use_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        store.finish_invocation("nobody", COMPLETED)
    assert refused.value.kind == "invocation"


@pytest.mark.parametrize(
    "broken",
    [
        {"duration_seconds": -1.0},
        {"duration_seconds": float("nan")},
        {"duration_seconds": float("inf")},
        {"duration_seconds": 4e9},
        {"finished_at": "later"},
        {"outcome": "splendid"},
        {"source": "rumour"},
        {"error_type": "\ud800"},
        {"follow_up_actions": ["\ud800"]},
    ],
    ids=repr,
)
def test_a_finish_that_breaks_a_rule_is_refused_and_the_use_stays_open(store: Store, broken: dict[str, Any]) -> None:
    use = start(store)
    with pytest.raises(InvalidRecord):
        store.finish_invocation(use.id, NewOutcome(**{"outcome": "completed"} | broken))
    assert store.invocation(use.id).outcome is None


# --- reading -------------------------------------------------------------------------------------------------


def test_an_unknown_use_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.invocation("nobody")


def test_the_uses_of_a_session_come_in_the_order_they_began(store: Store) -> None:
    for use, invoked_at in (("b", "2026-03-02"), ("c", "2026-03-03"), ("a", "2026-03-01"), ("d", "2026-03-03")):
        start(store, id=use, session_id="s", invoked_at=invoked_at)
    start(store, session_id="other")
    assert [use.id for use in store.session_invocations("s")] == ["a", "b", "c", "d"]


def test_an_unknown_session_has_no_uses(store: Store) -> None:
    assert store.session_invocations("nobody") == []


# --- importing -----------------------------------------------------------------------------------------------


def test_imported_uses_are_in_the_log_and_the_metrics(store: Store) -> None:
    report = store.import_invocations(
        [
            (NewInvocation(skill_name="lint", id="a", session_id="s"), COMPLETED),
            (NewInvocation(skill_name="lint", id="b", session_id="s"), FAILED),
            (NewInvocation(skill_name="lint", id="c", session_id="s"), None),
        ]
    )
    assert (report.imported, report.duplicates, report.refused) == (3, 0, [])
    assert [use.outcome for use in store.session_invocations("s")] == ["completed", "failed", None]
    assert store.skill_metrics("lint").running_invocations == 1  # type: ignore[union-attr]


def test_importing_again_adds_nothing(store: Store) -> None:
    uses = [(NewInvocation(skill_name="lint", id=f"use-{number}"), COMPLETED) for number in range(5)]
    store.import_invocations(uses)
    again = store.import_invocations([*uses, (NewInvocation(skill_name="lint", id="new"), None)])
    assert (again.imported, again.duplicates) == (1, 5)
    assert store.skill_metrics("lint").total_invocations == 6  # type: ignore[union-attr]


def test_a_known_id_is_left_alone_whatever_the_row_says(store: Store) -> None:
    before = start(store, id="use")
    report = store.import_invocations([(NewInvocation(skill_name="other", id="use"), COMPLETED)])
    assert (report.imported, report.duplicates) == (0, 1)
    assert store.invocation("use") == before


def test_a_row_that_breaks_a_rule_is_refused_alone_and_leaves_nothing(store: Store) -> None:
    report = store.import_invocations(
        [
            (NewInvocation(skill_name="lint", id="good-1"), None),
            (NewInvocation(skill_name="lint", id="rank", selection_rank=0, session_id="ghost"), None),
            (NewInvocation(skill_name="", id="nameless"), None),
            (NewInvocation(skill_name="\ud800", id="surrogate"), None),
            (NewInvocation(skill_name="lint", id="negative"), NewOutcome(outcome="completed", duration_seconds=-1)),
            (NewInvocation(skill_name="lint", id="odd"), NewOutcome(outcome="odd")),  # type: ignore[arg-type]
            (NewInvocation(skill_name="lint", id="good-2"), None),
        ]
    )
    assert report.imported == 2
    assert [row_id for row_id, _ in report.refused] == ["rank", "nameless", "surrogate", "negative", "odd"]
    assert all(reason for _, reason in report.refused)
    assert store.skill_metrics("lint").total_invocations == 2  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        store.session("ghost")


def test_more_rows_than_one_chunk_are_all_imported(store: Store) -> None:
    report = store.import_invocations([(NewInvocation(skill_name="lint"), COMPLETED)] * 2100)
    assert report.imported == 2100
    assert store.skill_metrics("lint").completed_invocations == 2100  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("told", "finished_at", "duration"),
    [
        ({"finished_at": "2026-01-01T00:01:00Z", "duration_seconds": 5.0}, "2026-01-01T00:01:00.000000Z", 5.0),
        ({"finished_at": "2026-01-01T00:01:00Z"}, "2026-01-01T00:01:00.000000Z", 60.0),
        ({"duration_seconds": 5.0}, "2026-01-01T00:00:05.000000Z", 5.0),
        ({}, "2026-01-01T00:00:00.000000Z", None),
        ({"finished_at": "2025-01-01T00:00:00Z"}, "2026-01-01T00:00:00.000000Z", 0.0),
    ],
    ids=["both", "end", "duration", "neither", "ends before it starts"],
)
def test_an_imported_outcome_is_completed_from_the_row_never_from_the_clock(
    store: Store, told: dict[str, Any], finished_at: str, duration: float | None
) -> None:
    row = NewInvocation(skill_name="lint", id="use", invoked_at="2026-01-01T00:00:00Z")
    store.import_invocations([(row, NewOutcome(outcome="completed", **told))])
    use = store.invocation("use")
    assert (use.finished_at, use.duration_seconds) == (finished_at, duration)


def test_an_import_of_nothing_adds_nothing(store: Store) -> None:
    report = store.import_invocations([])
    assert (report.imported, report.duplicates, report.refused) == (0, 0, [])


# --- the sweep -----------------------------------------------------------------------------------------------


def test_the_sweep_abandons_what_is_open_for_longer_than_the_limit(store: Store, clock: Any) -> None:
    old = start(store)
    clock.advance(hours=25)
    fresh = start(store)
    assert store.abandon_stale(timedelta(hours=24)) == [old.id]
    swept = store.invocation(old.id)
    assert (swept.outcome, swept.source, swept.duration_seconds) == ("abandoned", "sweep", 25 * 3600.0)
    assert store.invocation(fresh.id).outcome is None


def test_a_use_open_for_exactly_the_limit_stays_open(store: Store, clock: Any) -> None:
    start(store)
    clock.advance(hours=24)
    assert store.abandon_stale(timedelta(hours=24)) == []


def test_the_sweep_leaves_finished_uses_alone(store: Store, clock: Any) -> None:
    store.finish_invocation(start(store).id, COMPLETED)
    clock.advance(days=9)
    assert store.abandon_stale(timedelta(hours=24)) == []


def test_sweeping_again_finds_nothing(store: Store, clock: Any) -> None:
    start(store)
    clock.advance(days=2)
    store.abandon_stale(timedelta(hours=24))
    assert store.abandon_stale(timedelta(hours=24)) == []


def test_nothing_is_older_than_the_calendar(store: Store) -> None:
    start(store)
    assert store.abandon_stale(timedelta.max) == []


@pytest.mark.parametrize("identifier", ["a/b", "/", ".", "..", " ", "", "x" * 201])
def test_an_id_that_no_url_path_can_hold_is_refused(store: Store, identifier: str) -> None:
    for told in ({"id": identifier}, {"session_id": identifier}):
        with pytest.raises(InvalidRecord) as refused:
            store.start_invocation(NewInvocation(skill_name="x", **told))
        assert refused.value.field in told
    with pytest.raises(InvalidRecord):
        store.start_session(NewSession(id=identifier))


def test_a_use_that_another_program_recorded_keeps_its_id(store: Store) -> None:
    use = NewInvocation(id="run/7", skill_name="x", session_id="shop/42", invoked_at="2026-01-01T00:00:00Z")
    assert store.import_invocations([(use, None)]).imported == 1
    assert store.invocation("run/7").session_id == "shop/42"


def test_an_empty_time_of_a_use_is_refused_and_does_not_mean_now(store: Store) -> None:
    with pytest.raises(InvalidRecord):
        store.start_invocation(NewInvocation(skill_name="x", invoked_at=""))
    store.start_invocation(NewInvocation(id="u", skill_name="x"))
    with pytest.raises(InvalidRecord):
        store.finish_invocation("u", NewOutcome(outcome="completed", finished_at=""))
