"""What counts say: each kind of insight on data whose truth is known."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pytest

from service.analysis.tables import ProjectNames
from service.insights.anomaly import anomalies, robust_z
from service.insights.dispersion import moderated
from service.insights.findings import DailyUse, Findings, ProjectUse
from service.insights.missing import Query, group, missing_skills
from service.insights.mixed import mixed_results
from service.insights.passed_over import passed_over
from service.insights.similarity import likeness, worth_trying
from service.insights.trend import by_week, success_trends, trends, use_trends
from service.insights.unused import unused
from store.contract.aggregates import MetricsSource, ProjectSkillTotal

SKILLS = [f"skill-{n}" for n in range(30)]
DAYS = [(date(2026, 1, 1) + timedelta(days=n)).isoformat() for n in range(84)]


def told(findings: Findings) -> list[str | None]:
    return [finding.skill for finding in findings.findings]


def project_use(finished: np.ndarray, rate: np.ndarray, **fields: np.ndarray) -> ProjectUse:
    """Make counts without any chance in them: completed uses are the rate, and days scatter as coins do."""
    completed = np.round(finished * rate)
    days = np.maximum(np.round(finished / 2), np.minimum(finished, 1))
    share = completed / np.maximum(finished, 1)
    squares = completed**2 / np.maximum(finished, 1) + np.maximum(days - 1, 0) * share * (1 - share)
    given = {"users": np.where(finished > 0, 3.0, 0.0), "reporter_days": finished} | fields
    projects = [f"project-{n}" for n in range(len(finished))]
    return ProjectUse(
        projects,
        SKILLS[: finished.shape[1]],
        given["reporter_days"],
        completed,
        finished,
        days,
        squares,
        given["users"],
    )


def daily_use(reporters: np.ndarray, rate: np.ndarray | float = 0.8) -> DailyUse:
    return DailyUse(
        SKILLS[: len(reporters)], DAYS[: reporters.shape[1]], reporters, np.round(reporters * rate), reporters.copy()
    )


# --- skills that do well in some projects and badly in others -----------------------------------------------------


def test_a_skill_that_does_well_in_one_project_and_badly_in_another_is_told_with_both() -> None:
    rate = np.full((4, 10), 0.8)
    rate[3, 0] = 0.3
    found = mixed_results(project_use(np.full((4, 10), 50.0), rate))
    assert told(found) == ["skill-0"]
    (finding,) = found.findings
    assert (finding.rates[-1].of, finding.rates[-1].count, finding.rates[-1].total) == ("project-3", 15, 50)
    assert finding.rates[-1].low < 0.3 < finding.rates[-1].high
    assert finding.test is not None
    assert (finding.test.compared, finding.test.q_value < 0.001) == (10, True)
    assert "badly in project-3 (30% of 50)" in finding.title


def test_a_project_that_is_hard_for_everything_is_no_news_of_a_skill() -> None:
    rate = np.full((4, 10), 0.8)
    rate[3] = 0.4
    assert told(mixed_results(project_use(np.full((4, 10), 50.0), rate))) == []


@pytest.mark.parametrize(
    ("finished", "users"), [(9.0, 3.0), (50.0, 1.0)], ids=["few uses", "one person in the bad project"]
)
def test_small_samples_and_single_people_do_not_speak_for_a_project(finished: float, users: float) -> None:
    counts, people, rate = np.full((2, 10), 50.0), np.full((2, 10), 3.0), np.full((2, 10), 0.8)
    counts[1, 0], people[1, 0], rate[1, 0] = finished, users, 0.1
    found = mixed_results(project_use(counts, rate, users=people))
    assert told(found) == []
    assert (found.examined.examined, found.examined.not_enough_data) == (9, 1)


def test_results_that_scatter_from_day_to_day_are_not_taken_for_a_difference() -> None:
    rate = np.full((2, 10), 0.8)
    rate[1, 0] = 0.4
    use = project_use(np.full((2, 10), 50.0), rate)
    assert told(mixed_results(use)) == ["skill-0"]
    use.squares[:, 0] += 20 * 0.8  # whole days of success, and whole days of failure
    assert told(mixed_results(use)) == []


# --- what to try --------------------------------------------------------------------------------------------------


def twins() -> tuple[np.ndarray, np.ndarray]:
    """Make ten projects of their own taste, of which the first two share it; project 1 lacks skill 0."""
    chance = np.random.default_rng(3)
    taste = chance.lognormal(0, 1.2, (10, 30))
    taste[1] = taste[0]
    taste[:2, 0] = 4.0
    finished = chance.poisson(300 * taste / taste.sum(axis=1, keepdims=True)).astype(np.float64)
    finished[0, 0], finished[1, 0] = 40.0, 0.0
    rate = np.full((10, 30), 0.7)
    return finished, rate


def test_a_skill_that_works_in_a_project_like_this_one_is_worth_trying() -> None:
    finished, rate = twins()
    rate[0, 0] = 0.95
    use = project_use(finished, rate)
    found = worth_trying(use, likeness(use))
    assert [(each.project, each.skill) for each in found.findings] == [("project-1", "skill-0")]
    assert found.findings[0].counts["usual"] < 0.8
    assert found.examined.not_enough_data == 8  # projects that are like no other


def test_a_skill_that_works_there_no_better_than_anything_is_not() -> None:
    use = project_use(*twins())
    assert worth_trying(use, likeness(use)).findings == []


def test_projects_are_alike_by_their_taste_and_not_by_what_everybody_uses() -> None:
    finished, rate = twins()
    finished[:, 5] += 500  # a skill that everybody uses
    alike = likeness(project_use(finished, rate))
    assert alike.alike(0) == [1]
    assert alike.alike(1) == [0]
    assert [alike.alike(other) for other in range(2, 10)] == [[]] * 8
    assert (alike.similarity[0, 1], alike.q_value[0, 1]) == (alike.similarity[1, 0], alike.q_value[1, 0])


def test_with_little_data_no_project_is_like_another() -> None:
    finished, rate = twins()
    few = np.floor(finished / 12)
    alike = likeness(project_use(few, rate))
    assert np.isnan(alike.similarity).all()
    assert (alike.q_value == 1).all()


# --- trends -------------------------------------------------------------------------------------------------------


def test_a_trend_is_the_score_test_of_cochran_and_armitage() -> None:
    # 2 x 3 table of Agresti's "Categorical data analysis" style: z^2 by hand for scores 0, 1, 2.
    hits, totals = np.array([[10.0, 20.0, 30.0]]), np.array([[50.0, 50.0, 50.0]])
    found = trends(hits, totals)
    share, n = 0.4, 150.0
    slope = (hits * [-1, 0, 1]).sum() / (50 * 2)
    assert found.statistic[0] == pytest.approx(slope**2 * 100 / (share * (1 - share)))
    assert (found.first[0], found.last[0]) == (pytest.approx(share - slope), pytest.approx(share + slope))
    assert n == totals.sum()


def test_where_nothing_varies_there_is_no_trend() -> None:
    found = trends(np.full((2, 6), 5.0), np.full((2, 6), 5.0))
    assert found.p_value.tolist() == [1.0, 1.0]


def test_weeks_end_with_the_last_day() -> None:
    assert by_week(np.arange(16.0)[None]).tolist() == [[sum(range(2, 9)), sum(range(9, 16))]]


def test_a_rising_and_a_falling_skill_are_told_and_a_busy_weekday_is_not() -> None:
    reporters = np.full((30, 84), 10.0)
    reporters[0] *= np.linspace(0.5, 2.0, 84)
    reporters[1] *= np.linspace(2.0, 0.5, 84)
    reporters[:, ::7] *= 3.0  # everything is busy on one weekday,
    reporters[2] = np.where(np.arange(84) % 7 == 4, 50.0, 0.0)  # and one skill is for another one
    found = use_trends(daily_use(np.round(reporters)))
    directions = {each.skill: each.counts["last"] > each.counts["first"] for each in found.findings}
    assert directions == {"skill-0": True, "skill-1": False}


def test_growth_of_everything_is_no_skills_rise() -> None:
    reporters = np.round(np.full((30, 84), 10.0) * np.linspace(0.5, 3.0, 84))
    assert told(use_trends(daily_use(reporters))) == []


def test_success_that_drifts_is_told_with_both_ends() -> None:
    rate = np.full((30, 84), 0.8)
    rate[0] = np.linspace(0.95, 0.55, 84)
    found = success_trends(daily_use(np.full((30, 84), 10.0), rate))
    assert told(found) == ["skill-0"]
    assert [each.of for each in found.findings[0].rates] == ["the first 6 weeks", "the last 6 weeks"]
    assert found.findings[0].counts["last"] == pytest.approx(0.55, abs=0.03)


def test_a_short_history_has_no_trend() -> None:
    found = success_trends(daily_use(np.full((3, 28), 10.0)))
    assert (found.examined.examined, found.examined.not_enough_data) == (0, 3)


def test_scatter_is_drawn_to_what_is_usual_and_an_outlier_stays_one() -> None:
    chance = np.random.default_rng(0)
    freedom = np.full(200, 10.0)
    usual = chance.chisquare(10, 200) / 10
    alike, together = moderated(usual, freedom)
    assert alike.std() < 0.35 * usual.std()
    assert (together > 3 * freedom).all()
    wild = usual * chance.lognormal(0, 1.5, 200)
    spread, own = moderated(wild, freedom)
    assert np.corrcoef(np.log(wild), np.log(spread))[0, 1] > 0.95
    assert (own < 2 * freedom).all()
    assert moderated(usual[:5], freedom[:5])[1].tolist() == [10.0] * 5  # five say nothing of each other


# --- the last day -------------------------------------------------------------------------------------------------


def calm() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(1)
    reporters = chance.poisson(20.0, (30, 43)).astype(np.float64)
    return reporters, chance.binomial(reporters.astype(int), 0.8) / np.maximum(reporters, 1)


def test_a_last_day_like_the_others_is_no_news() -> None:
    found = anomalies(daily_use(*calm()))
    assert told(found) == []
    assert found.examined.examined == 30


def test_success_that_breaks_down_and_use_that_leaps_are_told() -> None:
    reporters, rate = calm()
    rate[3, -1], reporters[4, -1] = 0.2, 80.0
    found = {each.skill: each for each in anomalies(daily_use(reporters, rate)).findings}
    assert set(found) == {"skill-3", "skill-4"}
    assert "succeeded unusually rarely" in found["skill-3"].title
    assert found["skill-4"].counts["uses"] == 80.0


def test_what_is_used_on_one_weekday_alone_is_no_anomaly_on_it() -> None:
    reporters, rate = calm()
    reporters[5] = np.where((42 - np.arange(43)) % 7 == 0, 60.0, 1.0)
    assert told(anomalies(daily_use(reporters, rate))) == []


def test_a_day_on_which_everything_is_busy_is_no_skills_anomaly() -> None:
    reporters, rate = calm()
    reporters[:, -1] = np.random.default_rng(4).poisson(60.0, 30)
    rate[:, -1] = 0.8
    assert told(anomalies(daily_use(reporters, rate))) == []


def test_few_uses_on_the_last_day_say_nothing() -> None:
    reporters, rate = calm()
    reporters[6] = 4.0
    rate[6], rate[6, -1] = 1.0, 0.0
    assert told(anomalies(daily_use(reporters, rate))) == []


def test_a_skill_that_always_scatters_must_scatter_more_to_be_told() -> None:
    chance = np.ones((2, 43))
    scaled = np.random.default_rng(2).normal(0, [[1.0], [4.0]], (2, 43))
    scaled[:, -1] = 8.0
    calm_one, wild_one = robust_z(scaled, chance, np.ones((2, 43), dtype=bool))
    assert calm_one > 5
    assert 0 < wild_one < 3


# --- silence ------------------------------------------------------------------------------------------------------


def test_silence_is_told_where_the_use_before_does_not_explain_it() -> None:
    spans = {
        "busy": ("2026-01-01", "2026-02-28", 40, 90),
        "rare": ("2026-01-01", "2026-02-28", 8, 8),
        "short": ("2026-02-01", "2026-02-05", 5, 5),
        "gone": ("2026-01-01", "2026-02-28", 40, 90),
        "used": ("2026-01-01", "2026-03-31", 60, 90),
        "today": ("2026-01-01", "2026-04-01", 60, 90),
    }
    found = unused(spans, {}, ["gone"], "2026-03-31")
    assert told(found) == ["busy", "rare"]  # (1 - 7/58)^31 = 0.02 for the rare one
    spans["rare"] = ("2026-01-01", "2026-03-01", 8, 8)
    assert told(unused(spans | {"rare": ("2025-09-01", "2026-02-28", 9, 9)}, {}, ["gone"], "2026-03-31")) == ["busy"]


def test_what_was_never_used_is_told_once_it_had_time() -> None:
    spans = {"used": ("2026-01-01", "2026-03-31", 60, 90)}
    served = {"used": "2026-01-01", "old": "2026-01-01", "new": "2026-03-20", "unknown": None}
    assert told(unused(spans, served, [], "2026-03-31")) == ["old"]
    # Nobody watched for long enough to say so.
    young = {"used": ("2026-03-20", "2026-03-31", 10, 10)}
    assert told(unused(young, served, [], "2026-03-31")) == []


# --- queries and lists ------------------------------------------------------------------------------------------


def query(number: int, vector: list[float] | None, asker: str, text: str | None = "q", **told: str) -> Query:
    unit = None if vector is None else (np.array(vector) / np.linalg.norm(vector)).astype(np.float32)
    fields = {"text_hash": f"hash {number}", "model_id": "m"} | told
    return Query(search_id=f"s{number}", asked_at="", text=text, vector=unit, asker=asker, **fields)


def test_queries_about_one_thing_are_gathered_into_a_skill_worth_writing() -> None:
    queries = [
        query(0, [1, 0.0, 0], "ann", "knit a scarf"),
        query(1, [1, 0.1, 0], "bob", "knitting scarves"),
        query(2, [1, -0.4, 0], "bob", "a scarf from wool"),
        query(3, [0, 0, 1], "cid", "paint a wall"),
        query(4, [0, 0, 1], "cid", "paint the wall"),
        query(5, [0, 0.1, 1], "cid", "wall painting"),
    ]
    found = missing_skills(queries, group(queries))
    (finding,) = found.findings  # the wall is one person's matter
    assert "“knit a scarf” and 2 similar searches, by 2 people" in finding.title
    assert finding.search_ids == ["s0", "s1", "s2"]
    assert (found.examined.examined, found.examined.not_enough_data) == (6, 3)


def test_without_vectors_the_same_words_are_together() -> None:
    queries = [query(n, None, f"user {n}", None, text_hash="same") for n in range(3)]
    (finding,) = missing_skills(queries, group(queries)).findings
    assert "a query whose text is not kept" in finding.title


def test_vectors_of_different_models_are_never_compared() -> None:
    queries = [query(n, [1, 0], f"user {n}", model_id=f"model {n % 2}") for n in range(4)]
    assert len(set(group(queries))) == 2
    assert group([]) == []


def test_a_skill_that_was_looked_at_and_never_taken_is_told_and_one_listed_last_is_not() -> None:
    shown = np.array([[100.0, 0, 0], [0, 80, 0], [0, 0, 80], [5, 0, 0], [60, 60, 60]])
    taken = np.array([[60.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [36, 12, 1]])
    found = passed_over(["good", "ignored", "bottom", "new", "usual"], shown, taken)
    assert told(found) == ["ignored"]
    assert found.findings[0].counts["listed"] == 80
    assert found.findings[0].counts["looked_at"] < 40


def test_where_nothing_was_ever_taken_nothing_is_passed_over() -> None:
    assert told(passed_over(["a", "b"], np.full((2, 3), 50.0), np.zeros((2, 3)))) == []
    assert told(passed_over([], np.zeros((0, 0)), np.zeros((0, 0)))) == []


@pytest.mark.parametrize(
    ("locations", "names"),
    [
        (["/a/web/x.db"], ["no project"]),
        (["/a/web/x.db", "/a/data/x.db"], ["no project (web)", "no project (data)"]),
        (["/a/data/x.db", "/b/data/x.db"], ["no project (/a/data)", "no project (/b/data)"]),
    ],
)
def test_uses_without_a_project_are_named_after_where_they_come_from(locations: list[str], names: list[str]) -> None:
    sources = [
        MetricsSource(id=n, store_id=str(n), location=each, own=False, invocation_seq=0, aggregated_at="")
        for n, each in enumerate(locations)
    ]
    projects = ProjectNames(sources)
    assert [projects.name(total("", n)) for n in range(len(sources))] == names
    assert [projects.identifier(name) for name in (*names, "shop")] == [""] * len(names) + ["shop"]
    assert projects.name(total("shop", None)) == "shop"


def total(project_id: str, source_id: int | None) -> ProjectSkillTotal:
    return ProjectSkillTotal(
        project_id=project_id,
        source_id=source_id,
        skill_name="lint",
        invocations=1,
        reporter_days=1,
        completed=1,
        finished=1,
        finished_days=1,
        squares=1.0,
        users=1,
        first_day="2026-01-01",
        last_day="2026-01-01",
    )


def test_whoever_asks_for_no_insight_does_not_wait_for_scipy() -> None:
    program = "import sys, service.app, service.cli.main; print({'scipy', 'sklearn', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_nothing_at_all_is_not_enough_data() -> None:
    nothing = daily_use(np.zeros((0, 84)))
    empty = project_use(np.zeros((0, 0)), np.zeros((0, 0)))
    for found in (
        mixed_results(empty),
        worth_trying(empty, likeness(empty)),
        use_trends(nothing),
        success_trends(nothing),
        anomalies(nothing),
        unused({}, {}, [], "2026-01-01"),
        missing_skills([], []),
    ):
        assert (found.findings, found.examined.examined) == ([], 0)
