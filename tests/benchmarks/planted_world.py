"""A world of planted truths among decoys, made from a seed and written through the real store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from service.insights.effects import StepCount, StepEffect, step_effects
from store.clock import format_time
from store.contract.catalogue import Chunk, DocumentWrite
from store.contract.searches import SearchRecord, ServedSkill
from store.contract.tracking import NewInvocation, NewOutcome
from store.contract.workflows import NewWorkflowEvent, WorkflowFilter
from store.protocol import Store
from store.sqlite import open_store

LAST_DAY: Final = date(2026, 11, 20)  # a Friday
DAYS: Final = 91
NOW: Final = datetime(2026, 11, 21, 9, tzinfo=UTC)
DIMENSION: Final = 64
LISTED: Final = 10
EVENTS_A_SESSION: Final = 10.0
WORKFLOW: Final = "checks"
STEP: Final = "tests"

Key = tuple[str, ...]

PLANTED_SKILLS: Final = (
    *("helper", "mixed", "gem", "riser", "faller", "drifter", "breaker", "spiker", "dead-1", "dead-2", "dead-3"),
    *("ignored", "never-1", "never-2", "never-3"),
)
# fair-weather is used where the step passes anyway, celebrator after it has passed; friday-report on Fridays alone;
# hobby by one user, more and more, and a hundred times on the last day; plain-gem is as good as anything in one of a
# pair of twins; outage failed for a day in the middle; rare is used every three weeks; few has few uses, all of which
# failed lately; bottom is listed last; steady is popular.
DECOYS: Final = (
    *("fair-weather", "celebrator", "friday-report", "hobby", "plain-gem", "outage", "rare", "few", "bottom"),
    "steady",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is."""

    events: int = 200_000
    projects: int = 40
    skills: int = 120
    users: int = 160

    @property
    def sessions(self) -> int:
        return round(self.events / EVENTS_A_SESSION)


@dataclass(slots=True)
class World:
    """What is written, ready for the store's ports."""

    uses: list[tuple[NewInvocation, NewOutcome]] = field(default_factory=list)
    searches: list[SearchRecord] = field(default_factory=list)
    events: list[NewWorkflowEvent] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    theme_of: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return 2 * len(self.uses) + len(self.searches) + len(self.events)


class _Maker:
    """Makes one world."""

    def __init__(self, seed: int, size: Size) -> None:
        self.chance = np.random.default_rng(seed)
        self.size = size
        self.world = World()
        plain = [f"skill-{n:03}" for n in range(size.skills - len(PLANTED_SKILLS) - len(DECOYS))]
        self.skills = [*plain, *PLANTED_SKILLS, *DECOYS]
        self.place = {name: at for at, name in enumerate(self.skills)}
        twins = ["twin-a", "twin-b", "plain-twin-a", "plain-twin-b"]
        self.projects = [*twins, *(f"project-{n:02}" for n in range(size.projects - len(twins)))]
        self.users = [f"user-{n}" for n in range(size.users)]
        self._taste()
        self._success()
        self.centres = unit(self.chance.normal(size=(40, DIMENSION)))

    def _taste(self) -> None:
        chance, skills, projects = self.chance, len(self.skills), len(self.projects)
        popular = 1.0 / (chance.permutation(skills) + 8.0)
        popular /= popular.mean()
        for name in ("helper", "mixed", "riser", "faller", "drifter", "breaker", "spiker", "fair-weather"):
            popular[self.place[name]] = 2.0
        for name in ("gem", "plain-gem", "celebrator", "outage", "dead-1", "dead-2", "dead-3"):
            popular[self.place[name]] = 1.2
        popular[self.place["steady"]] = 8.0
        popular[self.place["breaker"]] = 5.0
        popular[self.place["friday-report"]] = 1.5
        for name in ("never-1", "never-2", "never-3", "ignored", "bottom", "rare", "few", "celebrator", "hobby"):
            popular[self.place[name]] = 0.0
        self.taste = popular * chance.lognormal(0.0, 1.0, (projects, skills))
        for a, b, lacks in ((0, 1, "gem"), (2, 3, "plain-gem")):
            self.taste[b] = self.taste[a]
            self.taste[a, self.place[lacks]] = 14.0
            self.taste[b, self.place[lacks]] = 0.0
        # Planted skills are used everywhere alike, so that only what is planted tells projects apart by them.
        for name in ("helper", "mixed", "riser", "faller", "drifter", "breaker", "spiker"):
            self.taste[:, self.place[name]] = popular[self.place[name]]
        self.passing = np.clip(chance.beta(4, 2, projects), 0.25, 0.95)
        easy = self.passing > np.median(self.passing)
        self.taste[:, self.place["fair-weather"]] = np.where(easy, 6.0, 0.5)
        # Skills that few projects know at all.
        for name in ("gem", "plain-gem"):
            others = np.arange(4, projects)
            self.taste[chance.choice(others, len(others) * 2 // 3, replace=False), self.place[name]] = 0.0

    def _success(self) -> None:
        skills, projects = len(self.skills), len(self.projects)
        usual = self.chance.normal(1.1, 0.35, skills)
        for name, share in (("breaker", 0.85), ("drifter", 0.78), ("gem", 0.95), ("plain-gem", 0.75), ("mixed", 0.7)):
            usual[self.place[name]] = _logit(share)
        # Some projects are harder than others for whatever is used there.
        self.usual = usual + self.chance.normal(0.0, 0.4, projects)[:, None]
        self.usual[:4] = usual  # twins are no matter of being easy
        half = self.chance.permutation(projects) % 2 == 0
        self.usual[:, self.place["mixed"]] = np.where(half, _logit(0.92), _logit(0.5))

    def make(self) -> World:
        for day in range(DAYS):
            today = LAST_DAY - timedelta(days=DAYS - 1 - day)
            weekend = today.weekday() >= 5
            share = (0.3 if weekend else 1.0) * (0.9 + 0.2 * day / DAYS)
            for _ in range(self.chance.poisson(self.size.sessions * share / (DAYS * 0.8))):
                self._session(day, today)
            self._decoys(day, today)
        self._themes()
        self.world.documents = self.skills
        return self.world

    def _weights(self, project: int, day: int, today: date) -> np.ndarray:
        weights = self.taste[project].copy()
        through = day / (DAYS - 1)
        weights[self.place["riser"]] *= 0.5 * 4.0**through
        weights[self.place["faller"]] *= 2.0 * 0.25**through
        weights[self.place["spiker"]] *= 5.0 if today == LAST_DAY else 1.0
        weights[self.place["friday-report"]] *= 6.0 if today.weekday() == 4 else 0.05
        if day > DAYS * 0.55:
            for name in ("dead-1", "dead-2", "dead-3"):
                weights[self.place[name]] = 0.0
        return weights

    def _session(self, day: int, today: date) -> None:
        chance = self.chance
        project = int(chance.integers(len(self.projects)))
        # Four people work in each project, some in two.
        user = self.users[(project * 4 + int(chance.integers(5))) % len(self.users)]
        session = f"s-{day}-{len(self.world.uses)}-{len(self.world.searches)}-{len(self.world.events)}"
        began = _at(today, chance.uniform(7, 18))
        mood = chance.normal(0.0, 0.5)  # uses of one session succeed and fail together, somewhat
        weights = self._weights(project, day, today)
        chosen = chance.choice(len(self.skills), 1 + chance.poisson(1.9), p=weights / weights.sum())
        moment = began
        for number, skill in enumerate(chosen.tolist()):
            moment += timedelta(seconds=float(chance.uniform(30, 300)))
            search = self._search(session, user, project, moment, skill) if number == 0 else None
            self._use(session, user, project, moment, skill, mood, today, search)
        self._workflow(session, user, project, moment, {self.skills[skill] for skill in chosen.tolist()}, mood, today)

    def _use(
        self,
        session: str,
        user: str,
        project: int,
        moment: datetime,
        skill: int,
        mood: float,
        today: date,
        search: tuple[str, int] | None,
    ) -> None:
        name = self.skills[skill]
        odds = self.usual[project, skill] + mood
        through = 1.0 - (LAST_DAY - today).days / (DAYS - 1)
        if name == "drifter":
            odds = _logit(0.93 - 0.35 * through) + mood
        if (name == "breaker" and today == LAST_DAY) or (name == "outage" and (LAST_DAY - today).days == 40):
            odds = _logit(0.25) + mood
        if name == "few":
            odds = 5.0 if (LAST_DAY - today).days > 5 else -5.0
        completed = self.chance.random() < _sigmoid(odds)
        seconds = float(self.chance.lognormal(4, 0.7))
        outcome = (
            "completed"
            if completed
            else str(self.chance.choice(["failed", "abandoned", "cancelled"], p=[0.7, 0.2, 0.1]))
        )
        self.world.uses.append(
            (
                NewInvocation(
                    id=f"u-{len(self.world.uses)}",
                    skill_name=name,
                    invoked_at=format_time(moment),
                    session_id=session,
                    user_id=user,
                    project_id=self.projects[project],
                    search_id=search[0] if search else None,
                    selection_rank=search[1] if search else None,
                ),
                NewOutcome(outcome=outcome, duration_seconds=seconds, source="import"),  # type: ignore[arg-type]
            )
        )

    def _search(self, session: str, user: str, project: int, moment: datetime, skill: int) -> tuple[str, int] | None:
        chance = self.chance
        others = [
            int(each)
            for each in chance.choice(len(self.skills) - len(PLANTED_SKILLS) - len(DECOYS), LISTED, replace=False)
        ]
        listed = [self.skills[each] for each in others if each != skill][: LISTED - 1]
        # How far down people look; what is listed low is taken seldom, whatever it is.
        position = int(chance.choice(LISTED - 1, p=_LOOKS))
        listed.insert(position, self.skills[skill])
        if chance.random() < 0.05:
            listed[1 if position != 1 else 2] = "ignored"
        if chance.random() < 0.03 and position != LISTED - 1:
            listed[-1] = "bottom"
        vector = unit(self.centres[10 + skill % 30] + 0.1 * chance.normal(size=DIMENSION))
        search_id = self._add_search(
            session, user, project, moment, f"how to {self.skills[skill]}", vector, "high", listed
        )
        return (search_id, position + 1) if chance.random() < 0.6 else None

    def _add_search(
        self,
        session: str | None,
        user: str,
        project: int,
        moment: datetime,
        text: str,
        vector: np.ndarray,
        confidence: str,
        listed: Sequence[str],
    ) -> str:
        search_id = f"q-{len(self.world.searches)}"
        self.world.searches.append(
            SearchRecord(
                id=search_id,
                searched_at=format_time(moment - timedelta(seconds=20)),
                query=text,
                query_hash=f"{abs(hash_of(text)):064x}",
                query_vector=vector.astype(np.float32).tobytes(),
                model_id="planted",
                session_id=session,
                user_id=user,
                project_id=self.projects[project],
                filters={},
                weights_version="planted",
                explored=False,
                confidence=confidence,  # type: ignore[arg-type]
                degraded=[],
                elapsed_ms=1.0,
                results=[
                    ServedSkill(position=at + 1, skill_name=name, score=0.0, components={})
                    for at, name in enumerate(listed)
                ],
            )
        )
        return search_id

    def _workflow(
        self, session: str, user: str, project: int, moment: datetime, used: set[str], mood: float, today: date
    ) -> None:
        odds = _logit(float(self.passing[project])) + (1.2 if "helper" in used else 0.0)
        passed = bool(self.chance.random() < _sigmoid(odds))
        steps = [
            ("lint", bool(self.chance.random() < 0.9)),
            (STEP, passed),
            ("build", bool(self.chance.random() < 0.8)),
        ]
        for number, (step, good) in enumerate(steps):
            judged = moment + timedelta(seconds=400 + 60 * number)
            self.world.events.append(
                NewWorkflowEvent(
                    id=f"e-{len(self.world.events)}",
                    session_id=session,
                    project_id=self.projects[project],
                    workflow=WORKFLOW,
                    step=step,
                    phase="verify",
                    status="passed" if good else "failed",
                    occurred_at=format_time(judged),
                    duration_seconds=30.0,
                )
            )
        if passed and self.chance.random() < 0.15:
            after = moment + timedelta(seconds=900)
            self._use(session, user, project, after, self.place["celebrator"], mood, today, None)

    def _decoys(self, day: int, today: date) -> None:
        moment = _at(today, 20)
        big = self.users[0]
        for _ in range(100 if today == LAST_DAY else 1 + day // 5):
            self._use(f"hobby-{day}", big, 5, moment, self.place["hobby"], 0.0, today, None)
        if day % 21 == 3:
            for user in self.users[1:4]:
                self._use(f"rare-{day}-{user}", user, 6, moment, self.place["rare"], 0.0, today, None)
        if day % 9 == 0 or today == LAST_DAY:
            for user in self.users[4:6]:
                self._use(f"few-{day}-{user}", user, 7, moment, self.place["few"], 0.0, today, None)

    def _themes(self) -> None:
        """Add searches that nothing fitted: two themes of many people, one person's own, one answered, and noise."""
        for theme, users, answered in (
            ("theme-1", 15, False),
            ("theme-2", 9, False),
            ("own", 1, False),
            ("met", 8, True),
        ):
            centre = self.centres[("theme-1", "theme-2", "own", "met").index(theme)]
            for number in range(30):
                user = self.users[20 + number % users]
                moment = _at(LAST_DAY - timedelta(days=int(self.chance.integers(60))), 12)
                vector = unit(centre + 0.07 * self.chance.normal(size=DIMENSION))
                text = f"{theme} asked in way {number % 20}"
                session = f"{theme}-{number}"
                project = int(self.chance.integers(len(self.projects)))
                kind = "none" if number % 3 else "low"
                search_id = self._add_search(session, user, project, moment, text, vector, kind, ["steady"])
                self.world.theme_of[search_id] = theme
                if answered:
                    self._answered(session, user, project, moment, search_id)
        for number in range(120):
            moment = _at(LAST_DAY - timedelta(days=int(self.chance.integers(60))), 13)
            vector = unit(self.chance.normal(size=DIMENSION))
            user = self.users[int(self.chance.integers(len(self.users)))]
            search_id = self._add_search(f"odd-{number}", user, 8, moment, f"odd {number}", vector, "none", ["steady"])
            self.world.theme_of[search_id] = f"odd-{number}"

    def _answered(self, session: str, user: str, project: int, moment: datetime, search_id: str) -> None:
        invocation = NewInvocation(
            id=f"u-{len(self.world.uses)}",
            skill_name="steady",
            invoked_at=format_time(moment),
            session_id=session,
            user_id=user,
            project_id=self.projects[project],
            search_id=search_id,
        )
        self.world.uses.append((invocation, NewOutcome(outcome="completed", duration_seconds=5.0, source="import")))


def make(seed: int, size: Size) -> World:
    """Make a world; the same seed and size make the same one."""
    return _Maker(seed, size).make()


def write(world: World, path: Path) -> Store:
    """Write a world through the store's ports."""
    before = datetime.combine(LAST_DAY - timedelta(days=DAYS + 10), datetime.min.time(), tzinfo=UTC)
    catalogue = open_store(path, clock=lambda: before)
    generation = catalogue.open_generation("planted", DIMENSION, 1).generation
    for name in world.documents:
        catalogue.write_document(_document(name), generation)
    catalogue.close()
    store = open_store(path, clock=lambda: NOW)
    with ThreadPoolExecutor(max_workers=32) as callers:
        list(callers.map(store.record_search, world.searches))
    report = store.import_invocations(world.uses)
    refused = [*report.refused]
    for start in range(0, len(world.events), 5_000):
        refused += store.record_events(world.events[start : start + 5_000]).refused  # type: ignore[arg-type]
    if refused:
        raise ValueError(f"the store refused {len(refused)} rows, such as {refused[0]}")
    return store


def _document(name: str) -> DocumentWrite:
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[0] = 1.0
    return DocumentWrite(
        skill_name=name,
        declared_name=name,
        category=None,
        description=name,
        body=name,
        document_path=f"/planted/{name}/SKILL.md",
        root="/planted",
        content_hash=name,
        size_bytes=1,
        chunks=[Chunk(ordinal=0, kind="summary", heading="", text=name, span_start=0, span_end=len(name))],
        vector=vector,
    )


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return int.from_bytes(text.encode()[-24:].rjust(24, b"\0"), "big")


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _sigmoid(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


def _at(day: date, hour: float) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC) + timedelta(hours=float(hour))


_LOOKS: Final = (1 / np.arange(1, LISTED)) / (1 / np.arange(1, LISTED)).sum()


def step_verdicts(store: Store) -> list[StepEffect]:
    """Return what the correlator says about skills and steps."""
    totals = store.step_totals(WorkflowFilter(), steps=100).totals
    return step_effects(
        StepCount(each.workflow, each.step, each.skill_name, each.project_id, each.sessions, each.passed)
        for each in totals
    )
