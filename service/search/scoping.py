"""Reads the signals and declarations of the candidates of a search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from service.ranking.scope import MONTH_DAYS, NO_SCOPE, WINDOW_DAYS, SkillScope, decayed_strength
from store.clock import format_time
from store.contract.signals import SkillUse
from store.protocol import Store

_SECONDS_A_DAY = 86_400.0


def read_scope(
    store: Store,
    skill_names: Sequence[str],
    fits: Sequence[bool] | NDArray[np.bool_],
    *,
    project_id: str | None,
    user_id: str | None,
    now: datetime,
) -> list[SkillScope]:
    """Return the scope of each skill that fits the query, in the order of the names; of others, `NO_SCOPE`.

    Scope affects only skills that fit, so only those are looked up, and none without a project and a user.
    """
    wanted = {name for name, fit in zip(skill_names, fits, strict=True) if fit}
    if not wanted or (project_id is None and user_id is None):
        return [NO_SCOPE] * len(skill_names)
    since = format_time(now - timedelta(days=WINDOW_DAYS))
    found = store.scope(sorted(wanted), project_id=project_id, user_id=user_id, since=since)
    return [
        _scope_of(name in found.declared, found.uses.get(name, []), now) if name in wanted else NO_SCOPE
        for name in skill_names
    ]


def _scope_of(declared: bool, uses: Sequence[SkillUse], now: datetime) -> SkillScope:
    ages = np.array([_age_days(use.day, now) for use in uses], dtype=np.float64)
    lately = [use for use, age in zip(uses, ages, strict=True) if age < MONTH_DAYS]
    return SkillScope(
        declared=declared,
        strength=decayed_strength(np.array([use.strength for use in uses], dtype=np.float64), ages),
        user_updates=sum(use.user_updates for use in lately),
        project_updates=sum(use.project_updates for use in lately),
    )


def _age_days(day: str, now: datetime) -> float:
    # Ages count from the end of the day, so that today's signals have age 0.
    began = datetime.fromisoformat(day).replace(tzinfo=now.tzinfo)
    return max((now - began).total_seconds() / _SECONDS_A_DAY - 1.0, 0.0)
