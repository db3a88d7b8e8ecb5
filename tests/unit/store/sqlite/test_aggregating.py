"""Counting over databases: any split of the log gives the same result, and a bad source is reported and skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations import MigrationRunner
from service.analysis.aggregation import Aggregation
from store.contract.aggregates import MetricsFilter
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome
from store.errors import SourceUnreadable, StoreUnavailable
from store.protocol import Store
from store.sqlite import aggregate as module
from store.sqlite import open_store, sources

ALL = MetricsFilter()
NewStore = Callable[[str], Store]


@pytest.fixture
def new_file(tmp_path: Path, migrated_file: Path) -> Callable[[str], Path]:
    """Make an empty database with an id of its own."""

    def make(name: str) -> Path:
        path = tmp_path / name / "skillrank.db"
        path.parent.mkdir()
        shutil.copyfile(migrated_file, path)
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute("UPDATE store_identity SET id = ?", (uuid.uuid4().hex,))
        return path

    return make


@pytest.fixture
def new_store(new_file: Callable[[str], Path]) -> Iterator[NewStore]:
    opened: list[Store] = []

    def make(name: str) -> Store:
        opened.append(open_store(new_file(name)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def path_of(store: Store) -> Path:
    return Path(store.health().location)


def begin(store: Store, number: int = 0, **told: Any) -> str:
    told = {"skill_name": "lint", "invoked_at": "2026-03-01T00:00:00Z"} | told
    return store.start_invocation(NewInvocation(id=f"use-{number}", **told)).id


def counted(store: Store) -> tuple[object, ...]:
    totals = [(t.project_id, t.skill_name, t.users) for t in store.project_skill_totals(ALL)]
    return store.day_metrics(ALL, limit=10_000), store.day_exposures(ALL, limit=10_000), totals


# --- any split of the log ---------------------------------------------------------------------------------------------

USES = st.fixed_dictionaries(
    {
        "skill_name": st.sampled_from(["lint", "test"]),
        "invoked_at": st.sampled_from([f"2026-03-0{day}T0{hour}:00:00Z" for day in (1, 2) for hour in (0, 9)]),
        "project_id": st.sampled_from([None, "", "p", "q"]),
        "user_id": st.sampled_from([None, "ann", "bob"]),
        "session_id": st.sampled_from([None, "s", "t"]),
        "search_id": st.sampled_from([None, "search-0", "search-1", "search-2"]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), USES),
        st.tuples(
            st.just("end"),
            st.integers(0, 20),
            st.sampled_from(["completed", "failed", "abandoned", "cancelled"]),
            st.integers(0, 10**7).map(lambda us: us / 1e6),
        ),
        st.tuples(st.just("search"), st.lists(st.sampled_from(["lint", "test", "other"]), max_size=3, unique=True)),
        st.tuples(st.sampled_from(["aggregate", "killed", "other"])),
    ),
    max_size=30,
)


def played(store: Store, steps: list[tuple[Any, ...]], run: Callable[[str], None]) -> list[dict[str, Any]]:
    """Do the steps; return every use with its outcome, as a plain model keeps them."""
    uses: list[dict[str, Any]] = []
    searches = 0
    for kind, *told in steps:
        if kind == "begin":
            uses.append({**told[0], "id": begin(store, len(uses), **told[0])})
        elif kind == "end" and uses and "outcome" not in uses[told[0] % len(uses)]:
            ended = uses[told[0] % len(uses)]
            ended |= {"outcome": told[1], "seconds": told[2]}
            store.finish_invocation(ended["id"], NewOutcome(outcome=told[1], duration_seconds=told[2]))
        elif kind == "search":
            listed = [ServedSkill(position=n, skill_name=s, score=0, components={}) for n, s in enumerate(told[0], 1)]
            store.record_search(_search(f"search-{searches}", listed))
            searches += 1
        elif kind in {"aggregate", "killed", "other"}:
            run(kind)
    return uses


def _search(search_id: str, listed: list[ServedSkill]) -> SearchRecord:
    return SearchRecord(
        id=search_id,
        searched_at="2026-03-01T00:00:00.000000Z",
        query=None,
        query_hash="h",
        query_vector=None,
        model_id=None,
        session_id=None,
        user_id=None,
        project_id="p",
        filters={},
        weights_version="w",
        explored=False,
        confidence="low",
        degraded=[],
        elapsed_ms=0.0,
        results=listed,
    )


@settings(max_examples=15)
@given(steps=STEPS)
def test_any_split_into_runs_with_kills_between_equals_one_count_of_everything(
    steps: list[tuple[Any, ...]], migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    stores = {}
    for name in ("log", "other", "fresh"):
        shutil.copyfile(migrated_file, folder / name)
        with closing(apsw.Connection(str(folder / name))) as connection:
            connection.execute("UPDATE store_identity SET id = ?", (uuid.uuid4().hex,))
        stores[name] = open_store(folder / name)
    log, other, fresh = stores["log"], stores["other"], stores["fresh"]

    def run(kind: str) -> None:
        if kind == "other":
            other.aggregate(folder / "log")
            return
        save = module._SAVE_SOURCE
        try:
            if kind == "killed":  # when everything else of the unit is written
                module._SAVE_SOURCE = "SELECT no_such_function()"  # type: ignore[misc]
                with suppress(StoreUnavailable):  # with nothing to count, nothing is written
                    other.aggregate(folder / "log")
            else:
                log.aggregate()
        finally:
            module._SAVE_SOURCE = save  # type: ignore[misc]

    try:
        # A killed run must have something to lose.
        uses = played(log, [("begin", _FIRST), ("killed",), *steps], run)
        log.aggregate()
        other.aggregate(folder / "log")
        fresh.aggregate(folder / "log")
        assert counted(log) == counted(other) == counted(fresh)
        assert modelled(uses) == {
            (row.day, row.skill_name, row.project_id): (
                row.invocations,
                row.completed,
                row.timed_completions,
                round(row.total_duration_seconds * 1e6),
                row.users,
                row.sessions,
            )
            for row in log.day_metrics(ALL, limit=10_000)
        }
    finally:
        for each in stores.values():
            each.close()


_FIRST: dict[str, Any] = {"skill_name": "lint", "invoked_at": "2026-03-01T00:00:00Z", "user_id": "ann"}


def modelled(uses: list[dict[str, Any]]) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """Add the uses up as plain Python does."""
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    sessions: dict[str | None, dict[str, Any]] = {None: {}}
    for use in uses:
        # The first use that names a session begins it.
        session = sessions.setdefault(use.get("session_id"), use)
        of = {key: session.get(key) if use.get(key) is None else use[key] for key in ("project_id", "user_id")}
        cells[use["invoked_at"][:10], use["skill_name"], of["project_id"] or ""].append(use | of)

    def total(of: list[dict[str, Any]]) -> tuple[int, ...]:
        kinds = Counter(use.get("outcome") for use in of)
        timed = [use for use in of if use.get("outcome") == "completed"]
        known = sum(round(use["seconds"] * 1e6) for use in timed)
        users = {use.get("user_id") for use in of} - {None}
        sessions = {use.get("session_id") for use in of} - {None}
        return len(of), kinds["completed"], len(timed), known, len(users), len(sessions)

    return {key: total(of) for key, of in cells.items()}


def test_a_process_killed_before_its_commit_leaves_nothing_behind(new_store: NewStore) -> None:
    log, target = new_store("log"), new_store("target")
    begin(log)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from store.sqlite import aggregate, open_store\n"
        "whole = aggregate._write\n"
        "def dying(connection, **told):\n"
        "    whole(connection, **told); os._exit(9)\n"
        "aggregate._write = dying\n"
        "open_store(Path(sys.argv[1])).aggregate(Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(path_of(target)), str(path_of(log))]
    assert subprocess.run(command, cwd=Path(__file__).parents[4], timeout=60, check=False).returncode == 9
    assert (target.day_metrics(ALL), target.metrics_sources()) == ([], [])
    assert target.aggregate(path_of(log)).invocations == 1
    assert [row.invocations for row in target.day_metrics(ALL)] == [1]


def test_two_processes_that_count_the_same_rows_count_them_once(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, target = new_store("log"), new_store("target")
    begin(log)
    log.record_search(_search("s", [ServedSkill(position=1, skill_name="lint", score=0, components={})]))
    twin, collect = open_store(path_of(target)), module._collect

    def overtaken(*arguments: Any, **told: Any) -> Any:
        found = collect(*arguments, **told)
        monkeypatch.setattr(module, "_collect", collect)
        twin.aggregate(path_of(log))  # has read the same rows, and writes first
        return found

    monkeypatch.setattr(module, "_collect", overtaken)
    assert target.aggregate(path_of(log)).invocations == 0  # it looked again, and nothing was left
    assert [(row.shown, row.taken) for row in target.day_exposures(ALL)] == [(1, 0)]
    twin.close()


# --- databases that were put back -------------------------------------------------------------------------------------


def test_a_database_that_was_restored_is_counted_again(new_store: NewStore, tmp_path: Path) -> None:
    log, target = new_store("log"), new_store("target")
    begin(log, 0, user_id="ann")
    log.backup(tmp_path / "backup.db")
    begin(log, 1, user_id="bob", invoked_at="2026-03-02T00:00:00Z")
    assert target.aggregate(path_of(log)).anew is False
    run = target.aggregate(tmp_path / "backup.db")
    assert (run.anew, run.invocations, run.store_id) == (True, 1, log.store_id())
    assert [row.day for row in target.day_metrics(ALL)] == ["2026-03-01"]
    assert [each.users for each in target.project_skill_totals(ALL)] == [1]
    assert len(target.metrics_sources()) == 1


def test_a_database_that_was_restored_and_went_on_is_noticed_by_its_rows(new_store: NewStore, tmp_path: Path) -> None:
    log, target = new_store("log"), new_store("target")
    begin(log, 0)
    log.backup(tmp_path / "backup.db")
    begin(log, 1, skill_name="lost")
    target.aggregate(path_of(log))
    again = open_store(tmp_path / "backup.db")
    for number in range(2, 6):  # more rows than were ever counted
        begin(again, number, skill_name="new")
    again.close()
    assert target.aggregate(tmp_path / "backup.db").anew is True
    assert {row.skill_name: row.invocations for row in target.day_metrics(ALL)} == {"lint": 1, "new": 4}


def test_a_database_keeps_its_identity_when_its_file_moves(new_store: NewStore, tmp_path: Path) -> None:
    log, target = new_store("log"), new_store("target")
    begin(log)
    target.aggregate(path_of(log))
    log.close()
    moved = tmp_path / "elsewhere.db"
    path_of_log = Path(target.metrics_sources()[0].location)
    path_of_log.rename(moved)
    run = target.aggregate(moved)
    assert (run.invocations, run.anew) == (0, False)
    assert [each.location for each in target.metrics_sources()] == [str(moved)]


# --- sources that cannot be read --------------------------------------------------------------------------------------


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("not a database, though it is long enough to be one " * 100)


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE notes(text)")


def _older(path: Path) -> None:
    MigrationRunner(path).rollback_migration(MigrationRunner(path).current_version())


def _newer(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(
            "INSERT INTO schema_migrations SELECT version + 1, 'future', applied_at, 'x', '', 0 FROM schema_migrations "
            "ORDER BY version DESC LIMIT 1"
        )


def _edited(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'x' WHERE version = 1")


def _torn(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * 4096])


@pytest.mark.parametrize(
    ("spoil", "cause", "said"),
    [
        (_missing, "missing", "no file"),
        (_empty, "foreign", "not a database of skillrank"),
        (_text, "foreign", "not a database of skillrank"),
        (_foreign, "foreign", "not a database of skillrank"),
        (_older, "schema", "skillrank migrate up"),
        (_newer, "schema", "upgrade"),
        (_edited, "schema", "reinstall"),
        (_torn, "corrupt", "damaged"),
        (_cut, "corrupt", "damaged"),
    ],
)
def test_a_source_that_cannot_be_read_is_reported_and_the_others_are_counted(
    new_store: NewStore, new_file: Callable[[str], Path], spoil: Callable[[Path], None], cause: str, said: str
) -> None:
    target, good, bad = new_store("target"), new_store("good"), new_file("bad")
    begin(good)
    spoil(bad)
    before = bad.read_bytes() if bad.exists() else None
    report = Aggregation(target).run([bad, path_of(good)])
    assert [(each.location, each.cause) for each in report.skipped] == [(str(bad), cause)]
    assert said in report.skipped[0].reason
    assert [run.invocations for run in report.sources] == [1]
    assert len(target.metrics_sources()) == 1
    assert (bad.read_bytes() if bad.exists() else None) == before


def test_a_source_that_another_program_has_locked_is_reported(
    new_store: NewStore, new_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_WAIT_MS", 50)
    target, held = new_store("target"), new_file("held")
    with closing(apsw.Connection(str(held))) as connection:
        for sql in ("PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"):
            connection.execute(sql).fetchall()
        with pytest.raises(SourceUnreadable, match="locked by another program") as refused:
            target.aggregate(held)
    assert refused.value.cause == "locked"
    assert target.aggregate(held).invocations == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_source_without_read_permission_is_reported(new_store: NewStore, new_file: Callable[[str], Path]) -> None:
    target, closed = new_store("target"), new_file("closed")
    closed.chmod(0)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        target.aggregate(closed)


def test_one_database_at_two_paths_is_counted_once(new_store: NewStore, tmp_path: Path) -> None:
    target, log = new_store("target"), new_store("log")
    begin(log)
    log.backup(tmp_path / "copy.db")
    report = Aggregation(target).run([path_of(log).parent, path_of(log), tmp_path / "copy.db"])
    assert [run.invocations for run in report.sources] == [1]
    assert [each.cause for each in report.skipped] == ["duplicate", "duplicate"]
    assert "counted once" in report.skipped[0].reason


def test_the_own_database_given_as_a_source_is_the_own_one(new_store: NewStore) -> None:
    target = new_store("target")
    begin(target)
    report = Aggregation(target).run([path_of(target)])
    assert [run.invocations for run in report.sources] == [1]
    assert [each.own for each in target.metrics_sources()] == [True]


def test_databases_that_were_counted_are_counted_again_with_the_own_one(new_store: NewStore, tmp_path: Path) -> None:
    target, log = new_store("target"), new_store("log")
    Aggregation(target).run([path_of(log)])
    begin(log)
    begin(target)
    report = Aggregation(target).refresh()
    assert [run.invocations for run in report.sources] == [1, 1]
    log.close()
    Path(target.metrics_sources()[0].location).rename(tmp_path / "gone.db")
    assert [each.cause for each in Aggregation(target).refresh().skipped] == ["missing"]


def test_reading_leaves_nothing_beside_a_database_that_is_not_open(
    new_store: NewStore, new_file: Callable[[str], Path]
) -> None:
    target, still = new_store("target"), new_file("still")
    before = (still.read_bytes(), still.stat().st_mtime_ns)
    target.aggregate(still)
    assert [path.name for path in still.parent.iterdir()] == [still.name]
    assert (still.read_bytes(), still.stat().st_mtime_ns) == before


def test_a_database_is_read_while_others_write_to_it(new_store: NewStore) -> None:
    target, log = new_store("target"), new_store("log")
    with closing(apsw.Connection(str(path_of(log)))) as writing:
        begin(log)
        writing.execute("BEGIN IMMEDIATE")
        assert target.aggregate(path_of(log)).invocations == 1
        writing.execute("ROLLBACK")
    begin(log, 1)
    assert target.aggregate(path_of(log)).invocations == 1


def test_a_still_database_that_changes_while_it_is_read_is_read_again(new_file: Callable[[str], Path]) -> None:
    path = new_file("still")
    seen = []

    def query(connection: apsw.Connection) -> int:
        count = int(connection.execute("SELECT count(*) FROM skill_invocation").fetchall()[0][0])
        if not seen:
            store = open_store(path)
            begin(store)
            store.close()
        seen.append(count)
        return count

    assert sources.read_source(path, query) == 1
    assert seen == [0, 1]
