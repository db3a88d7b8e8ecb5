"""Skills that are often shown and never taken."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights.findings import Finding, Findings, Floats, believed, collected, percent, scored, share_of, tested
from service.ranking.examination import fit_position_model

MIN_SEEN: Final = 20
NEEDS: Final = f"{MIN_SEEN} times when people probably looked at it"


def passed_over(skills: list[str], shown: Floats, taken: Floats) -> Findings:
    """Find skills that nobody takes though people probably looked at them.

    How likely a position is looked at is fitted to all lists; of each skill only those looks count. Were it as
    attractive as skills are on average, n looks would all pass it over with probability (1 - a)^n.

    Parameters
    ----------
    skills : list of str
    shown, taken : float64 (skills, positions)
        How often each was listed at each position, and then taken from there.
    """
    looked = fit_position_model(shown, taken).looked if shown.size else np.ones(0)
    seen = shown @ looked
    enough = seen >= MIN_SEEN
    places = np.flatnonzero(enough)
    attraction = min(float(taken.sum() / max(seen.sum(), 1.0)), 0.999)
    never = taken.sum(axis=1) == 0
    p_values = np.where(never, (1.0 - attraction) ** seen, 1.0)[places]
    found = []
    for place, test in zip(places, tested("probability of no take", seen[places], p_values), strict=True):
        if not never[place] or not believed(test):
            continue
        listed, looks = float(shown[place].sum()), float(seen[place])
        found.append(
            Finding(
                kind="passed_over",
                skill=skills[place],
                project=None,
                title=f"{skills[place]} was listed {listed:.0f} times, probably looked at {looks:.0f} times, and never "
                f"taken; others are taken {percent(attraction)} of the times they are looked at",
                score=scored(1.0 - 1.0 / (1.0 + attraction * looks / 10.0), test),
                counts={"listed": listed, "looked_at": round(looks, 1), "usual_attraction": round(attraction, 4)},
                rates=[share_of("taken when looked at", 0, max(looks, 1.0))],
                test=test,
            )
        )
    lacking = int(((seen > 0) & ~enough).sum())
    return collected("passed_over", found, examined=len(places), lacking=lacking, needs=NEEDS)
