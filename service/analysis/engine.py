"""Insights of one store: reads the counts, runs `service.insights`, and links to the rows behind each result."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import date, timedelta
from typing import Final

import msgspec

from service.analysis.links import rows_behind
from service.analysis.tables import ProjectNames, catalogue, daily_use, exposure, project_use, query
from service.insights.anomaly import anomalies
from service.insights.findings import KINDS, Examined, Finding, Findings, Kind, Share, Significance, share_of
from service.insights.missing import Query, group, missing_skills
from service.insights.mixed import mixed_results
from service.insights.passed_over import passed_over
from service.insights.similarity import likeness, worth_trying
from service.insights.trend import success_trends, use_trends
from service.insights.unused import unused
from store.clock import Clock, format_time, read_time, system_clock
from store.contract.aggregates import MetricsFilter, ProjectSkillTotal
from store.protocol import Store

WINDOW_DAYS: Final = 91
MAX_DAYS: Final = 730
# Grouping compares all pairs of the newest unanswered queries.
MAX_QUERIES: Final = 2_000
MAX_SIMILAR: Final = 5
_KEPT: Final = 16
_WITHOUT_COUNTS: Final = "nothing has been counted yet: run `skillrank aggregate`, or POST /api/aggregate"
_WITHOUT_WORDS: Final = "the text of some queries that no skill fits is not kept; only their number and ids are shown"
_ELSEWHERE: Final = (
    "queries stay in the database that recorded them; those of the other databases counted here are not included"
)


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """One finding with its evidence.

    `score`, in [0, 1], is the size of the effect times its certainty; `rows` is the path that returns the rows behind
    it.
    """

    kind: Kind
    title: str
    skill_name: str | None
    project_id: str | None
    score: float
    counts: dict[str, float]
    rates: list[Share]
    test: Significance | None
    rows: str


class InsightReport(msgspec.Struct, frozen=True, kw_only=True):
    """Insights, highest score first, and how much was examined.

    The days from `since` to `as_of`, the last complete day with any use, were examined. `total` counts the insights
    that match the filters, before the limit.
    """

    since: str
    as_of: str
    total: int
    insights: list[Insight]
    examined: list[Examined]
    notes: list[str]


class SimilarProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project that uses similar skills; `similarity` is in (0, 1], `q_value` its false discovery rate."""

    project: str
    project_id: str
    similarity: float
    q_value: float


class ProjectOverview(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of a project; `project_id` is '' for uses without one, `success` None while no use has ended."""

    project: str
    project_id: str
    invocations: int
    skills: int
    first_day: str
    last_day: str
    success: Share | None
    most_used: list[str]
    similar: list[SimilarProject]


class _Period(msgspec.Struct, frozen=True, kw_only=True):
    since: str
    as_of: str
    counted: bool


class Analysis:
    """Insights of one store.

    Parameters
    ----------
    store : Store
    clock : Clock, optional
        Tells the present day, which trends and anomalies leave out because it is not over.
    """

    def __init__(self, store: Store, *, clock: Clock = system_clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], dict[Kind, Findings]] = {}
        self._grouped: tuple[list[tuple[str | None, str]], list[int]] = ([], [])

    def report(
        self,
        *,
        kind: Kind | None = None,
        project_id: str | None = None,
        skill_name: str | None = None,
        since: str | None = None,
        limit: int = 100,
    ) -> InsightReport:
        """Return insights, ranked.

        Parameters
        ----------
        kind, skill_name : str, optional
            Only these. Tests are corrected for all tests of their kind, whether shown or not.
        project_id : str, optional
            Only what concerns this project, with trends and anomalies within it; '' for uses without a project.
        since : str, optional
            An ISO 8601 time of which only the day counts; at most `MAX_DAYS`, by default `WINDOW_DAYS` before the last
            day.
        limit : int

        Raises
        ------
        InvalidRecord
            When `since` is not a time.
        """
        period = self._period(since)
        sources = self._store.metrics_sources()
        names = ProjectNames(sources)
        queries = self._queries(period, project_id)
        found = {**self._findings(period, project_id, names), "missing_skill": self._missing(queries)}
        chosen = [
            _insight(finding, period, project_id, names)
            for each in KINDS
            for finding in found[each].findings
            if kind in {None, each} and skill_name in {None, finding.skill} and _concerns(finding, project_id, names)
        ]
        chosen.sort(key=lambda each: (-each.score, each.kind, each.title))
        of_queries = kind in {None, "missing_skill"}
        told = {
            _WITHOUT_COUNTS: not period.counted,
            _WITHOUT_WORDS: of_queries and any(each.text is None for each in queries),
            _ELSEWHERE: of_queries and not all(source.own for source in sources),
        }
        return InsightReport(
            since=period.since,
            as_of=period.as_of,
            total=len(chosen),
            insights=chosen[:limit],
            examined=[found[each].examined for each in KINDS if kind in {None, each}],
            notes=[note for note, holds in told.items() if holds],
        )

    def projects(self, *, since: str | None = None) -> list[ProjectOverview]:
        """Return every project with uses since then, most used first, each with the projects similar to it."""
        period = self._period(since)
        names = ProjectNames(self._store.metrics_sources())
        totals = self._store.project_skill_totals(MetricsFilter(since=period.since))
        use = project_use(totals, names)
        alike = likeness(use)
        of_project: dict[str, list[ProjectSkillTotal]] = defaultdict(list)
        for total in sorted(totals, key=lambda each: (-each.reporter_days, each.skill_name)):
            of_project[names.name(total)].append(total)
        found = []
        for place, project in enumerate(use.projects):
            own = of_project[project]
            finished = float(use.finished[place].sum())
            found.append(
                ProjectOverview(
                    project=project,
                    project_id=names.identifier(project),
                    invocations=sum(each.invocations for each in own),
                    skills=len(own),
                    first_day=min(each.first_day for each in own),
                    last_day=max(each.last_day for each in own),
                    success=share_of("completed", float(use.completed[place].sum()), finished) if finished else None,
                    most_used=[each.skill_name for each in own[:MAX_SIMILAR]],
                    similar=[
                        SimilarProject(
                            project=use.projects[other],
                            project_id=names.identifier(use.projects[other]),
                            similarity=round(float(alike.similarity[place, other]), 4),
                            q_value=float(alike.q_value[place, other]),
                        )
                        for other in alike.alike(place)[:MAX_SIMILAR]
                    ],
                )
            )
        return sorted(found, key=lambda each: (-each.invocations, each.project))

    def _period(self, since: str | None) -> _Period:
        today = self._clock().date()
        yesterday = (today - timedelta(days=1)).isoformat()
        last = self._store.last_day(until=yesterday)
        as_of = last or today.isoformat()
        if since is None:
            first = _days_before(as_of, WINDOW_DAYS - 1)
        else:
            first = max(min(format_time(read_time(since))[:10], as_of), _days_before(as_of, MAX_DAYS))
        return _Period(since=first, as_of=as_of, counted=self._store.aggregate_revision() > 0)

    def _findings(self, period: _Period, project_id: str | None, names: ProjectNames) -> dict[Kind, Findings]:
        """Return the findings, computed once for each state of the counts."""
        key = (self._store.aggregate_revision(), self._store.counts(), period, project_id)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._worked_out(period, project_id, names)
                for old in list(self._kept)[:-_KEPT]:
                    del self._kept[old]
            return self._kept[key]

    def _worked_out(self, period: _Period, project_id: str | None, names: ProjectNames) -> dict[Kind, Findings]:
        store = self._store
        # Comparisons between projects need all of them, whichever is asked for.
        between = project_use(store.project_skill_totals(MetricsFilter(since=period.since)), names)
        inside = MetricsFilter(since=period.since, until=period.as_of, project_id=project_id)
        daily = daily_use(store.skill_day_totals(inside), period.since, period.as_of)
        shown = store.exposure_totals(MetricsFilter(since=period.since, project_id=project_id))
        spans = {
            span.skill_name: (span.first_day, span.last_day, span.active_days, span.invocations)
            for span in store.skill_spans(MetricsFilter(project_id=project_id))
        }
        served, removed = catalogue(store, project_id)
        return {
            "mixed_results": mixed_results(between),
            "worth_trying": worth_trying(between, likeness(between)),
            "use_trend": use_trends(daily),
            "success_trend": success_trends(daily),
            "anomaly": anomalies(daily),
            "unused": unused(spans, served, removed, period.as_of),
            "passed_over": passed_over(*exposure(shown)),
        }

    def _queries(self, period: _Period, project_id: str | None) -> list[Query]:
        wanted = MetricsFilter(since=period.since, project_id=project_id)
        return [query(each) for each in self._store.unanswered_searches(wanted, limit=MAX_QUERIES)]

    def _missing(self, queries: list[Query]) -> Findings:
        # Only the groups are cached. Texts are read again, so that those forgotten meanwhile are not shown.
        key = [(each.model_id, each.text_hash) for each in queries]
        with self._lock:
            if self._grouped[0] != key:
                self._grouped = (key, group(queries))
            return missing_skills(queries, self._grouped[1])


def _insight(finding: Finding, period: _Period, project_id: str | None, names: ProjectNames) -> Insight:
    return Insight(
        kind=finding.kind,
        title=finding.title,
        skill_name=finding.skill,
        project_id=project_id if finding.project is None else names.identifier(finding.project),
        score=finding.score,
        counts=finding.counts,
        rates=finding.rates,
        test=finding.test,
        rows=rows_behind(finding, period.since, project_id),
    )


def _concerns(finding: Finding, project_id: str | None, names: ProjectNames) -> bool:
    """Whether a finding is about a project: comparisons name their projects, others were made within this one."""
    if project_id is None:
        return True
    if finding.kind == "worth_trying":
        return names.identifier(finding.project or "") == project_id
    if finding.kind == "mixed_results":
        return project_id in {names.identifier(each.of) for each in finding.rates}
    return True


def _days_before(day: str, days: int) -> str:
    return (date.fromisoformat(day) - timedelta(days=min(days, date.fromisoformat(day).toordinal() - 1))).isoformat()
