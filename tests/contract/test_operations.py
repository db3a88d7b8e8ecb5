"""Reading the log in order, checking the store, and backing it up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import InvalidRecord, NotFound
from store.protocol import Store


def use(store: Store, identifier: str, **fields: Any) -> None:
    store.start_invocation(NewInvocation(skill_name="lint", id=identifier, **fields))


def test_the_log_is_read_in_pages_in_the_order_of_recording(store: Store) -> None:
    for identifier in ("c", "a", "b"):
        use(store, identifier)
    first = store.invocations(limit=2)
    assert [each.id for each in first] == ["c", "a"]
    assert [each.id for each in store.invocations(after="a")] == ["b"]
    assert store.invocations(after="b") == []


def test_reading_on_after_an_unknown_use_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.invocations(after="nobody")


def test_uses_are_found_by_their_ids(store: Store) -> None:
    use(store, "a", user_context={"k": [1]})
    use(store, "b")
    store.finish_invocation("b", NewOutcome(outcome="completed", follow_up_actions=["x"]))
    found = store.find_invocations(["b", "nobody", "a"])
    assert found == {"a": store.invocation("a"), "b": store.invocation("b")}
    assert store.find_invocations([]) == {}


def test_what_starting_and_finishing_return_is_what_is_recorded(store: Store) -> None:
    started = store.start_invocation(
        NewInvocation(skill_name="lint", user_context={"a": [None, 1.5]}, alternatives_considered=["x"])
    )
    assert started == store.invocation(started.id)
    finished = store.finish_invocation(started.id, NewOutcome(outcome="failed", follow_up_actions=["y"]))
    assert finished.invocation == store.invocation(started.id)


def test_a_store_that_was_used_passes_its_check(store: Store, document: Callable[..., Any]) -> None:
    assert store.check() == []
    generation = store.open_generation("m", 4, 1).generation
    store.write_document(document("lint"), generation)
    use(store, "a", session_id="s", workflow_path="quick")
    store.end_session("s")
    assert store.check() == []


def test_a_backup_reports_its_contents_and_never_overwrites(store: Store, tmp_path: Path) -> None:
    use(store, "a")
    report = store.backup(tmp_path / "backups" / "one")
    assert (report.total_invocations, report.total_outcomes) == (1, 0)
    assert Path(report.path).stat().st_size == report.size_bytes
    with pytest.raises(InvalidRecord):
        store.backup(tmp_path / "backups" / "one")


def test_ids_that_the_store_makes_are_in_the_order_of_time(store: Store) -> None:
    made = [store.start_invocation(NewInvocation(skill_name="lint")).id for _ in range(20)]
    assert len(set(made)) == 20
    assert [each[:13] for each in made] == sorted(each[:13] for each in made)
