"""Bulk imports count once for each chunk, with the same result as one by one, and never leave counting disabled."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.contract.tracking import NewInvocation, NewOutcome
from store.sqlite import SqliteStore, importing, open_store

NAMES = st.sampled_from(["lint", "test", "ключ"])
OUTCOMES = st.none() | st.builds(
    NewOutcome,
    outcome=st.sampled_from(["completed", "failed", "abandoned", "cancelled"]),
    duration_seconds=st.none() | st.floats(0, 1e6),
    finished_at=st.none() | st.just("2026-03-01T00:00:00Z"),
    error_type=st.none() | st.sampled_from(["ValueError", ""]),
    follow_up_actions=st.lists(st.sampled_from(["commit", "push"]), max_size=3),
    source=st.just("import"),
)
USES = st.tuples(
    st.builds(
        NewInvocation,
        id=st.sampled_from([f"use {n}" for n in range(8)]),
        skill_name=NAMES,
        invoked_at=st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T10:59:59.999999Z", "2026-03-01T11:00:00Z"]),
        session_id=st.none() | st.sampled_from(["a", "b"]),
        workflow_path=st.none() | st.sampled_from(["quick", "full", ""]),
        # Zero breaks a rule that only the schema knows, so the chunk falls back to rows one by one.
        selection_rank=st.sampled_from([None, None, None, 1, 0]),
    ),
    OUTCOMES,
)


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Path:
    return Path(shutil.copyfile(migrated_file, tmp_path / "skillrank.db"))


@given(batches=st.lists(st.lists(USES, max_size=12), max_size=3))
def test_a_chunk_gives_what_its_rows_one_by_one_give(
    batches: list[Any], tmp_path_factory: pytest.TempPathFactory, migrated_file: Path
) -> None:
    folder = tmp_path_factory.mktemp("both")
    found = []
    for way in ("together", "one by one"):
        path = Path(shutil.copyfile(migrated_file, folder / f"{way}.db"))
        with closing(open_store(path)) as store, pytest.MonkeyPatch.context() as patch:
            if way == "one by one":
                patch.setattr(importing, "add_chunk", importing._add_one_by_one)
            reports = [store.import_invocations(batch) for batch in batches]
            assert store.first_difference() is None
            found.append((reports, store.invocations(), _derived(store)))
    assert found[0] == found[1]


def _derived(store: SqliteStore) -> list[list[Any]]:
    # Row numbers of paths follow the order in which they were counted, which nobody sees.
    tables = {
        "skill_metrics": "*",
        "skill_metric_count": "skill_name, kind, value, n, timed_completions, total_duration_us",
        "skill_hour": "*",
        "session": "*",
        "session_skill": "*",
        "open_invocation": "*",
    }
    return [
        store._db.read("test", lambda c, t=t, k=k: sorted(map(repr, c.execute(f"SELECT {k} FROM {t}"))))  # type: ignore[misc]
        for t, k in tables.items()
    ]


def test_an_import_beside_live_uses_keeps_the_metrics_equal_to_the_log(database: Path) -> None:
    with closing(open_store(database)) as store:
        store.start_invocation(NewInvocation(id="live", skill_name="lint", session_id="a", workflow_path="quick"))
        rows = [
            (NewInvocation(id=f"use {n}", skill_name="lint", session_id="a", workflow_path="quick"), None)
            for n in range(2500)
        ]
        assert store.import_invocations(rows).imported == 2500
        store.finish_invocation("live", NewOutcome(outcome="completed"))
        store.finish_invocation("use 7", NewOutcome(outcome="failed", error_type="ValueError"))
        assert store.first_difference() is None


def test_a_pause_of_counting_cannot_be_committed(database: Path) -> None:
    with closing(apsw.Connection(str(database))) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN; INSERT INTO projection_paused(only_row) VALUES (1)").fetchall()
        with pytest.raises(apsw.ConstraintError):
            connection.execute("COMMIT")
        connection.execute("ROLLBACK")
        with pytest.raises(apsw.ConstraintError):
            connection.execute("INSERT INTO projection_paused(only_row, must_resume) VALUES (1, 1)")
