"""What protects signals: one statement, one caller, a table that refuses others, and charts that read only it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrations import MigrationRunner
from migrations.files import SQLITE_MIGRATIONS, read_migrations
from service.work.projects import complete_project, join_project, record_progress_update
from service.work.signals import emit_skill_signals
from store.contract.projects import NewProgressUpdate, NewProject, SkillDeclaration, WorkTransaction
from store.contract.signals import SignalFilter
from store.errors import InvalidRecord
from store.protocol import Store
from store.sqlite import open_store

REPOSITORY = Path(__file__).parents[4]
ROOMS = ("service", "indexer", "embeddings", "store", "migrations")
TABLE = "user_skill_signals"
INSERTS = re.compile(rf"(?:INSERT(?:\s+OR\s+\w+)?|REPLACE)\s+INTO\s+[\"'`\[]?{TABLE}\b", re.IGNORECASE)
CHANGES = re.compile(rf"(?:UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM|ALTER\s+TABLE)\s+[\"'`\[]?{TABLE}\b", re.IGNORECASE)
WRITER = "service/work/signals.py"


def sources(*suffixes: str) -> dict[str, str]:
    return {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for room in ROOMS
        for path in sorted((REPOSITORY / room).rglob("*"))
        if path.suffix in suffixes
    }


def calls(name: str) -> set[str]:
    """Return the files in which something of this name is called, imported or passed on."""
    found = set()
    for path, text in sources(".py").items():
        for node in ast.walk(ast.parse(text)):
            if (isinstance(node, ast.Attribute) and node.attr == name) or (
                isinstance(node, ast.Name) and node.id == name
            ):
                found.add(path)
    return found


def test_one_statement_of_the_code_base_inserts_signals() -> None:
    found = [(path, match[0]) for path, text in sources(".py", ".sql").items() for match in INSERTS.finditer(text)]
    assert found == [("store/sqlite/signals.py", f"INSERT INTO {TABLE}")]


def test_no_statement_of_the_code_base_changes_signals() -> None:
    assert [path for path, text in sources(".py", ".sql").items() if CHANGES.search(text)] == []


def test_only_the_writer_reaches_the_statement() -> None:
    assert calls("insert_signals") == {"store/sqlite/work.py"}
    assert calls("add_signals") == {WRITER}


def test_only_the_writer_builds_the_record_to_insert() -> None:
    assert calls("NewSignals") == {
        WRITER,
        "store/contract/projects.py",
        "store/sqlite/signals.py",
        "store/sqlite/work.py",
    }


def test_no_statement_and_no_rule_reads_skill_ideas() -> None:
    # The only place that names them is what tells clients that they are never read.
    named = [path for path, text in sources(".py", ".sql").items() if "skill_ideas" in text]
    assert named == ["service/api/projects.py"]


def test_no_record_of_the_store_has_a_weight() -> None:
    text = sources(".py")["store/contract/signals.py"]
    fields = {node.target.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert "skill_name" in fields
    assert "weight" not in fields


@pytest.fixture
def path(tmp_path: Path, migrated_file: Path) -> Path:
    found = tmp_path / "store.db"
    found.write_bytes(migrated_file.read_bytes())
    return found


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A project `p` with two skills, in which ann joined, made an update, and which is completed."""
    opened = open_store(path)

    def work(transaction: WorkTransaction) -> None:
        transaction.add_project(NewProject(id="p", name="P"))
        wanted = [SkillDeclaration(skill_name=name, category="data") for name in ("sql", "spark")]
        transaction.declare_skills("p", wanted, add_missing=True)

    opened.transaction(work)
    join_project(opened, "p", "ann")
    record_progress_update(opened, NewProgressUpdate(project_id="p", user_id="ann", content="x"))
    complete_project(opened, "p")
    yield opened
    opened.close()


@pytest.fixture
def raw(path: Path, store: Store) -> Iterator[apsw.Connection]:
    """A connection of some other program, with SQLite's defaults."""
    assert store.projects()
    with closing(apsw.Connection(str(path))) as connection:
        connection.set_busy_timeout(5000)
        yield connection


ROW = (
    f"INTO {TABLE}(user_id, skill_id, source_type, source_id, signal_type, project_id, weight, created_at) "
    "VALUES (?, 1, ?, ?, 'joined', 'p', 1.0, '2026-03-04T12:00:00.000000Z')"
)


@pytest.mark.parametrize(
    ("sql", "bound", "refusal"),
    [
        (f"UPDATE {TABLE} SET weight = 2", (), "UPDATE refused"),
        (f"DELETE FROM {TABLE}", (), "DELETE refused"),
        (f"INSERT OR REPLACE {ROW}", ("ann", "project", "p"), "REPLACE refused"),
        (f"INSERT {ROW}", ("ann", "project", "p"), "REPLACE refused"),
        (f"INSERT {ROW}", ("ann", "mentorship", "p"), "mentorship"),
        (f"INSERT {ROW}", ("bob", "project", "p"), "recorded source"),
        (f"INSERT {ROW}", ("ann", "update", "u"), "recorded source"),
        (f"INSERT {ROW}", ("ann", "guess", "p"), "CHECK"),
        (f"INSERT {ROW}".replace(", 1, ?", ", 99, ?"), ("ann", "project", "p"), "declared"),
    ],
    ids=["update", "delete", "replace", "duplicate", "mentorship", "not a member", "no update", "source", "no scope"],
)
def test_the_table_refuses_invalid_rows_from_any_writer(
    raw: apsw.Connection, sql: str, bound: tuple[str, ...], refusal: str
) -> None:
    before = raw.execute(f"SELECT * FROM {TABLE} ORDER BY id").fetchall()
    assert len(before) == 6
    with pytest.raises(apsw.ConstraintError, match=refusal):
        raw.execute(sql, bound)
    assert raw.execute(f"SELECT * FROM {TABLE} ORDER BY id").fetchall() == before


CHARTS = {
    "distribution": lambda store, wanted: store.signal_distribution(wanted),
    "momentum": lambda store, wanted: store.signal_momentum(wanted, bucket="day", window=timedelta(days=3)),
    "activity": lambda store, wanted: store.signal_activity(wanted),
}


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_reads_only_signals_and_the_labels_of_skills(store: Any, chart: str) -> None:
    read: set[tuple[str, str]] = set()

    def note(operation: int, first: str | None, second: str | None, *_: str | None) -> int:
        if operation == apsw.SQLITE_READ and first is not None and first != "json_each":
            read.add((first, second or ""))
        return apsw.SQLITE_OK

    with store._db.readers.snapshot() as connection:  # the pool lends the one lent last first
        connection.authorizer = note
    wanted = SignalFilter(user_id="ann", project_id="p", skill_name="sql", category="data")
    CHARTS[chart](store, wanted)
    assert {table for table, _ in read} <= {TABLE, "skills"}
    assert {column for table, column in read if table == "skills"} <= {"id", "skill_name", "category", "ROWID"}
    assert TABLE in {table for table, _ in read}
    assert (TABLE, "weight") not in read


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_stays_the_same_when_every_other_table_is_emptied(
    store: Store, raw: apsw.Connection, chart: str
) -> None:
    wanted = SignalFilter(until="2999-01-01", since="2998-12-01") if chart == "momentum" else SignalFilter()
    before = CHARTS[chart](store, wanted)
    raw.execute("PRAGMA foreign_keys = OFF")
    for table in ("progress_updates", "project_members", "project_skills", "mentorship_sessions", "projects"):
        raw.execute(f"DELETE FROM {table}")
    assert CHARTS[chart](store, wanted) == before


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ("user_id", SignalFilter(user_id="ann")),
        ("project_id", SignalFilter(project_id="p")),
        ("skill_id", SignalFilter(skill_name="sql")),
    ],
    ids=["user", "project", "skill"],
)
def test_a_filtered_chart_is_answered_by_an_index(
    store: Any, raw: apsw.Connection, chart: str, column: str, wanted: SignalFilter
) -> None:
    seen: list[tuple[str, Any]] = []

    def note(_: apsw.Cursor, sql: str, bound: Any) -> bool:
        seen.append((sql, bound))
        return True

    with store._db.readers.snapshot() as connection:  # the pool lends the one lent last first
        connection.exec_trace = note
    CHARTS[chart](store, wanted)
    [(sql, bound)] = [each for each in seen if TABLE in each[0]]
    plan = " ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}", bound))
    assert f"({column}=?" in plan


def test_rolling_back_removes_skills_that_only_a_project_declared(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    runner = MigrationRunner(path)
    runner.run_migrations(3)
    moment = "2026-03-04T12:00:00.000000Z"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("INSERT INTO skills(skill_name, document_path) VALUES ('declared', NULL), ('written', 'x')")
        connection.execute("INSERT INTO projects(id, name, created_at) VALUES ('p', 'P', ?)", (moment,))
        connection.execute("INSERT INTO project_skills VALUES ('p', 1, ?)", (moment,))
        connection.execute("INSERT INTO project_members VALUES ('p', 'ann', ?)", (moment,))
        connection.execute(f"INSERT {ROW}", ("ann", "project", "p"))
    runner.rollback_migration(3)
    assert runner.verify() is None
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("SELECT skill_name FROM skills").fetchall() == [("written",)]


def test_mentorship_sessions_survive_the_change_of_their_statuses_and_its_rollback(tmp_path: Path) -> None:
    version = next(
        each.version for each in read_migrations(SQLITE_MIGRATIONS) if each.description == "mentorship status"
    )
    path = tmp_path / "store.db"
    runner = MigrationRunner(path)
    runner.run_migrations(version - 1)
    add = "INSERT INTO mentorship_sessions VALUES (?, ?, 'ann', 'bob', 'x', NULL, ?, '2026-03-04T12:00:00.000000Z')"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(add, (7, "m7", "completed"))
        with pytest.raises(apsw.ConstraintError):
            connection.execute(add, (8, "m8", "active"))
    runner.run_migrations(version)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(add, (8, "m8", "active"))
    runner.rollback_migration(version)
    assert runner.verify() is None
    with closing(apsw.Connection(str(path))) as connection:
        kept = connection.execute("SELECT seq, id, status FROM mentorship_sessions ORDER BY seq").fetchall()
    assert kept == [(7, "m7", "completed"), (8, "m8", "scheduled")]


def emission(store: Store, **told: Any) -> Any:
    update = store.progress_updates()[0]
    given: dict[str, Any] = {
        "user_id": "ann",
        "source_type": "update",
        "source_id": update.id,
        "signal_type": "completed",  # which this update has not emitted yet
        "skill_ids": [skill.skill_id for skill in store.project_skills("p")],
    }
    return emit_skill_signals(store, **given | told)


@pytest.mark.parametrize("field", ["user_id", "source_type", "source_id", "signal_type"])
@pytest.mark.parametrize("nothing", [None, "", " "])
def test_a_missing_value_emits_nothing_and_says_which(store: Store, field: str, nothing: str | None) -> None:
    outcome = emission(store, **{field: nothing})
    assert (outcome.inserted, outcome.skipped, outcome.reason) == (0, 2, f"{field} missing")


def test_mentorship_emits_nothing_even_with_skills(store: Store) -> None:
    outcome = emission(store, source_type="mentorship")
    assert (outcome.inserted, outcome.skipped) == (0, 2)
    assert "mentorship" in outcome.reason


@pytest.mark.parametrize("skill_ids", [None, []])
def test_no_skills_emit_nothing(store: Store, skill_ids: list[int] | None) -> None:
    outcome = emission(store, skill_ids=skill_ids)
    assert (outcome.inserted, outcome.skipped) == (0, 0)
    assert "no skills" in outcome.reason


def test_a_duplicate_skill_counts_once(store: Store) -> None:
    assert emission(store, skill_ids=[1, 2, 1]).inserted == 2


def test_emitting_again_inserts_nothing_and_says_why(store: Store) -> None:
    emission(store, skill_ids=[1])
    outcome = emission(store)
    assert (outcome.inserted, outcome.skipped, outcome.reason) == (1, 1, "1 recorded before")


@pytest.mark.parametrize("told", [{"source_type": "guess"}, {"signal_type": "liked"}, {"weight": 0.0}])
def test_an_invalid_value_is_an_error(store: Store, told: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        emission(store, **told)


def test_signals_of_a_transaction_that_fails_are_not_written(store: Store) -> None:
    before = store.signal_distribution(SignalFilter()).total

    def work(transaction: WorkTransaction) -> None:
        assert emission_in(store, transaction).inserted == 2
        raise KeyError

    update_id = store.progress_updates()[0].id

    def emission_in(store: Store, transaction: WorkTransaction) -> Any:
        return emit_skill_signals(
            store,
            user_id="ann",
            source_type="update",
            source_id=update_id,
            signal_type="completed",
            skill_ids=[1, 2],
            transaction=transaction,
        )

    with pytest.raises(KeyError):
        store.transaction(work)
    assert store.signal_distribution(SignalFilter()).total == before


def test_completing_again_emits_for_members_and_skills_added_since(store: Store) -> None:
    for user in ("bob", "cid"):
        join_project(store, "p", user)
    again = complete_project(store, "p").signals
    assert (again.inserted, again.skipped) == (4, 2)


def test_the_signals_of_an_update_show_how_it_begins(store: Store) -> None:
    record_progress_update(store, NewProgressUpdate(project_id="p", user_id="ann", content="Wrote\n the " + "q" * 500))
    newest = store.signal_activity(SignalFilter()).signals[0]
    assert newest.context == {"content": ("Wrote the " + "q" * 500)[:200]}


def test_the_context_is_kept_and_shown(store: Store) -> None:
    emission(store, skill_ids=[1], context={"sprint": 7})
    newest = store.signal_activity(SignalFilter(), limit=1).signals[0]
    assert newest.context == {"sprint": 7}
