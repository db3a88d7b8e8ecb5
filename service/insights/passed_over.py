"""Skills that are often shown and never chosen."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.insights import sentences
from service.insights.findings import Finding, Findings, Floats, believed, collected, scored, share_of, tested
from service.ranking.examination import fit_position_model

MIN_SEEN: Final = 20
NEEDS: Final = f"at least {MIN_SEEN} times that people probably saw it"


def passed_over(skills: list[str], shown: Floats, taken: Floats) -> Findings:
    """Find skills that nobody chooses although people probably saw them.

    The probability that a position is seen is fitted to all lists. If a skill were as attractive as the average, n
    people who see it would all pass it over with probability (1 - a)^n.

    Parameters
    ----------
    skills : list of str
    shown, taken : float64 (skills, positions)
        How often each was listed at each position, and chosen from there.
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
                title=sentences.passed_over(skills[place], listed, looks, attraction),
                score=scored(1.0 - 1.0 / (1.0 + attraction * looks / 10.0), test),
                counts={"listed": listed, "looked_at": round(looks, 1), "usual_attraction": round(attraction, 4)},
                rates=[share_of("chosen when seen", 0, max(looks, 1.0))],
                test=test,
            )
        )
    lacking = int(((seen > 0) & ~enough).sum())
    return collected("passed_over", found, examined=len(places), lacking=lacking, needs=NEEDS)
