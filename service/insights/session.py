"""One session: its timeline, and how workflow steps ended after which skill.

An event belongs to the use that it names, or else to every use during which it occurred. A result (passed or failed)
comes *after* the skill whose use began last before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

# Longer timelines are cut, since nobody reads further. Counts always cover everything.
MOST_MOMENTS: Final = 2000
MOST_STEPS: Final = 100

Kind = Literal["search", "use", "outcome", "event"]
# The order within a moment: a query leads to a use, and a use ends with its outcome.
_ORDER: Final[dict[Kind, int]] = {"search": 0, "use": 1, "event": 2, "outcome": 3}


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A query and the first skills that were served; `query` is None where its text is not kept."""

    id: str
    searched_at: str
    query: str | None
    confidence: str
    served: list[str]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a skill; the fields about its end are None while it runs."""

    id: str
    skill_name: str
    invoked_at: str
    workflow_phase: str | None
    search_id: str | None
    outcome: str | None
    finished_at: str | None
    duration_seconds: float | None
    error_type: str | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a workflow reported."""

    id: str
    invocation_id: str | None
    workflow: str
    phase: str | None
    step: str
    status: str
    occurred_at: str
    duration_seconds: float | None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Everything recorded of a session, each list in chronological order."""

    session_id: str
    project_id: str | None
    user_id: str | None
    started_at: str
    ended_at: str | None
    searches: Sequence[Search]
    uses: Sequence[Use]
    events: Sequence[Event]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the timeline. `about` is the query, the skill or the step; `status` its result."""

    at: str
    kind: Kind
    id: str
    about: str
    status: str | None
    workflow: str | None = None
    phase: str | None = None
    duration_seconds: float | None = None
    served: list[str] = []


class StepRun(msgspec.Struct, frozen=True, kw_only=True):
    """The last report of a step during a use, and the number of reports."""

    workflow: str
    step: str
    phase: str | None
    status: str
    reports: int


class UseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow steps during one use; `steps` has failures first and at most `MOST_STEPS` of `distinct_steps`."""

    invocation_id: str
    skill_name: str
    outcome: str | None
    invoked_at: str
    finished_at: str | None
    passed: int
    failed: int
    skipped: int
    distinct_steps: int
    steps: list[StepRun]


class AfterSkill(msgspec.Struct, frozen=True, kw_only=True):
    """The steps that ended after a skill and before the next one; failures first."""

    skill_name: str
    passed: int
    failed: int
    distinct_steps: int
    steps: list[StepRun]


class SessionReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a session. `before_any_skill` counts results that no skill preceded, by status."""

    session_id: str
    project_id: str | None
    user_id: str | None
    started_at: str
    ended_at: str | None
    searches: int
    outcomes: dict[str, int]
    event_statuses: dict[str, int]
    uses: list[UseReport]
    after: list[AfterSkill]
    before_any_skill: dict[str, int]
    story: list[Moment]
    moments_left_out: int


def correlate(session: Session) -> SessionReport:
    """Return the report of a session; it does not depend on the order in which its parts were recorded."""
    story = _story(session)
    before, after = _after_skills(session)
    return SessionReport(
        session_id=session.session_id,
        project_id=session.project_id,
        user_id=session.user_id,
        started_at=session.started_at,
        ended_at=session.ended_at,
        searches=len(session.searches),
        outcomes=dict(sorted(Counter(use.outcome or "running" for use in session.uses).items())),
        event_statuses=dict(sorted(Counter(event.status for event in session.events).items())),
        uses=_during_uses(session),
        after=after,
        before_any_skill=before,
        story=story[:MOST_MOMENTS],
        moments_left_out=max(0, len(story) - MOST_MOMENTS),
    )


def _story(session: Session) -> list[Moment]:
    moments = [
        Moment(at=s.searched_at, kind="search", id=s.id, about=s.query or "", status=s.confidence, served=s.served)
        for s in session.searches
    ]
    for use in session.uses:
        began = Moment(
            at=use.invoked_at, kind="use", id=use.id, about=use.skill_name, status=None, phase=use.workflow_phase
        )
        moments.append(began)
        if use.finished_at is not None:
            ended = {"at": use.finished_at, "kind": "outcome", "status": use.outcome}
            moments.append(msgspec.structs.replace(began, **ended, duration_seconds=use.duration_seconds))
    moments += [
        Moment(
            at=event.occurred_at,
            kind="event",
            id=event.id,
            about=event.step,
            status=event.status,
            workflow=event.workflow,
            phase=event.phase,
            duration_seconds=event.duration_seconds,
        )
        for event in session.events
    ]
    # The sort is stable, so events of one moment keep their order.
    return sorted(moments, key=lambda moment: (moment.at, _ORDER[moment.kind]))


def _during_uses(session: Session) -> list[UseReport]:
    known = {use.id for use in session.uses}
    told: defaultdict[str, list[Event]] = defaultdict(list)
    untold: list[Event] = []
    for event in session.events:
        if event.invocation_id in known:
            told[str(event.invocation_id)].append(event)
        else:
            untold.append(event)
    moments = [event.occurred_at for event in untold]
    reports = []
    for use in session.uses:
        end = len(untold) if use.finished_at is None else bisect_right(moments, use.finished_at)
        inside = untold[bisect_left(moments, use.invoked_at) : end] + told[use.id]
        runs = _runs(inside)
        counted = Counter(event.status for event in inside)
        reports.append(
            UseReport(
                invocation_id=use.id,
                skill_name=use.skill_name,
                outcome=use.outcome,
                invoked_at=use.invoked_at,
                finished_at=use.finished_at,
                passed=counted["passed"],
                failed=counted["failed"],
                skipped=counted["skipped"],
                distinct_steps=len(runs),
                steps=runs[:MOST_STEPS],
            )
        )
    return reports


def _after_skills(session: Session) -> tuple[dict[str, int], list[AfterSkill]]:
    began = [use.invoked_at for use in session.uses]
    judged: defaultdict[str, list[Event]] = defaultdict(list)
    before: Counter[str] = Counter()
    for event in session.events:
        if event.status not in {"passed", "failed"}:
            continue
        place = bisect_right(began, event.occurred_at) - 1
        if place < 0:
            before[event.status] += 1
        else:
            judged[session.uses[place].skill_name].append(event)
    after = []
    for skill_name, events in sorted(judged.items()):
        runs, counted = _runs(events), Counter(event.status for event in events)
        after.append(
            AfterSkill(
                skill_name=skill_name,
                passed=counted["passed"],
                failed=counted["failed"],
                distinct_steps=len(runs),
                steps=runs[:MOST_STEPS],
            )
        )
    return dict(sorted(before.items())), after


def _runs(events: Sequence[Event]) -> list[StepRun]:
    last: dict[tuple[str, str], Event] = {}
    reports: Counter[tuple[str, str]] = Counter()
    for event in sorted(events, key=lambda event: event.occurred_at):
        last[event.workflow, event.step] = event
        reports[event.workflow, event.step] += 1
    runs = [
        StepRun(workflow=key[0], step=key[1], phase=event.phase, status=event.status, reports=reports[key])
        for key, event in last.items()
    ]
    return sorted(runs, key=lambda run: (run.status != "failed", run.workflow, run.step))
