"""Measuring search on a user's own library."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.run import run_index
from service.evaluation.judgements import InvalidJudgements, JudgedQuery, length_of
from service.evaluation.measures import MEASURES, by_kind, difference, estimate, score
from service.evaluation.queries import (
    Judged,
    read_judged,
    recorded_queries,
    self_check_queries,
)
from service.evaluation.report import InvalidThreshold, compare, evaluate, parse_thresholds
from service.evaluation.settings import InvalidComparison, Variant, asking, parse_variant
from service.search.answers import SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import Settings
from store.contract.tracking import NewInvocation, NewOutcome
from store.protocol import Store
from store.sqlite import open_store

LIBRARY = {
    "fix-types": "Mend mypy type errors. Use when the checker complains about Python code.",
    "plan-dinners": "Plan meals for a week and write the shopping list",
    "tune-queries": "Make slow SQL database queries fast",
}


def query(expected: dict[str, int], kind: str = "short") -> JudgedQuery:
    return JudgedQuery("what", expected, kind)


# --- measures ------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3), min_size=1).filter(lambda g: max(g.values()) > 1),
    st.permutations("abcdefghijklmnop"),
    st.integers(0, 16),
)
def test_measures_are_what_their_definitions_say(grades: dict[str, int], names: list[str], served: int) -> None:
    ranked = names[:served]
    good = {name for name, grade in grades.items() if grade >= 2}
    places = [at for at, name in enumerate(ranked[:10]) if name in good]
    gains = [2 ** grades.get(name, 0) - 1 for name in ranked[:10]]
    ideal = sorted((2**grade - 1 for grade in grades.values()), reverse=True)
    found = {name: float(values[0]) for name, values in score([query(grades)], [ranked]).items()}
    assert found == pytest.approx(
        {
            "Hit@1": float(places[:1] == [0]),
            "MRR@10": 1 / (places[0] + 1) if places else 0.0,
            "nDCG@10": dcg(gains) / dcg(ideal),
            "Recall@10": len(good & set(ranked[:10])) / len(good),
            "Recall@50": len(good & set(ranked)) / len(good),
        }
    )


def dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(at + 2) for at, gain in enumerate(gains))


def test_an_estimate_holds_its_mean() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.5])
    found = estimate(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.low < found.mean < found.high
    assert estimate(np.array([0.7])).low == 0.7


def test_a_difference_that_is_always_there_is_told_from_chance() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(60)
    better = difference(before, before + 0.05 + 0.01 * rng.random(60))
    assert better.low > 0.05
    assert better.p < 0.01
    assert difference(before, rng.permutation(before)).p > 0.05
    assert difference(before, before).p == 1.0


@pytest.mark.parametrize("change", [0.0, 0.5, -1.0])
def test_a_difference_of_one_query_is_no_evidence_against_chance(change: float) -> None:
    found = difference(np.array([0.5]), np.array([0.5 + change]))
    assert (found.mean, found.low, found.high, found.p) == (change, change, change, 1.0)


def test_kinds_are_told_apart() -> None:
    queries = [query({"a": 2}), query({"a": 2}, "long"), query({"b": 2}, "long")]
    table = by_kind(queries, score(queries, [["a"], ["a"], ["a"]]))
    assert list(table) == ["all (3)", "long (2)", "short (1)"]
    assert table["long (2)"]["Hit@1"].mean == 0.5
    assert list(table["all (3)"]) == list(MEASURES)


def test_the_worst_misses_come_first_and_hits_are_none() -> None:
    queries = [query({"a": 2, "b": 1}), query({"b": 2}), query({"c": 2}), query({"d": 2})]
    answers = iter([["a"], ["a", "b"], ["a", "b", "c"], ["a"]])
    run = evaluate(Judged(queries), lambda _: next(answers), lambda: None)
    assert [(miss.expected, miss.place, miss.first) for miss in run.misses(9)] == [
        (["d"], None, "a"),
        (["c"], 3, "a"),
        (["b"], 2, "a"),
    ]
    assert run.under({"Hit@1": 0.3}) == ["Hit@1 is 0.250, under 0.3"]
    assert run.under({"Hit@1": 0.25}) == []
    assert compare(run, run)["Hit@1"].mean == 0.0


def test_thresholds_are_read_whatever_their_case() -> None:
    assert parse_thresholds(["ndcg@10=0.7", "Hit@1=0"]) == {"nDCG@10": 0.7, "Hit@1": 0.0}


@pytest.mark.parametrize("text", ["nDCG@10", "nDCG@10=x", "nDCG@10=1.5", "F1=0.5", "Hit@1=nan", ""])
def test_a_threshold_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(InvalidThreshold, match="MEASURE=NUMBER"):
        parse_thresholds([text])


# --- queries -----------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", model="hashing")


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> Iterator[Store]:
    for name, says in LIBRARY.items():
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        below = (
            "More of it.\n\n" * 120 + f"## Later\n\nWhoever does this well writes {name} down before the sun sets.\n"
        )
        text = f"---\nname: {name}\ndescription: {says}\n---\n# {name}\n\n{below}"
        (folder / "SKILL.md").write_text(text, encoding="utf-8")
    opened = open_store(settings.database)
    run_index(opened, Encoders("hashing", settings.models_dir), [tmp_path / "skills"])
    yield opened
    opened.close()


def write(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "queries.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_a_file_gives_queries_with_grades_kinds_and_notes(store: Store, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"query": "types are wrong", "expected": ["fix-types"]},
        "",
        {"query": "what to eat", "expected": {"plan-dinners": 3, "tune-queries": 1, "gone": 2}, "kind": "food"},
        {"query": "lost", "expected": ["gone", "nobody"]},
    )
    judged = read_judged(path, store)
    assert judged.queries == [
        JudgedQuery("types are wrong", {"fix-types": 2}, "under 5 words"),
        JudgedQuery("what to eat", {"plan-dinners": 3, "tune-queries": 1}, "food"),
    ]
    unknown, lost = judged.notes
    assert unknown == "2 expected skills are not in the catalogue and left out: gone, nobody"
    assert lost.startswith("1 query was left out")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"query": "x"}',
        '{"query": "", "expected": ["fix-types"]}',
        '{"query": "x", "expected": {"fix-types": 0}}',
        '{"query": "x", "expected": ["fix-types"], "colour": 1}',
    ],
)
def test_a_bad_line_is_named(store: Store, tmp_path: Path, line: str) -> None:
    path = write(tmp_path, {"query": "types", "expected": ["fix-types"]}, line)
    with pytest.raises(InvalidJudgements, match=r"line 2: .*A line looks like"):
        read_judged(path, store)


def test_a_file_without_a_usable_query_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidJudgements, match="nobody"):
        read_judged(write(tmp_path, {"query": "x", "expected": ["nobody"]}), store)
    with pytest.raises(InvalidJudgements, match="cannot be read"):
        read_judged(tmp_path / "nowhere", store)


def test_queries_are_told_apart_by_their_length() -> None:
    assert [length_of("word " * count) for count in (1, 4, 5, 14, 15, 60, 61)] == [
        "under 5 words",
        "under 5 words",
        "5 to 14 words",
        "5 to 14 words",
        "15 to 60 words",
        "15 to 60 words",
        "over 60 words",
    ]


def test_recorded_choices_that_were_completed_are_the_judgement(store: Store, settings: Settings) -> None:
    searching = SkillSearch(store, Encoders("hashing", settings.models_dir))
    with pytest.raises(InvalidJudgements, match="nothing to judge by"):
        recorded_queries(store)
    for asked, taken, outcome in (
        ("slow database", "tune-queries", "completed"),
        ("slow database", "fix-types", "completed"),
        ("slow database", "plan-dinners", "failed"),
        ("mypy errors", "fix-types", "completed"),
    ):
        answer = searching.answer(SearchRequest(query=asked))
        use = store.start_invocation(NewInvocation(skill_name=taken, search_id=answer.search_id))
        store.finish_invocation(use.id, NewOutcome(outcome=outcome))  # type: ignore[arg-type]
    judged = recorded_queries(store)
    assert {each.query: each.expected for each in judged.queries} == {
        "slow database": {"tune-queries": 2, "fix-types": 2},
        "mypy errors": {"fix-types": 2},
    }
    assert "3 completed choices" in judged.notes[0]
    assert "flatter" in judged.notes[0]


def test_a_self_check_asks_documents_for_themselves(store: Store) -> None:
    judged = self_check_queries(store, count=10)
    kinds = {(each.kind, tuple(each.expected)): each.query for each in judged.queries}
    assert kinds["use when", ("fix-types",)] == "Use when the checker complains about Python code"
    assert kinds["section", ("tune-queries",)].startswith("Whoever does this well writes tune-queries")
    assert ("use when", ("plan-dinners",)) not in kinds
    assert self_check_queries(store, count=10) == judged
    assert {name for each in self_check_queries(store, count=1).queries for name in each.expected} < set(LIBRARY)


# --- settings ------------------------------------------------------------------------------------------------


def test_settings_are_read_one_above_the_other(tmp_path: Path) -> None:
    (tmp_path / "skillrank.db").touch()
    changes = ["outcomes=off", "group=off", "lexical-weight=0.3", "model=hashing", f"data-dir={tmp_path}"]
    assert parse_variant(Variant(), changes) == Variant(
        outcomes=False, group=False, lexical_weight=0.3, model="hashing", data_dir=tmp_path
    )


@pytest.mark.parametrize(
    "change", ["outcomes", "outcomes=maybe", "colour=red", "lexical-weight=-1", "lexical-weight=nan", "data-dir=/nope"]
)
def test_a_setting_that_cannot_be_compared_is_refused_with_those_that_can(change: str) -> None:
    with pytest.raises(InvalidComparison, match="there are outcomes=on"):
        parse_variant(Variant(), [change])


def test_asking_records_no_search(store: Store, settings: Settings) -> None:
    with asking(Variant(), store, settings) as ask:
        assert ask("slow SQL database queries")[0] == "tune-queries"
    assert store.health().total_invocations == 0
    with pytest.raises(InvalidJudgements):
        recorded_queries(store)


def test_outcomes_can_be_left_out(store: Store, settings: Settings) -> None:
    asked = "slow SQL database queries and mypy type errors"
    with asking(Variant(outcomes=False), store, settings) as ask:
        before = ask(asked)
    for number in range(8):
        for name, outcome in ((before[0], "failed"), (before[1], "completed")):
            use = store.start_invocation(NewInvocation(skill_name=name, user_id=f"u{number}"))
            store.finish_invocation(use.id, NewOutcome(outcome=outcome))  # type: ignore[arg-type]
    with asking(Variant(outcomes=False), store, settings) as ask:
        assert ask(asked) == before
    with asking(Variant(), store, settings) as ask:
        assert ask(asked)[:2] == before[1::-1]


def test_another_model_is_measured_on_a_copy(store: Store, settings: Settings) -> None:
    generation = store.live_generation()
    with asking(Variant(model="hashing"), store, settings) as ask:
        assert ask("slow SQL database queries")[0] == "tune-queries"
    assert store.live_generation() == generation


def test_another_library_is_measured_where_it_lies(store: Store, settings: Settings, tmp_path: Path) -> None:
    store.backup(tmp_path / "skillrank.db")
    with asking(Variant(data_dir=tmp_path), store, settings) as ask:
        assert ask("mypy type errors")[0] == "fix-types"
