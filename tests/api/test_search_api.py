"""Asking over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from service.search.queries import MAX_CHARACTERS

Client = TestClient[Any]


def ask(client: Client, query: str, **more: object) -> dict[str, Any]:
    answer = client.post("/api/search", json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def use(client: Client, skill: str, outcome: str, times: int, seconds: float = 60.0) -> None:
    for _ in range(times):
        started = client.post("/api/invocations", json={"skill_name": skill}).json()["id"]
        ended = {"outcome": outcome, "duration_seconds": seconds}
        assert client.post(f"/api/invocations/{started}/complete", json=ended).status_code == 200


def test_an_answer_tells_score_components_evidence_reasons_and_passage(client: Client) -> None:
    first = ask(client, "slow database queries")["results"][0]
    assert first["position"] == 1
    assert first["skill_name"] in {"tune-queries", "index-advisor"}
    assert set(first["components"]) >= {"log_relevance", "success", "speed", "similarity", "bm25", "fits"}
    assert first["evidence"]["uses"] == 0
    assert any("no recorded use" in reason for reason in first["reasons"])
    assert "queries" in first["passage"]["text"]


def test_what_was_served_can_be_read_again(client: Client) -> None:
    answer = ask(client, "slow database queries", session_id="s1", limit=2)
    served = client.get(f"/api/search/{answer['search_id']}").json()
    assert served["query"] == "slow database queries"
    assert served["session_id"] == "s1"
    assert [r["skill_name"] for r in served["results"]] == [r["skill_name"] for r in answer["results"]]
    assert served["results"][0]["components"].items() >= answer["results"][0]["components"].items()


def test_outcomes_decide_between_skills_that_both_fit(client: Client) -> None:
    before = [r["skill_name"] for r in ask(client, "slow SQL database queries")["results"][:2]]
    assert set(before) == {"tune-queries", "index-advisor"}
    use(client, before[0], "failed", 15)
    use(client, before[1], "completed", 15)
    after = ask(client, "slow SQL database queries")["results"]
    assert [r["skill_name"] for r in after[:2]] == before[::-1]
    assert "completed 15 of 15 uses" in after[0]["reasons"]


def test_what_works_at_one_query_is_learnt_for_queries_like_it_and_said(client: Client) -> None:
    query = "make slow SQL database queries fast"
    before = [r["skill_name"] for r in ask(client, query)["results"][:2]]
    for n in range(12):
        search_id = ask(client, query, user_id=f"user {n}")["search_id"]
        for skill, outcome in ((before[0], "failed"), (before[1], "completed")):
            body = {"skill_name": skill, "search_id": search_id, "user_id": f"user {n}"}
            started = client.post("/api/invocations", json=body).json()["id"]
            client.post(f"/api/invocations/{started}/complete", json={"outcome": outcome, "duration_seconds": 30})
    first, second = ask(client, query)["results"][:2]
    assert [first["skill_name"], second["skill_name"]] == before[::-1]
    evidence = first["evidence"]
    assert evidence["believed_low"] < evidence["believed_success"] < evidence["believed_high"]
    assert evidence["believed_success"] > 0.7 > second["evidence"]["believed_success"]
    assert evidence["uses_at_queries_like_this"] > 5
    assert any(reason.startswith("at queries like this it likely works") for reason in first["reasons"])
    parts = ("log_relevance", "success", "speed", "choice", "co_use", "phase", "scope")
    assert first["score"] == pytest.approx(sum(first["components"][part] for part in parts))


def test_no_record_of_success_lifts_what_does_not_fit(client: Client) -> None:
    use(client, "plan-dinners", "completed", 200)
    assert ask(client, "slow SQL database queries")["results"][0]["skill_name"] != "plan-dinners"


@pytest.mark.parametrize(
    "query",
    ['" OR NEAR(x y) *', "name:fix AND NOT", "types) -- DROP TABLE skills", "mypy🙂 类型错误", '\'; """ {}[]^ a'],
)
def test_a_query_is_never_query_syntax(client: Client, query: str) -> None:
    ask(client, query)


def test_a_mistyped_word_finds_what_was_meant_and_says_so(client: Client) -> None:
    right = ask(client, "make slow database queries fast")
    wrong = ask(client, "make slow databse queries fast")
    assert right["corrected"] == {}
    assert wrong["corrected"] == {"databse": "database"}
    assert [r["skill_name"] for r in wrong["results"]] == [r["skill_name"] for r in right["results"]]
    assert wrong["results"][0]["score"] == right["results"][0]["score"]
    assert client.get(f"/api/search/{wrong['search_id']}").json()["query"] == "make slow databse queries fast"


@pytest.mark.parametrize(
    "around",
    [
        "{}: `SELECT * FROM t WHERE id = 1;`",
        '{}\n```sql\nSELECT a.b FROM /var/lib/x.db -- "quoted" OR 1=1\n```',
        "in /srv/app/src/main.py:42 and C:\\Users\\me\\x.ini, {}",
        "{} — naïve façade, 数据库, база данных",
    ],
)
def test_code_paths_and_other_scripts_in_a_query_do_no_harm(client: Client, around: str) -> None:
    answer = ask(client, around.format("slow SQL database queries"))
    assert answer["results"][0]["skill_name"] in {"tune-queries", "index-advisor"}
    assert answer["corrected"] == {}


@pytest.mark.parametrize("count", [2, 20, 200, 2000])
def test_queries_of_two_words_to_two_thousand_are_answered(client: Client, count: int) -> None:
    words = ["database", "queries", "slow", "SQL"] * 500
    assert ask(client, " ".join(words[:count]))["results"][0]["skill_name"] in {"tune-queries", "index-advisor"}


def test_a_query_may_be_a_whole_page(client: Client) -> None:
    page = "We have a service with many parts. " * 90 + "Its SQL database queries are slow. " + "Thank you. " * 20
    assert ask(client, page)["results"][0]["skill_name"] in {"tune-queries", "index-advisor"}


@pytest.mark.parametrize("query", ["", "  ", "x" * (MAX_CHARACTERS + 1), "fix\x00types", "?!"])
def test_what_cannot_be_asked_gets_a_problem_that_says_what_to_do(client: Client, query: str) -> None:
    answer = client.post("/api/search", json={"query": query})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Invalid query"
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"query": 5}, {"query": "x", "limit": 0}, {"query": "x", "colour": "red"}])
def test_a_malformed_request_says_which_field_is_wrong(client: Client, body: dict[str, object]) -> None:
    answer = client.post("/api/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_only_skills_of_the_category_are_answered(client: Client) -> None:
    assert ask(client, "slow database queries", category="nothing")["results"] == []
    assert ask(client, "slow database queries", category="demo")["results"]


def test_queries_are_not_stored_as_text_when_that_is_switched_off(settings, root: Path) -> None:  # noqa: ANN001
    import msgspec  # noqa: PLC0415

    from indexer.run import run_index  # noqa: PLC0415
    from service.app import create_app  # noqa: PLC0415
    from service.search.encoders import Encoders  # noqa: PLC0415
    from store.sqlite import open_store  # noqa: PLC0415

    quiet = msgspec.structs.replace(settings, keep_queries=False)
    store = open_store(quiet.database)
    run_index(store, Encoders(quiet.model, quiet.models_dir), [root])
    store.close()
    with TestClient(create_app(quiet)) as client:
        served = client.get(f"/api/search/{ask(client, 'a secret plan')['search_id']}").json()
    assert served["query"] is None
    assert served["query_vector"]
    assert b"a secret plan" not in quiet.database.read_bytes()


@pytest.mark.parametrize(("typed", "plain"), [("ｄａｔａｂａｓｅ", "database"), ("da\u00adtabase", "database")])
def test_the_unicode_forms_of_one_query_get_one_answer_and_are_recorded_as_typed(
    client: Client, typed: str, plain: str
) -> None:
    one, other = (ask(client, f"make slow {word} queries fast") for word in (typed, plain))
    assert [r["score"] for r in one["results"]] == [r["score"] for r in other["results"]]
    assert one["results"][0]["passage"] == other["results"][0]["passage"]
    assert client.get(f"/api/search/{one['search_id']}").json()["query"] == f"make slow {typed} queries fast"


def test_a_request_may_leave_mistyped_words_as_they_are(client: Client) -> None:
    left = ask(client, "make slow databse queries fast", correct=False)
    assert left["corrected"] == {}
    assert client.get(f"/api/search/{left['search_id']}").json()["filters"]["correct"] is False
    assert ask(client, "make slow databse queries fast", correct=True)["corrected"] == {"databse": "database"}


@pytest.mark.parametrize("query", ["database", "tune-queries", "dinners?", "slow SQL"])
def test_words_of_a_name_or_description_never_get_the_answer_that_no_skill_fits(
    client: Client, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.search.engine.judge_confidence", lambda *_: "none")
    answer = ask(client, query)
    assert answer["confidence"] == "medium"
    assert not any("close to" in reason for result in answer["results"] for reason in result["reasons"])
    assert ask(client, f"{query} of a pelican")["confidence"] == "none"


def test_where_nothing_fits_no_reason_speaks_of_closeness(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"query": "fix the mypy type errors of a pelican"}
    assert "close to" in client.post("/api/search", json=asked).json()["results"][0]["reasons"][0]
    monkeypatch.setattr("service.search.engine.judge_confidence", lambda *_: "none")
    answer = client.post("/api/search", json=asked).json()
    assert answer["confidence"] == "none"
    assert not any("close to" in reason for result in answer["results"] for reason in result["reasons"])
