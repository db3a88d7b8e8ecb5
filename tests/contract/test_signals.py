"""Projects, what happens in them, and the signals: the store's part, through its protocol."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from store.contract.catalogue import DocumentWrite
from store.contract.projects import (
    NewMentorshipSession,
    NewProgressUpdate,
    NewProject,
    ProgressUpdate,
    SkillDeclaration,
    WorkTransaction,
)
from store.contract.signal_writes import NewSignals, SignalInsertion
from store.contract.signals import SignalFilter
from store.errors import Conflict, InvalidRecord, NotFound
from store.protocol import Store

DAY = timedelta(days=1)


def declare(store: Store, project_id: str, *names: str, add_missing: bool = True) -> dict[str, int]:
    """Declare a project with skills of these names; `name@category` gives a new one its category."""

    def work(transaction: WorkTransaction) -> dict[str, int]:
        transaction.add_project(NewProject(id=project_id, name=project_id))
        wanted = [
            SkillDeclaration(skill_name=name.partition("@")[0], category=name.partition("@")[2] or None)
            for name in names
        ]
        found = transaction.declare_skills(project_id, wanted, add_missing=add_missing)
        return {skill.skill_name: skill.skill_id for skill in found}

    return store.transaction(work)


def join(store: Store, project_id: str, user_id: str) -> None:
    store.transaction(lambda work: work.add_member(project_id, user_id))


def update(store: Store, project_id: str, user_id: str, **told: Any) -> ProgressUpdate:
    told = {"content": "did something"} | told
    new = NewProgressUpdate(project_id=project_id, user_id=user_id, **told)
    return store.transaction(lambda work: work.add_progress_update(new)[0])


def add(store: Store, source: ProgressUpdate | tuple[str, str], skill_ids: list[int], **told: Any) -> SignalInsertion:
    """Add the signals of an update, or of (project, user)."""
    if isinstance(source, ProgressUpdate):
        told = {"user_id": source.user_id, "source_type": "update", "source_id": source.id} | told
        told = {"signal_type": "update"} | told
    else:
        told = {"user_id": source[1], "source_type": "project", "source_id": source[0], "signal_type": "joined"} | told
    signals = NewSignals(**{"skill_ids": skill_ids, "weight": 1.0, "context": None} | told)
    return store.transaction(lambda work: work.add_signals(signals))


def totals(store: Store, **wanted: Any) -> dict[str, int]:
    return {each.skill_name: each.signals for each in store.signal_distribution(SignalFilter(**wanted)).skills}


def test_a_transaction_is_applied_whole_or_not_at_all(store: Store) -> None:
    def work(transaction: WorkTransaction) -> None:
        transaction.add_project(NewProject(id="p", name="P"))
        transaction.add_member("elsewhere", "ann")

    with pytest.raises(NotFound):
        store.transaction(work)
    assert store.projects() == []


def test_a_transaction_sees_its_own_writes(store: Store) -> None:
    def work(transaction: WorkTransaction) -> list[str]:
        transaction.add_project(NewProject(id="p", name="P"))
        transaction.add_member("p", "ann")
        return [member.user_id for member in transaction.members("p")]

    assert store.transaction(work) == ["ann"]


def test_everything_in_a_transaction_has_one_moment(store: Store, at: Callable[..., str]) -> None:
    project, _ = store.transaction(lambda work: work.add_project(NewProject(id="p", name="P")))
    assert project.created_at == at(4, 12)


def test_a_transaction_that_ended_can_no_longer_be_used(store: Store) -> None:
    kept = store.transaction(lambda work: work)
    with pytest.raises(RuntimeError, match="ended"):
        kept.members("p")


def test_a_project_declared_again_with_the_same_content_is_unchanged(store: Store) -> None:
    new = NewProject(id="p", name="P", paths=["a"], metadata={"skill_ideas": ["x"], "b": 1})
    first, was_new = store.transaction(lambda work: work.add_project(new))
    again, is_new = store.transaction(lambda work: work.add_project(new))
    assert (was_new, is_new) == (True, False)
    assert again == first == store.project("p")


def test_a_project_id_that_belongs_to_another_project_is_a_conflict(store: Store) -> None:
    declare(store, "p")
    with pytest.raises(Conflict):
        store.transaction(lambda work: work.add_project(NewProject(id="p", name="another")))


@pytest.mark.parametrize("project_id", ["", "  ", "home/me/project", "x" * 201])
def test_a_project_id_is_a_name_and_no_path(store: Store, project_id: str) -> None:
    with pytest.raises(InvalidRecord):
        store.transaction(lambda work: work.add_project(NewProject(id=project_id, name="P")))


def test_projects_are_paged_in_the_order_of_their_ids(store: Store) -> None:
    for name in "cab":
        declare(store, name)
    assert [each.id for each in store.projects(limit=2)] == ["a", "b"]
    assert [each.id for each in store.projects(after="b")] == ["c"]


def test_declaring_skills_replaces_the_whole_scope(store: Store) -> None:
    declare(store, "p", "sql", "python")
    declare(store, "p", "python", "rust")
    assert [each.skill_name for each in store.project_skills("p")] == ["python", "rust"]


def test_a_name_the_catalogue_lacks_becomes_a_skill_without_a_document(store: Store) -> None:
    declare(store, "p", "negotiation@people")
    [skill] = store.project_skills("p")
    assert (skill.category, skill.has_document) == ("people", False)
    assert store.skill("negotiation").document_path is None


def test_a_skill_without_a_document_is_listed_only_when_asked_for(store: Store) -> None:
    declare(store, "p", "negotiation")
    assert store.skills() == []
    assert [each.skill_name for each in store.skills(declared=True)] == ["negotiation"]
    assert store.counts() == (0, 0)


def test_a_skill_without_a_document_is_never_a_candidate(
    store: Store, document: Callable[..., DocumentWrite], query: Callable[..., Any]
) -> None:
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("negotiation-guide"), generation)
    declare(store, "p", "negotiation")
    found = store.candidates("negotiation", query([1, 0, 0, 0]), depth=10)
    assert [each.skill_name for each in found] == ["negotiation-guide"]


def test_a_document_that_comes_later_takes_the_declared_skill_over(
    store: Store, document: Callable[..., DocumentWrite]
) -> None:
    declared = declare(store, "p", "negotiation@people")
    skill_id = store.write_document(document("negotiation"), store.open_generation("m", 4, 1).generation)
    assert skill_id == declared["negotiation"]
    assert store.project_skills("p")[0].has_document
    assert [each.category for each in store.skills()] == ["people"]


def test_a_project_does_not_change_the_category_of_a_document(
    store: Store, document: Callable[..., DocumentWrite]
) -> None:
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("sql", category="data"), generation)
    declare(store, "p", "sql@people")
    assert store.skill("sql").category == "data"


def test_an_unknown_skill_is_refused_when_none_may_be_added(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        declare(store, "p", "sql", add_missing=False)
    assert (refused.value.kind, refused.value.key) == ("skill", "sql")


def test_an_unknown_skill_id_is_refused(store: Store) -> None:
    declare(store, "p")
    with pytest.raises(NotFound):
        store.transaction(
            lambda work: work.declare_skills("p", [SkillDeclaration(skill_id=7)], add_missing=True),
        )


def test_joining_again_keeps_the_first_time(store: Store, clock: Any) -> None:
    declare(store, "p")
    first, was_new = store.transaction(lambda work: work.add_member("p", "ann"))
    clock.advance(days=1)
    again, is_new = store.transaction(lambda work: work.add_member("p", "ann"))
    assert (was_new, is_new) == (True, False)
    assert again == first
    assert store.project_members("p") == [first]


def test_completing_again_keeps_the_first_time(store: Store, clock: Any, at: Callable[..., str]) -> None:
    declare(store, "p")
    store.transaction(lambda work: work.complete_project("p"))
    clock.advance(days=1)
    project, is_new = store.transaction(lambda work: work.complete_project("p"))
    assert (project.completed_at, is_new) == (at(4, 12), False)


def test_the_same_key_of_the_same_user_and_project_is_the_same_update(store: Store) -> None:
    declare(store, "p")
    first = update(store, "p", "ann", idempotency_key="k")
    assert update(store, "p", "ann", idempotency_key="k") == first
    assert store.progress_updates() == [first]


def test_the_same_key_of_another_user_is_another_update(store: Store) -> None:
    declare(store, "p")
    assert update(store, "p", "ann", idempotency_key="k").id != update(store, "p", "bob", idempotency_key="k").id


def test_the_same_key_with_another_text_is_a_conflict(store: Store) -> None:
    declare(store, "p")
    first = update(store, "p", "ann", idempotency_key="k")
    with pytest.raises(Conflict) as refused:
        update(store, "p", "ann", idempotency_key="k", content="something else")
    assert refused.value.recorded["id"] == first.id


def test_updates_without_a_key_are_all_kept(store: Store) -> None:
    declare(store, "p")
    assert update(store, "p", "ann").id != update(store, "p", "ann").id


def test_updates_are_paged_last_recorded_first(store: Store) -> None:
    declare(store, "p")
    declare(store, "q")
    kept = [update(store, project, "ann") for project in "ppqp"]
    assert [each.id for each in store.progress_updates(project_id="p", limit=2)] == [kept[3].id, kept[1].id]
    assert [each.id for each in store.progress_updates(project_id="p", before=kept[1].seq)] == [kept[0].id]
    assert store.progress_update(kept[2].id) == kept[2]


def test_a_mentorship_session_is_found_by_each_of_its_people(store: Store) -> None:
    declare(store, "p")
    new = NewMentorshipSession(id="m", intern_id="ann", mentor_id="bob", session_focus="sql", project_id="p")
    session, _ = store.transaction(lambda work: work.add_mentorship_session(new))
    assert store.transaction(lambda work: work.add_mentorship_session(new)) == (session, False)
    assert store.mentorship_sessions(intern_id="ann") == store.mentorship_sessions(mentor_id="bob") == [session]
    assert store.mentorship_sessions(project_id="p", before=session.seq) == []
    assert store.mentorship_session("m") == session


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"mentor_id": "ann"}, InvalidRecord),
        ({"session_focus": " "}, InvalidRecord),
        ({"project_id": "elsewhere"}, NotFound),
    ],
    ids=["with oneself", "about nothing", "in an unknown project"],
)
def test_a_mentorship_session_that_cannot_be_is_refused(
    store: Store, told: dict[str, str], refusal: type[Exception]
) -> None:
    new = NewMentorshipSession(**{"intern_id": "ann", "mentor_id": "bob", "session_focus": "sql"} | told)
    with pytest.raises(refusal):
        store.transaction(lambda work: work.add_mentorship_session(new))
    assert store.mentorship_sessions() == []


@pytest.mark.parametrize("kind", ["project", "progress_update", "mentorship_session"])
def test_what_is_not_recorded_is_not_found(store: Store, kind: str) -> None:
    with pytest.raises(NotFound):
        getattr(store, kind)("nothing")


@pytest.mark.parametrize("read", ["project_skills", "project_members"])
def test_the_parts_of_an_unknown_project_are_not_found(store: Store, read: str) -> None:
    with pytest.raises(NotFound):
        getattr(store, read)("nothing")


def test_signals_are_added_once(store: Store) -> None:
    skills = declare(store, "p", "sql", "python")
    source = update(store, "p", "ann")
    assert add(store, source, [*skills.values()]) == SignalInsertion(inserted=2, recorded=0, undeclared=0)
    assert add(store, source, [*skills.values()]) == SignalInsertion(inserted=0, recorded=2, undeclared=0)
    assert totals(store) == {"python": 1, "sql": 1}


def test_a_skill_that_the_project_does_not_declare_gives_no_signal(store: Store) -> None:
    skills = declare(store, "p", "sql", "python")
    declare(store, "p", "python")
    assert add(store, update(store, "p", "ann"), [*skills.values()]).undeclared == 1
    assert totals(store) == {"python": 1}


def test_signals_stay_when_a_project_narrows_its_scope(store: Store) -> None:
    skills = declare(store, "p", "sql")
    add(store, update(store, "p", "ann"), [*skills.values()])
    declare(store, "p", "python")
    assert totals(store) == {"sql": 1}


def test_signals_need_a_source_of_the_same_user(store: Store) -> None:
    skills = declare(store, "p", "sql")
    with pytest.raises(NotFound):
        add(store, update(store, "p", "ann"), [*skills.values()], user_id="bob")
    with pytest.raises(NotFound):
        add(store, ("p", "ann"), [*skills.values()])
    assert totals(store) == {}


def test_an_unknown_skill_gives_an_error_and_no_signal(store: Store) -> None:
    skills = declare(store, "p", "sql")
    with pytest.raises(NotFound):
        add(store, update(store, "p", "ann"), [*skills.values(), 99])
    assert totals(store) == {}


def test_mentorship_is_refused_by_the_store_too(store: Store) -> None:
    skills = declare(store, "p", "sql")
    with pytest.raises(InvalidRecord):
        add(store, ("p", "ann"), [*skills.values()], source_type="mentorship")


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), 1001.0])
def test_a_weight_that_means_nothing_is_refused(store: Store, weight: float) -> None:
    skills = declare(store, "p", "sql")
    with pytest.raises(InvalidRecord):
        add(store, update(store, "p", "ann"), [*skills.values()], weight=weight)


def test_the_distribution_has_shares_and_categories_that_add_up(store: Store) -> None:
    skills = declare(store, "p", "sql@data", "spark@data", "python")
    for _ in range(3):
        add(store, update(store, "p", "ann"), [skills["sql"], skills["python"]])
    add(store, update(store, "p", "ann"), [skills["spark"]])
    found = store.signal_distribution(SignalFilter())
    assert [(each.skill_name, each.signals) for each in found.skills] == [("python", 3), ("sql", 3), ("spark", 1)]
    assert [(each.category, each.signals) for each in found.categories] == [("data", 4), (None, 3)]
    assert sum(each.share for each in found.skills) == pytest.approx(1)


def test_each_filter_narrows_every_chart(store: Store, clock: Any, at: Callable[..., str]) -> None:
    both = declare(store, "p", "sql@data", "python@code")
    declare(store, "q", "sql@data")
    add(store, update(store, "p", "ann"), [*both.values()])
    clock.advance(days=1)
    add(store, update(store, "q", "bob"), [both["sql"]])
    for wanted, expected in [
        ({"user_id": "ann"}, {"python": 1, "sql": 1}),
        ({"project_id": "q"}, {"sql": 1}),
        ({"skill_name": "sql"}, {"sql": 2}),
        ({"category": "code"}, {"python": 1}),
        ({"category": "none such"}, {}),
        ({"since": at(5, 12)}, {"sql": 1}),
        ({"until": at(5, 12)}, {"python": 1, "sql": 1}),
        ({"since": "2026-03-05T13:00+02:00", "until": "2026-03-06"}, {"sql": 1}),
        ({"user_id": "ann", "category": "data"}, {"sql": 1}),
    ]:
        assert totals(store, **wanted) == expected, wanted
        activity = store.signal_activity(SignalFilter(**wanted))
        assert len(activity.signals) == sum(expected.values()), wanted
        window = {"since": at(1), "until": at(9)} | wanted
        assert store.signal_momentum(SignalFilter(**window), bucket="day", window=DAY).total == sum(expected.values())


def test_a_filter_on_an_unknown_skill_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.signal_distribution(SignalFilter(skill_name="nothing"))


def test_momentum_fills_empty_buckets_and_compares_with_the_period_before(
    store: Store, clock: Any, at: Callable[..., str]
) -> None:
    skills = declare(store, "p", "sql")
    for days in (0, 0, 1, 2):  # signals on the 4th, the 5th and the 7th of March
        clock.advance(days=days)
        add(store, update(store, "p", "ann"), [*skills.values()])
    found = store.signal_momentum(SignalFilter(since=at(5), until=at(8)), bucket="day", window=DAY)
    assert [(each.time_bucket, each.signals, each.change) for each in found.buckets] == [
        (at(5), 1, -1),
        (at(6), 0, -1),
        (at(7), 1, 1),
    ]
    assert (found.total, found.total_before, found.change, found.change_percent) == (2, 2, 0, 0.0)


def test_momentum_up_to_now_includes_the_present_moment(store: Store) -> None:
    skills = declare(store, "p", "sql")
    add(store, update(store, "p", "ann"), [*skills.values()])
    found = store.signal_momentum(SignalFilter(), bucket="hour", window=timedelta(hours=2))
    assert [each.signals for each in found.buckets] == [0, 0, 1]
    assert found.change_percent is None


def test_weeks_begin_on_mondays(store: Store, at: Callable[..., str]) -> None:
    found = store.signal_momentum(SignalFilter(since=at(4), until=at(10)), bucket="week", window=DAY)
    assert [each.time_bucket for each in found.buckets] == [at(2), at(9)]


@pytest.mark.parametrize(
    "wanted",
    [
        {"since": "2026-03-05", "until": "2026-03-05"},
        {"since": "2026-01-01", "until": "2026-02-01"},
        {"since": "yesterday"},
        {"since": "0001-01-01", "until": "9999-01-01"},
    ],
    ids=["empty", "too many buckets", "no time", "longer than the calendar"],
)
def test_a_period_that_makes_no_chart_is_refused(store: Store, wanted: dict[str, str]) -> None:
    with pytest.raises(InvalidRecord):
        store.signal_momentum(SignalFilter(**wanted), bucket="minute", window=DAY)


def test_activity_is_paged_without_gaps_or_repetitions(store: Store, clock: Any) -> None:
    skills = declare(store, "p", *(f"skill {number}" for number in range(5)))
    for _ in range(3):
        add(store, update(store, "p", "ann"), [*skills.values()])
        clock.advance(seconds=-1)
    whole = store.signal_activity(SignalFilter(), limit=500)
    assert whole.next is None
    assert [each.created_at for each in whole.signals] == sorted((s.created_at for s in whole.signals), reverse=True)
    paged, cursor = [], None
    while True:
        page = store.signal_activity(SignalFilter(), cursor=cursor, limit=4)
        paged += page.signals
        cursor = page.next
        if cursor is None:
            break
        # What comes in while somebody reads does not shift their pages.
        add(store, update(store, "p", "bob"), [*skills.values()])
    assert [each for each in paged if each.user_id == "ann"] == whole.signals


@pytest.mark.parametrize("cursor", ["", "x", "2026-03-04T12:00:00Z", "_1", "2026-03-04_-1", "2026-03-04_" + "9" * 30])
def test_a_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRecord):
        store.signal_activity(SignalFilter(), cursor=cursor)


def test_scope_has_declarations_and_uses_by_day(store: Store, clock: Any, at: Callable[..., str]) -> None:
    skills = declare(store, "p", "sql", "python")
    declare(store, "q", "sql")
    add(store, update(store, "q", "ann"), [skills["sql"]], weight=2.0)
    clock.advance(days=1)
    add(store, update(store, "p", "ann"), [skills["sql"]])
    add(store, update(store, "p", "bob"), [skills["sql"], skills["python"]])
    found = store.scope(["sql", "other"], project_id="p", user_id="ann", since=at(1))
    assert found.declared == {"sql"}
    told = [(use.day, use.strength, use.user_updates, use.project_updates) for use in found.uses["sql"]]
    assert told == [("2026-03-04", 2.0, 1, 0), ("2026-03-05", 2.0, 1, 2)]
    assert set(found.uses) == {"sql"}


def test_the_scope_of_an_unknown_user_is_empty(store: Store, at: Callable[..., str]) -> None:
    declare(store, "p", "sql")
    found = store.scope(["sql"], project_id="elsewhere", user_id="nobody", since=at(1))
    assert (found.declared, found.uses) == (frozenset(), {})
