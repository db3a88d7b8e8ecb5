"""Does ranking by outcomes help? A seeded world in which it is known what would have been best.

Users have intents (kinds of queries); each kind has skills that fit it, with a hidden success rate and duration.
Some are popular and bad, some break half-way, better ones arrive. Users choose with position bias from what they are
shown and report what happened. Every policy lives in its own copy of the same world: the same queries, the same
relevance, the same dice.

    python -m tests.benchmarks.outcomes --seeds 20
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from service.ranking.blend import DEFAULT_WEIGHTS, Weights
from service.ranking.book import EvidenceBook
from service.ranking.cells import cells_of
from service.ranking.decay import HALF_LIFE_DAYS
from service.ranking.evidence import ANY_VERSION, NO_CELL, Use, evidence_of
from service.ranking.examination import passed_over
from service.ranking.exploration import Exploration, explore
from service.ranking.judgement import Judgement, judge

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

SHOWN: Final = 8
WINDOW: Final = 10
# Weights and caution were chosen on seeds 0 to 29; what is reported comes from seeds that played no part in it.
FIRST_SEED: Final = 1000
DIMENSION: Final = 64
FIRST_DAY: Final = 700.0
NO_EXPLORATION: Final = Exploration()
CHECKPOINTS: Final = (0, 10, 25, 50, 100, 200, 300, 500)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world's rules.

    `wrong` is the share of reports that are flipped; `gamer` whether one user sends as many reports as everybody else
    together, praising the popular and bad skill and blaming the best one. Where relevance is `telling`, what works
    better also looks more relevant, and the popular and bad skill does not, so there is more to lose than to win.
    """

    name: str
    kinds: int = 6
    per_kind: int = 520
    users: int = 30
    days: float = 120.0
    wrong: float = 0.0
    gamer: bool = False
    broken_kinds: int = 2
    arrivals: int = 2
    paraphrase: float = 0.5
    telling: bool = False


SCENARIOS: Final = (
    Scenario("honest"),
    Scenario("30% wrong", wrong=0.3),
    Scenario("one user, half", gamer=True),
    Scenario("telling relevance", telling=True),
    Scenario("telling relevance, 30% wrong", telling=True, wrong=0.3),
    Scenario("telling relevance, one user, half", telling=True, gamer=True),
)


@dataclass(slots=True)
class World:
    """What is true. Skills are numbered; `members[k]` are those retrieved for kind k, fitting ones first."""

    scenario: Scenario
    random: np.random.Generator
    centres: NDArray[np.float32]
    members: Places
    relevance: Floats
    success: Floats
    seconds: Floats
    appeal: Floats
    arrives: Floats
    breaks: NDArray[np.bool_]
    popular: Places
    version: NDArray[np.int64]

    def success_at(self, progress: float) -> Floats:
        """Return the true success rates, float64 (kinds, members), at a share of the horizon."""
        return np.where(self.breaks & (progress >= 0.6), 0.2, self.success)

    def there(self, progress: float) -> NDArray[np.bool_]:
        """Return which members exist already, bool (kinds, members)."""
        return self.arrives <= progress


FITTING: Final = 8
OTHERS: Final = 5


def make_world(scenario: Scenario, seed: int) -> World:
    """Draw a world: 8 skills fit each kind (one comes later in some kinds), 5 more are found but do not fit."""
    random = np.random.default_rng([seed, 7])
    kinds, members = scenario.kinds, FITTING + OTHERS
    centres = random.standard_normal((kinds, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    # Most skills serve two kinds of queries, and are about half as good at one as the other would suggest.
    own = np.arange(kinds * members).reshape(kinds, members)
    half = FITTING // 2
    own[:, half : FITTING - 1] = np.roll(own[:, : half - 1], 1, axis=0)
    general = random.normal(size=kinds * members)
    quality = np.sqrt(0.5) * general[own] + np.sqrt(0.5) * random.normal(size=(kinds, members))
    relevance = -np.abs(random.normal(0.0, 0.7, (kinds, members)))
    relevance = np.clip(relevance + (0.6 if scenario.telling else 0.15) * quality, -1.6, 0.3)
    success = np.clip(1.0 / (1.0 + np.exp(-(0.4 + 1.1 * quality))), 0.1, 0.95)
    appeal = np.clip(random.normal(0.5, 0.12, (kinds, members)), 0.2, 0.8)
    popular = random.integers(0, FITTING - 1, kinds)
    at = np.arange(kinds)
    relevance[at, popular], success[at, popular], appeal[at, popular] = -0.9 if scenario.telling else 0.3, 0.25, 0.9
    relevance[:, FITTING:] = random.uniform(-6.0, -3.2, (kinds, OTHERS))
    success[:, FITTING:], appeal[:, FITTING:] = 0.03, 0.1
    arrives = np.zeros((kinds, members))
    late = random.choice(kinds, scenario.arrivals, replace=False)
    arrives[late, FITTING - 1], success[late, FITTING - 1], relevance[late, FITTING - 1] = 1 / 3, 0.95, -0.7
    breaks = np.zeros((kinds, members), dtype=np.bool_)
    broken = random.choice(np.setdiff1d(at, late), scenario.broken_kinds, replace=False)
    breaks[broken, success[broken].argmax(axis=1)] = True
    seconds = np.exp(random.normal(4.0, 0.8, (kinds, members)))
    return World(
        scenario,
        np.random.default_rng([seed, 11]),
        centres.astype(np.float32),
        own,
        relevance,
        success,
        seconds,
        appeal,
        arrives,
        breaks,
        popular,
        np.ones(kinds * members, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One round of queries as a policy sees them: one of each kind."""

    vectors: NDArray[np.float32]
    relevance: Floats
    members: Places
    day: float


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of one use, true or not."""

    kind: int
    vector: NDArray[np.float32]
    skill: int
    version: int
    user: str
    outcome: str
    seconds: float
    day: float
    served: tuple[int, ...]


class Policy(Protocol):
    """Ranks a round of queries, and hears what was reported of it."""

    def order(self, asked: Asked) -> Places:
        """Return each query's members, best first: intp (kinds, members); absent ones have relevance −inf."""

    def learn(self, reports: Sequence[Report]) -> None:
        """Hear what users report."""


class ByRelevance:
    """Relevance alone."""

    def order(self, asked: Asked) -> Places:
        return np.argsort(-asked.relevance, axis=1, kind="stable")

    def learn(self, reports: Sequence[Report]) -> None:
        """Nothing is learnt."""


class ByRate:
    """The specification's sort: completion rate of the skill over everything, among what was retrieved."""

    def __init__(self, skills: int) -> None:
        self.completed = np.zeros(skills)
        self.finished = np.zeros(skills)

    def rates(self, members: Places) -> Floats:
        done, ended = self.completed[members], self.finished[members]
        return np.divide(done, ended, out=np.zeros_like(done), where=ended > 0)

    def order(self, asked: Asked) -> Places:
        rates = np.where(np.isfinite(asked.relevance), self.rates(asked.members), -1.0)
        return np.lexsort((-asked.relevance, -rates), axis=1)

    def learn(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self.finished[report.skill] += 1
            self.completed[report.skill] += report.outcome == "completed"


class ByLinearBlend(ByRate):
    """0.6 · relevance scaled to the list + 0.4 · completion rate, as it is often written down first."""

    def order(self, asked: Asked) -> Places:
        there = np.isfinite(asked.relevance)
        low = np.where(there, asked.relevance, np.inf).min(axis=1, keepdims=True)
        high = asked.relevance.max(axis=1, keepdims=True)
        scaled = np.where(there, (asked.relevance - low) / np.maximum(high - low, 1e-9), -1.0)
        return np.argsort(-(0.6 * scaled + 0.4 * self.rates(asked.members)), axis=1, kind="stable")


class ByOutcomes:
    """Ours: the library that the service ranks with, fed the same way.

    Switches take parts away: `overall_only` (what a query is like), `no_versions`, `no_decay`, and
    `everybody_alone` (who reports).
    """

    def __init__(
        self, seed: int, weights: Weights = DEFAULT_WEIGHTS, exploration: Exploration = NO_EXPLORATION, **switches: bool
    ) -> None:
        self.book = EvidenceBook(DIMENSION, half_life_days=HALF_LIFE_DAYS)
        self.weights = weights
        self.exploration = exploration
        self.switches = switches
        self.random = np.random.default_rng([seed, 13])
        self.judgements: list[Judgement | None] = []
        self.numbers = count()

    def order(self, asked: Asked) -> Places:
        orders = np.argsort(-asked.relevance, axis=1, kind="stable")
        self.judgements = []
        for kind, members in enumerate(asked.members):
            there = np.flatnonzero(np.isfinite(asked.relevance[kind]))
            judgement = judge(
                asked.relevance[kind, there],
                [(str(skill), None) for skill in members[there]],
                self.book,
                None if self.switches.get("overall_only") else asked.vectors[kind],
                asked.day,
                weights=self.weights,
            )
            explored = explore(judgement.blend, judgement.belief, self.weights, self.exploration, self.random)
            orders[kind, : len(there)] = there[explored.order]
            self.judgements.append(judgement)
        return orders

    def learn(self, reports: Sequence[Report]) -> None:
        cells = cells_of(np.array([report.vector for report in reports]))
        self.book.add_queries(cells, np.array([report.vector for report in reports]))
        versions = {str(report.skill): report.version for report in reports}
        for name, version in versions.items():
            self.book.describe(name, version=version, category=None)
        self.book.add(evidence_of(self._use(report, int(cell)) for report, cell in zip(reports, cells, strict=True)))

    def _use(self, report: Report, cell: int) -> Use:
        served = [str(skill) for skill in report.served]
        return Use(
            skill_name=str(report.skill),
            version=ANY_VERSION if self.switches.get("no_versions") else report.version,
            cell=NO_CELL if self.switches.get("overall_only") else cell,
            reporter=f"report {next(self.numbers)}" if self.switches.get("everybody_alone") else report.user,
            outcome=report.outcome,
            seconds=report.seconds,
            day=FIRST_DAY if self.switches.get("no_decay") else report.day,
            passed_over=passed_over(served, [str(report.skill)], str(report.skill)),
        )


class Oracle:
    """Knows the true success rates."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.progress = 0.0

    def order(self, asked: Asked) -> Places:
        true = np.where(np.isfinite(asked.relevance), self.world.success_at(self.progress), -1.0)
        return np.argsort(-true, axis=1, kind="stable")

    def learn(self, reports: Sequence[Report]) -> None:
        """Nothing to learn."""


PolicyMaker = Callable[[World, int], Policy]
EXPLORING: Final = Exploration(share=0.1)
POLICIES: Final[dict[str, PolicyMaker]] = {
    "relevance": lambda _world, _seed: ByRelevance(),
    "completion rate": lambda world, _seed: ByRate(world.members.max() + 1),
    "linear blend": lambda world, _seed: ByLinearBlend(world.members.max() + 1),
    "ours": lambda _world, seed: ByOutcomes(seed),
    "ours, exploring": lambda _world, seed: ByOutcomes(seed, exploration=EXPLORING),
    "oracle": lambda world, _seed: Oracle(world),
}


@dataclass(slots=True)
class Course:
    """What happened under one policy; arrays are float64 (rounds,), one round being one query of each kind.

    `top` is the true success rate of the first answer, `regret` how far it is below the best one's, `log_seconds` its
    true typical duration; `found` is after how many outcomes of its kind each new skill first stood among the first
    two, NaN for never. `beliefs` are (low, mean, high, truth) of first answers.
    """

    top: Floats
    regret: Floats
    log_seconds: Floats
    found: Floats
    beliefs: Floats = field(default_factory=lambda: np.empty((0, 4)))


def live(scenario: Scenario, make: PolicyMaker, seed: int, *, keep_beliefs: bool = False) -> Course:
    """Let one policy live through one world."""
    world = make_world(scenario, seed)
    policy = make(world, seed)
    kinds, members = world.members.shape
    random = world.random
    at = np.arange(kinds)
    top, best, log_seconds = np.zeros((3, scenario.per_kind))
    late = np.argwhere(world.arrives > 0)
    found = np.full(len(late), np.nan)
    beliefs = []
    for turn in range(scenario.per_kind):
        progress = turn / scenario.per_kind
        true, there = world.success_at(progress), world.there(progress)
        noise = random.standard_normal((kinds, DIMENSION))
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = np.sqrt(scenario.paraphrase) * world.centres + np.sqrt(1 - scenario.paraphrase) * noise
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        relevance = np.where(there, world.relevance + random.normal(0.0, 0.25, (kinds, members)), -np.inf)
        dice = random.random((kinds, members + 5))
        luck = random.standard_normal(kinds)
        user = random.integers(0, scenario.users, kinds)
        asked = Asked(vectors, relevance, world.members, FIRST_DAY + progress * scenario.days)
        if isinstance(policy, Oracle):
            policy.progress = progress
        order = policy.order(asked)
        top[turn] = true[at, order[:, 0]].mean()
        log_seconds[turn] = np.log(world.seconds[at, order[:, 0]]).mean()
        best[turn] = np.where(there, true, 0.0).max(axis=1).mean()
        for place, (kind, member) in enumerate(late):
            if there[kind, member] and np.isnan(found[place]) and member in order[kind, :2]:
                found[place] = turn - np.ceil(world.arrives[kind, member] * scenario.per_kind)
        reports = []
        for kind in range(kinds):
            served = order[kind, :SHOWN]
            chosen = _choose(world.appeal[kind, served], dice[kind])
            member = served[chosen]
            outcome, seconds = _outcome(true[kind, member], world.seconds[kind, member], dice[kind], luck[kind])
            reports.append(
                Report(
                    kind,
                    vectors[kind],
                    int(world.members[kind, member]),
                    2 if world.breaks[kind, member] and progress >= 0.6 else 1,
                    f"user {user[kind]}",
                    outcome,
                    seconds,
                    asked.day,
                    tuple(int(skill) for skill in world.members[kind, served[: chosen + 1]]),
                )
            )
            if keep_beliefs and isinstance(policy, ByOutcomes) and policy.judgements[kind] is not None:
                beliefs.append(_belief(policy, kind, order[kind, 0], relevance[kind], true[kind]))
            if scenario.wrong and dice[kind, -1] < scenario.wrong:
                reports[-1] = replace(reports[-1], outcome="failed" if outcome == "completed" else "completed")
        if scenario.gamer:
            reports += [_gamed(report, world, turn, true) for report in reports]
        policy.learn(reports)
    return Course(top, best - top, log_seconds, found, np.array(beliefs).reshape(-1, 4))


def _choose(appeal: Floats, dice: Floats) -> int:
    """Return the position taken: the first that appeals as far as the user looks, else the top.

    Position j is looked at with probability j^-0.7; the dice are the same for every policy.
    """
    depth = int(np.searchsorted(-(np.arange(1, len(appeal) + 1) ** -0.7), -dice[0], side="right"))
    wanted = np.flatnonzero(dice[1 : 1 + max(depth, 1)] < appeal[: max(depth, 1)])
    return int(wanted[0]) if wanted.size else 0


def _outcome(rate: float, seconds: float, dice: Floats, luck: float) -> tuple[str, float]:
    took = float(seconds * np.exp(0.5 * luck))
    if dice[-2] < rate:
        return "completed", took
    kinds = ("failed", "abandoned", "cancelled")
    return kinds[int(np.searchsorted([0.6, 0.9], dice[-3]))], took * float(dice[-4])


def _gamed(report: Report, world: World, turn: int, true: Floats) -> Report:
    """Return the gamer's report: praise for the popular and bad skill, blame for the best one, in turn."""
    praised, blamed = int(world.popular[report.kind]), int(true[report.kind].argmax())
    member, outcome = (praised, "completed") if turn % 2 == 0 else (blamed, "failed")
    skill = int(world.members[report.kind, member])
    return replace(report, skill=skill, outcome=outcome, user="gamer", seconds=5.0, served=(skill,))


def _belief(policy: ByOutcomes, kind: int, first: int, relevance: Floats, true: Floats) -> Floats:
    """Return (low, mean, high, truth) of the first answer's success."""
    judgement = policy.judgements[kind]
    assert judgement is not None
    place = int(np.flatnonzero(np.flatnonzero(np.isfinite(relevance)) == first)[0])
    belief = replace(
        judgement.belief,
        alpha=judgement.belief.alpha[place : place + 1],
        beta=judgement.belief.beta[place : place + 1],
        known=judgement.belief.known[place : place + 1],
    )
    low, high = belief.interval()
    return np.array([low[0], belief.mean[0], high[0], true[first]])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with the half-width of its 95% interval."""

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: Floats) -> Estimate:
        values = values[~np.isnan(values)]
        if not values.size:
            return cls(float("nan"), float("nan"))
        spread = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
        return cls(float(values.mean()), float(1.96 * spread))

    def __str__(self) -> str:
        return f"{self.mean:.3f}±{self.half_width:.3f}"


def smoothed(values: Floats, outcomes: int, width: int = 10) -> Floats:
    """Return the mean over the rounds around `outcomes`, per seed: (seeds, rounds) to (seeds,); exact at 0."""
    if outcomes == 0:
        return values[:, 0]
    return values[:, max(outcomes - width // 2, 0) : outcomes + width // 2].mean(axis=1)


def run(
    scenario: Scenario, policies: dict[str, PolicyMaker], seeds: Iterable[int], *, keep_beliefs: bool = False
) -> dict[str, list[Course]]:
    """Let every policy live through the worlds of all seeds, one after another."""
    return {
        name: [live(scenario, make, seed, keep_beliefs=keep_beliefs) for seed in seeds]
        for name, make in policies.items()
    }


def gap_closed(courses: dict[str, list[Course]], name: str, outcomes: int) -> Estimate:
    """Return which share of the gap between relevance and the oracle is closed, by the ratio over all seeds.

    The interval is a jackknife's: the ratio of one seed alone is too noisy to average.
    """
    ours, floor, ceiling = (
        smoothed(np.array([course.top for course in courses[key]]), outcomes) for key in (name, "relevance", "oracle")
    )
    gained, gap = ours - floor, ceiling - floor
    if len(gained) < 2:
        return Estimate(float(gained.sum() / gap.sum()), float("nan"))
    without = (gained.sum() - gained) / (gap.sum() - gap)
    n = len(without)
    return Estimate(
        float(gained.sum() / gap.sum()), float(1.96 * np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    )


@dataclass(frozen=True, slots=True)
class Harm:
    """How a policy compares with relevance where it compares worst.

    `lowest` is the window with the lowest mean difference; `below` of all `windows` have a 95% interval that lies
    below zero. Of windows without any difference, one in forty would.
    """

    lowest: Estimate
    below: int
    windows: int

    def __str__(self) -> str:
        return f"{self.lowest.mean:+.3f}±{self.lowest.half_width:.3f} ({self.below} of {self.windows})"


def harm(courses: dict[str, list[Course]], name: str) -> Harm:
    """Compare with relevance in every stretch of `WINDOW` rounds, world by world."""
    ours, floor = (np.array([course.top for course in courses[key]]) for key in (name, "relevance"))
    starts = range(0, max(ours.shape[1] - WINDOW, 0) + 1, WINDOW)
    windows = [Estimate.of((ours - floor)[:, start : start + WINDOW].mean(axis=1)) for start in starts]
    below = sum(window.mean + window.half_width < 0 for window in windows)
    return Harm(min(windows, key=lambda window: window.mean), below, len(windows))


def table(scenario: Scenario, courses: dict[str, list[Course]]) -> str:
    """Write one scenario's results as Markdown."""
    points = [point for point in CHECKPOINTS if point < scenario.per_kind]
    head = [
        "policy",
        *(f"after {point}" for point in points),
        "regret",
        "new skill found",
        "lowest against relevance (windows below)",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, lived in courses.items():
        tops = np.array([course.top for course in lived])
        regret = Estimate.of(np.array([course.regret.mean() for course in lived]))
        never = float(np.isnan(np.concatenate([course.found for course in lived])).mean())
        found = np.concatenate([course.found for course in lived])
        median = float(np.median(np.where(np.isnan(found), np.inf, found))) if found.size else float("nan")
        cells = [name, *(str(Estimate.of(smoothed(tops, point))) for point in points), str(regret)]
        cells += [f"{median:.0f} (never {never:.0%})", str(harm(courses, name))]
        lines.append("| " + " | ".join(cells) + " |")
    closed = [
        f"{name}: " + ", ".join(f"{point}: {gap_closed(courses, name, point)}" for point in points if point)
        for name in courses
        if name not in {"relevance", "oracle"}
    ]
    return "\n".join(
        [f"### {scenario.name}", "", *lines, "", "Share of the gap to the oracle closed, after so many", *closed]
    )


def _job(arguments: tuple[Scenario, str, int]) -> Course:
    scenario, name, seed = arguments
    return live(scenario, POLICIES[name], seed)


def main() -> None:
    """Print the table; `--json` keeps the curves for the notebook."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="0 to 29 were used to choose the weights")
    parser.add_argument("--per-kind", type=int, default=520)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--scenario", choices=[scenario.name for scenario in SCENARIOS], action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.nice(10)
    kept = {}
    for scenario in SCENARIOS:
        if options.scenario and scenario.name not in options.scenario:
            continue
        scenario = replace(scenario, per_kind=options.per_kind)  # noqa: PLW2901
        started = time.perf_counter()
        jobs = [
            (scenario, name, seed)
            for name in POLICIES
            for seed in range(options.first_seed, options.first_seed + options.seeds)
        ]
        if options.jobs > 1:
            with ProcessPoolExecutor(options.jobs) as pool:
                lived = list(pool.map(_job, jobs))
        else:
            lived = [_job(job) for job in jobs]
        courses: dict[str, list[Course]] = {}
        for (_, name, _), course in zip(jobs, lived, strict=True):
            courses.setdefault(name, []).append(course)
        print(table(scenario, courses), f"\n\n{time.perf_counter() - started:.0f} s\n", flush=True)
        kept[scenario.name] = {
            name: {"top": [c.top.tolist() for c in each], "found": [c.found.tolist() for c in each]}
            for name, each in courses.items()
        }
    if options.json:
        options.json.write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
