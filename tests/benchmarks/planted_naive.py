"""What plain rules say of a planted world: raw differences, raw slopes, plain z-scores, counts without doubt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import numpy as np

from store.contract.aggregates import MetricsFilter
from store.protocol import Store
from tests.benchmarks.planted_world import DAYS, LAST_DAY, STEP, Key, World, step_verdicts, unit


def naive(kind: str, store: Store, world: World) -> set[Key]:
    """Return what a plain rule says: raw differences, raw slopes, plain z-scores, counts without doubt."""
    return _NAIVE[kind](store, world)


def _naive_step(store: Store, _: World) -> set[Key]:
    return {
        (effect.skill_name,)
        for effect in step_verdicts(store)
        if effect.step == STEP
        and min(effect.sessions_with, effect.sessions_without) >= 10
        and effect.passed_with / effect.sessions_with - effect.passed_without / effect.sessions_without >= 0.05
    }


def _naive_mixed(store: Store, _: World) -> set[Key]:
    rates = defaultdict(list)
    for each in store.project_skill_totals(MetricsFilter()):
        if each.finished >= 5:
            rates[each.skill_name].append(each.completed / each.finished)
    return {(name,) for name, told in rates.items() if max(told) - min(told) >= 0.4}


def _naive_worth(store: Store, _: World) -> set[Key]:
    totals = store.project_skill_totals(MetricsFilter())
    projects, skills = sorted({t.project_id for t in totals}), sorted({t.skill_name for t in totals})
    counts, done, ended = (np.zeros((len(projects), len(skills))) for _ in range(3))
    for t in totals:
        at = projects.index(t.project_id), skills.index(t.skill_name)
        counts[at], done[at], ended[at] = t.invocations, t.completed, t.finished
    cosine = unit(counts) @ unit(counts).T
    np.fill_diagonal(cosine, -1)
    nearest = cosine.argmax(axis=1)
    return {
        (projects[p], skills[s])
        for p, n in enumerate(nearest)
        for s in range(len(skills))
        if counts[p, s] == 0 and ended[n, s] >= 3 and done[n, s] / ended[n, s] >= 0.8
    }


def _halves(store: Store) -> dict[str, list[tuple[float, float, float]]]:
    middle = (LAST_DAY - timedelta(days=DAYS // 2)).isoformat()
    sums: dict[str, list[list[float]]] = defaultdict(lambda: [[0, 0, 0], [0, 0, 0]])
    for each in store.skill_day_totals(MetricsFilter()):
        half = sums[each.skill_name][each.day > middle]
        half[0] += each.invocations
        half[1] += each.completed
        half[2] += each.finished
    return {name: [tuple(half) for half in halves] for name, halves in sums.items()}  # type: ignore[misc]


def _naive_use_trend(store: Store, _: World) -> set[Key]:
    found = set()
    for name, (before, after) in _halves(store).items():
        change = (after[0] + 1) / (before[0] + 1)
        if change >= 1.5 or change <= 1 / 1.5:
            found.add((name, "up" if change > 1 else "down"))
    return found


def _naive_success_trend(store: Store, _: World) -> set[Key]:
    found = set()
    for name, (before, after) in _halves(store).items():
        if before[2] and after[2]:
            change = after[1] / after[2] - before[1] / before[2]
            if abs(change) >= 0.1:
                found.add((name, "up" if change > 0 else "down"))
    return found


def _naive_anomaly(store: Store, _: World) -> set[Key]:
    uses, rates = defaultdict(dict), defaultdict(dict)
    for each in store.skill_day_totals(MetricsFilter()):
        uses[each.skill_name][each.day] = each.invocations
        if each.finished:
            rates[each.skill_name][each.day] = each.completed / each.finished
    found = set()
    for series, what in ((uses, "use"), (rates, "success")):
        for name, days in series.items():
            last = days.pop(LAST_DAY.isoformat(), None)
            told = np.array(list(days.values()))
            if last is not None and len(told) > 1 and abs(last - told.mean()) > 3 * max(told.std(), 1e-9):
                found.add((name, what))
    return found


def _naive_unused(store: Store, world: World) -> set[Key]:
    limit = (LAST_DAY - timedelta(days=14)).isoformat()
    used = {span.skill_name for span in store.skill_spans(MetricsFilter()) if span.last_day >= limit}
    return {(name,) for name in world.documents if name not in used}


def _naive_missing(_: Store, world: World) -> set[Key]:
    counts = Counter(search.query for search in world.searches if search.confidence in {"low", "none"})
    theme = {search.query: world.theme_of[search.id] for search in world.searches if search.id in world.theme_of}
    return {(theme[text],) for text, n in counts.items() if n >= 2}


def _naive_passed_over(store: Store, _: World) -> set[Key]:
    shown, taken = Counter(), Counter()
    for each in store.exposure_totals(MetricsFilter()):
        shown[each.skill_name] += each.shown
        taken[each.skill_name] += each.taken
    return {(name,) for name, n in shown.items() if n >= 20 and not taken[name]}


_NAIVE: Final[dict[str, Callable[[Store, World], set[Key]]]] = {
    "step": _naive_step,
    "mixed_results": _naive_mixed,
    "worth_trying": _naive_worth,
    "use_trend": _naive_use_trend,
    "success_trend": _naive_success_trend,
    "anomaly": _naive_anomaly,
    "unused": _naive_unused,
    "missing_skill": _naive_missing,
    "passed_over": _naive_passed_over,
}
