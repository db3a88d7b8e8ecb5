"""Every sentence that a person reads about insights. The numbers come from the other modules."""

from __future__ import annotations

from typing import Final

from service.text import counted, percent

_QUERY_CHARACTERS: Final = 120


def mixed_results(skill: str, well: tuple[str, float, int], badly: tuple[str, float, int]) -> str:
    """Say where a skill does well and where badly; each is a project, its rate and its finished uses."""
    (good, good_rate, good_uses), (bad, bad_rate, bad_uses) = well, badly
    return (
        f"{skill} does well in {good} ({percent(good_rate)} of {counted(good_uses, 'use')}) and badly in {bad} "
        f"({percent(bad_rate)} of {bad_uses:,})"
    )


def worth_trying(project: str, skill: str, others: tuple[str, int], rate: tuple[float, int], expected: float) -> str:
    """Say what a project may try; `others` is the most similar project that uses it, and how many more there are."""
    nearest, more = others
    share, uses = rate
    where = nearest if not more else f"{nearest} and {counted(more, 'more similar project')}"
    return (
        f"{project} could try {skill}: in {where}, {percent(share)} of {counted(uses, 'use')} were completed, compared "
        f"with {percent(expected)} expected of other skills"
    )


def use_trend(skill: str, first: float, last: float, weeks: int) -> str:
    """Say that a skill's share of all use rises or falls over some weeks."""
    direction = "more" if last > first else "less"
    return (
        f"{skill} is used {direction} and {direction}: its share of all uses went from {100 * first:.1f}% to "
        f"{100 * last:.1f}% in {counted(weeks, 'week')}"
    )


def success_trend(skill: str, first: float, last: float, weeks: int) -> str:
    """Say that a skill's success rises or falls over some weeks."""
    direction = "more" if last > first else "less"
    return (
        f"{skill} succeeds {direction} and {direction} often: completed uses went from {percent(first)} to "
        f"{percent(last)} in {counted(weeks, 'week')}"
    )


def unlike_in_success(skill: str, day: str, last: tuple[float, int], before: float) -> str:
    """Say that a skill succeeded on its last day as never before; `last` is the rate and the finished uses."""
    rate, uses = last
    direction = "more" if rate > before else "less"
    return (
        f"{skill} succeeded unusually {'often' if direction == 'more' else 'rarely'} on {day}: {percent(rate)} of "
        f"{counted(uses, 'use')} completed, {percent(before)} in the weeks before"
    )


def unlike_in_use(skill: str, day: str, seen: float, expected: float) -> str:
    """Say that unusually many or few people used a skill on its last day."""
    direction = "much" if seen > expected else "little"
    return (
        f"{skill} was used unusually {direction} on {day}: by {counted(round(seen), 'person', 'people')}, "
        f"{expected:,.0f} expected"
    )


def no_longer_used(skill: str, first: str, last: str, active_days: int, silent_days: int) -> str:
    """Say that a skill was used for a time and then no more."""
    return (
        f"{skill} is no longer used: it was used on {counted(active_days, 'day')} between {first} and {last}, and not "
        f"in the {counted(silent_days, 'day')} since"
    )


def never_used(skill: str, indexed: str) -> str:
    """Say that a skill was never used."""
    return f"{skill} has not been used since it was indexed on {indexed}"


def missing_skill(query: str | None, more: int, askers: int) -> str:
    """Say what is asked for and not there; `query` is None where its text is not kept."""
    told = f"“{_short(query)}”" if query is not None else "a query whose text is not kept"
    similar = f" and {counted(more, 'similar search', 'similar searches')}" if more else ""
    return f"no skill fits {told}{similar}, by {counted(askers, 'person or session', 'people or sessions')}"


def passed_over(skill: str, listed: float, seen: float, attraction: float) -> str:
    """Say that a skill was shown and never chosen; `attraction` is how often skills are chosen when looked at."""
    return (
        f"{skill} was listed {counted(round(listed), 'time')}, probably seen {counted(round(seen), 'time')}, and never "
        f"chosen; on average a skill that is seen is chosen {percent(attraction)} of the time"
    )


def too_few(what: str, needed: int) -> str:
    """Say that there is too little to judge by; `what` is what there is."""
    return f"not enough data: {what}; at least {needed} are needed"


def always_alike(*, passed: bool) -> str:
    """Say that a step never ended in two ways."""
    return f"not enough data: the step always {'passed' if passed else 'failed'}"


def too_few_of_both(with_skill: int, without: int, needed: int) -> str:
    """Say that no project has enough sessions of both kinds."""
    return (
        f"not enough data: projects that have both kinds of sessions have {with_skill} with the skill and {without} "
        f"without it; at least {needed} of each are needed"
    )


def step_effect(with_skill: tuple[int, int], without: tuple[int, int]) -> str:
    """Say how often a step passed with and without a skill; each is the passed and all sessions."""
    return (
        f"passed in {with_skill[0]} of {counted(with_skill[1], 'session')} with the skill and in {without[0]} of "
        f"{without[1]} without it"
    )


def within_projects(projects: int, difference: float, low: float, high: float) -> str:
    """Say how large the difference is when only sessions of one project are compared."""
    where = "the one project that has both" if projects == 1 else f"the {projects} projects that have both"
    return (
        f"within {where}, the difference is {100 * difference:+.0f} percentage points "
        f"(95% interval {100 * low:+.0f} to {100 * high:+.0f})"
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _QUERY_CHARACTERS else flat[:_QUERY_CHARACTERS].rsplit(" ", 1)[0] + " …"
