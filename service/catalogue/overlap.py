"""Pairs of skills that compete for the same queries: which one is chosen, and which words they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

import msgspec

from service.text import counted, joined
from store.contract.catalogue import SkillRecord
from store.contract.retrieval import Term
from store.contract.searches import Contest
from store.near_duplicates import near_identical
from store.protocol import Store

# Of judged pairs of skills one of which answers a query, both do in 34% of those with a cosine of 0.60 to 0.65 and in
# 67% at 0.70 to 0.75, but in 11% at 0.45 to 0.50 (155 queries, 2,332 pairs, the default model).
LEAST_SIMILARITY: Final = 0.60
# Copies are the most similar pairs, so many more pairs are read than are asked for.
_DEEPER: Final = 5
_AT_LEAST: Final = 300
_SHOWN_TERMS: Final = 5
_SHOWN_PHRASES: Final = 3
_PHRASE_WORDS: Final = 2
_MOST_PHRASE_WORDS: Final = 8
# A word in more than this share of all documents is no reason for two skills to compete.
_COMMON_SHARE: Final = 0.05
# With fewer choices between the two nothing is said about traffic.
_CHOICES_TO_TELL: Final = 5
_TAKES_MOST: Final = 0.75


class SharedTerm(msgspec.Struct, frozen=True, kw_only=True):
    """A word that both descriptions use; `weight` is its inverse document frequency, ln(documents / holders)."""

    word: str
    weight: float


class OverlappingSkills(msgspec.Struct, frozen=True, kw_only=True):
    """Two skills that compete.

    `similarity` is the cosine of their vectors; `resemblance` the share of five-word runs that both texts contain, None
    where it was not compared. `contest` counts recent searches that had both among the first five. `only_first` and
    `only_second` are the rarest words that only one of the descriptions uses.
    """

    first: str
    second: str
    similarity: float | None
    resemblance: float | None
    near_identical: bool
    contest: Contest
    shared_terms: list[SharedTerm]
    shared_phrases: list[str]
    only_first: list[str]
    only_second: list[str]
    advice: str


def overlapping_skills(
    store: Store, *, limit: int, skill_name: str | None = None, copies: bool = False
) -> list[OverlappingSkills]:
    """Return the pairs that compete most: first those chosen between in recorded searches, then the most similar.

    Parameters
    ----------
    store : Store
    limit : int
    skill_name : str, optional
        Only pairs of this skill.
    copies : bool
        Whether near-identical pairs are included, which a search already shows as one.

    Raises
    ------
    NotFound
        When there is no such skill.
    """
    deep = _DEEPER * limit + _AT_LEAST
    near = {
        (first, second): cosine
        for first, second, cosine in store.closest_pairs(least=LEAST_SIMILARITY, limit=deep, skill_name=skill_name)
    }
    met = store.served_together(limit=deep, skill_name=skill_name)
    pairs = list(dict.fromkeys([*met, *near]))
    skills = store.skills_named(sorted({name for pair in pairs for name in pair}))
    pairs = [pair for pair in pairs if pair[0] in skills and pair[1] in skills]
    contests = dict(zip(pairs, store.contests(pairs), strict=True))
    # Being in the same answer says little unless somebody chose between the two.
    pairs = [pair for pair in pairs if pair in near or _choices(contests[pair])]
    pairs.sort(key=lambda pair: (-_choices(contests[pair]), -near.get(pair, 0.0), pair))
    served, _ = store.counts()
    told = (
        _overlap(store, skills[first], skills[second], near.get((first, second)), contests[first, second], served)
        for first, second in pairs
    )
    return list(islice((pair for pair in told if copies or not pair.near_identical), limit))


def _overlap(
    store: Store, first: SkillRecord, second: SkillRecord, similarity: float | None, contest: Contest, served: int
) -> OverlappingSkills:
    one, other = (store.vocabulary(f"{skill.skill_name} {skill.description or ''}") for skill in (first, second))
    telling = [term for term in one if term.documents <= max(_COMMON_SHARE * served, 2)]
    others_telling = [term for term in other if term.documents <= max(_COMMON_SHARE * served, 2)]
    held, others_held = {term.stem for term in one}, {term.stem for term in other}
    shared = [SharedTerm(word=t.word, weight=_weight(t, served)) for t in _distinct(telling) if t.stem in others_held]
    resemblance = store.resemblance(first.skill_name, second.skill_name)
    same = resemblance is not None and similarity is not None and near_identical(resemblance, similarity)
    phrases = _phrases(first.description or "", second.description or "", {t.word for t in [*telling, *others_telling]})
    found = OverlappingSkills(
        first=first.skill_name,
        second=second.skill_name,
        similarity=similarity,
        resemblance=resemblance,
        near_identical=same,
        contest=contest,
        shared_terms=shared[:_SHOWN_TERMS],
        shared_phrases=phrases,
        only_first=[t.word for t in _distinct(telling) if t.stem not in others_held][:_SHOWN_TERMS],
        only_second=[t.word for t in _distinct(others_telling) if t.stem not in held][:_SHOWN_TERMS],
        advice="",
    )
    return msgspec.structs.replace(found, advice=" ".join([*_traffic(found), _remedy(found)]))


def _distinct(terms: Sequence[Term]) -> list[Term]:
    """Return one term for each stem, the rarest first."""
    return sorted({term.stem: term for term in reversed(terms)}.values(), key=lambda term: (term.documents, term.stem))


def _weight(term: Term, served: int) -> float:
    return round(math.log(max(served, 1) / max(term.documents, 1)), 3)


def _phrases(one: str, other: str, telling: set[str]) -> list[str]:
    """Return the longest runs of words that both texts contain, if a telling word is among them."""
    first, second = ([word.strip(".,:;!?()\"'“”").lower() for word in text.split()] for text in (one, other))
    blocks = SequenceMatcher(a=first, b=second, autojunk=False).get_matching_blocks()
    runs = [first[block.a : block.a + block.size] for block in blocks if block.size >= _PHRASE_WORDS]
    kept = [run for run in runs if telling & set(run)]
    longest = sorted(kept, key=len, reverse=True)[:_SHOWN_PHRASES]
    return [" ".join(run[:_MOST_PHRASE_WORDS]) + " …" * (len(run) > _MOST_PHRASE_WORDS) for run in longest]


def _choices(contest: Contest) -> int:
    return contest.first_taken + contest.second_taken


def _traffic(found: OverlappingSkills) -> list[str]:
    contest = found.contest
    total = _choices(contest)
    if total < _CHOICES_TO_TELL:
        return []
    first_leads = contest.first_taken >= contest.second_taken
    winner, loser = (found.first, found.second) if first_leads else (found.second, found.first)
    taken, done = (
        (contest.first_taken, contest.first_completed)
        if first_leads
        else (contest.second_taken, contest.second_completed)
    )
    others_done = contest.second_completed if first_leads else contest.first_completed
    shown = f"Shown together in {counted(contest.searches, 'search', 'searches')}"
    lines = [f"{shown}: {winner} was taken {taken} times of {total}."]
    if taken >= _TAKES_MOST * total:
        lines.append(f"It takes the traffic of {loser}.")
    if total > taken:
        lines.append(f"{winner} completed {done} of {counted(taken, 'use')}, {loser} {others_done} of {total - taken}.")
    return lines


def _remedy(found: OverlappingSkills) -> str:
    if found.near_identical:
        return "Their texts are nearly identical: keep one of them, or index only one of the two collections."
    said = [f"“{phrase}”" for phrase in found.shared_phrases] or [f"“{term.word}”" for term in found.shared_terms]
    cause = f"Both descriptions use {joined(said)}" if said else "Their descriptions say nearly the same in other words"
    advice = f"{cause}; narrow one of them, and say in it when to use the other."
    own = [
        f"Only {name} mentions {joined(words[:3])}."
        for name, words in ((found.first, found.only_first), (found.second, found.only_second))
        if words
    ]
    return " ".join([advice, *own])
