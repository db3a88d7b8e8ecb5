"""The sources of judged queries: a file, recorded choices, or the documents themselves."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from service.evaluation.judgements import SERVES, InvalidJudgements, JudgedQuery, length_of, read_judgements
from service.search.queries import InvalidQuery, checked_query
from service.text import counted, percent
from store.contract.catalogue import Chunk, SkillRecord
from store.protocol import Store

MOST_CHOICES: Final = 20_000
_USE_WHEN: Final = re.compile(r"[^.!?\n]*\buse (?:this |it )?(?:skill )?(?:when|if|for|to)\b[^.!?\n]*", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_CODE: Final = re.compile(r"^(```|~~~).*?(^\1|\Z)", re.MULTILINE | re.DOTALL)
_FEWEST_WORDS: Final = 5
_FEWEST_PROSE_WORDS: Final = 8
_PLAIN_SHARE: Final = 0.85
_MOST_WORDS: Final = 40
_COPIES_AMONG: Final = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged queries, with notes on how to read the figures made from them."""

    queries: list[JudgedQuery]
    notes: list[str] = field(default_factory=list)


def read_judged(path: Path, store: Store) -> Judged:
    """Read a file of judged queries, without the skills that are not in the catalogue.

    Raises
    ------
    InvalidJudgements
        When the file cannot be read, a line is not a judged query, or no query is left.
    """
    found, unknown, lost = [], [], 0
    for given in read_judgements(path):
        known = store.skills_named(list(given.expected))
        unknown += [name for name in given.expected if name not in known]
        asked = replace(given, expected={name: grade for name, grade in given.expected.items() if name in known})
        if asked.serving:
            found.append(asked)
        else:
            lost += 1
    notes = []
    if unknown:
        named = ", ".join(dict.fromkeys(unknown))
        missing = counted(len(set(unknown)), "expected skill is", "expected skills are")
        notes.append(f"{missing} not in the catalogue and left out: {named}")
    if lost:
        left_out = counted(lost, "query was", "queries were")
        notes.append(f"{left_out} left out: no skill with grade 2 or more is in the catalogue")
    if not found:
        raise InvalidJudgements(f"{path} has no query whose expected skill is indexed; " + "; ".join(notes))
    return Judged(found, notes)


def recorded_queries(store: Store) -> Judged:
    """Make judged queries from recorded searches: a skill that was chosen from the list and completed serves the query.

    Raises
    ------
    InvalidJudgements
        When no skill that was chosen from a list has been completed.
    """
    expected: dict[str, dict[str, int]] = defaultdict(dict)
    positions: Counter[bool] = Counter()
    untold = 0
    for choice in store.recorded_choices(limit=MOST_CHOICES):
        if choice.outcome != "completed" or not choice.served:
            continue
        query = store.search(choice.search_id).query
        if query is None:
            untold += 1
            continue
        expected[query][choice.skill_name] = SERVES
        positions[choice.skill_name == choice.served[0].skill_name] += 1
    present = store.skills_named(sorted({name for grades in expected.values() for name in grades}))
    found = [
        JudgedQuery(query, served, length_of(query))
        for query, grades in sorted(expected.items())
        if (served := {name: grade for name, grade in grades.items() if name in present})
    ]
    if not found:
        raise InvalidJudgements(
            "no skill that was chosen from a search has been completed yet, so there is nothing to judge by; record "
            "uses with the search_id of the answer they came from, or pass --queries FILE"
        )
    bias = (
        f"made from {counted(positions.total(), 'completed choice')}, "
        f"{percent(positions[True] / positions.total())} of the first skill in the list. People choose from what they "
        "are shown: a better skill that was shown low or not at all could not be chosen. So these figures flatter the "
        "ranking that served the lists, and only large differences are meaningful"
    )
    notes = [bias]
    if untold:
        notes.append(f"{counted(untold, 'choice was', 'choices were')} left out: the text of the query was not kept")
    return Judged(found, notes)


def self_check_queries(store: Store, *, count: int, seed: int = 0) -> Judged:
    """Make queries from the documents themselves: each document should be found by a part of its text.

    There are two kinds: the part of the description that says when to use the skill, and a sentence of the body after
    its beginning. Near-identical skills count as the expected one.

    Parameters
    ----------
    count : int
        The most skills to draw.

    Raises
    ------
    InvalidJudgements
        When nothing is indexed.
    """
    rng = random.Random(seed)  # noqa: S311  a sample, not a secret
    skills = _all_skills(store)
    drawn = rng.sample(skills, min(count, len(skills)))
    chunks = store.chunks([skill.skill_name for skill in drawn])
    found = []
    for skill in drawn:
        expected = dict.fromkeys([skill.skill_name, *_copies(store, skill)], SERVES)
        for kind, text in (
            ("use when", _use_when(skill)),
            ("section", _passage(chunks.get(skill.skill_name, []), rng)),
        ):
            if text is not None:
                found.append(JudgedQuery(text, expected, kind))
    if not found:
        raise InvalidJudgements(
            f"no query can be made from {counted(len(skills), 'indexed document')}: there is no “use when …” and no "
            "prose after the beginning; index more with `skillrank index ROOT…`, or pass --queries FILE"
        )
    limits = (
        f"made from the texts of {len(drawn):,} of {counted(len(skills), 'document')}. A self-check finds skills that "
        "cannot be found by their own words, and the skills that hide them. It does not measure how well people's "
        "queries are answered, so compare its figures only with those of another self-check"
    )
    return Judged(found, [limits])


def _all_skills(store: Store) -> list[SkillRecord]:
    found: list[SkillRecord] = []
    while page := store.skills(after=found[-1].skill_name if found else "", limit=500):
        found += page
    return found


def _copies(store: Store, skill: SkillRecord) -> list[str]:
    near = store.similar(skill.skill_name, limit=_COPIES_AMONG)
    groups = store.near_duplicates([skill.id, *(each.skill_id for each in near)])
    same = next((set(group) for group in groups if skill.id in group), set())
    return [each.skill_name for each in near if each.skill_id in same]


def _use_when(skill: SkillRecord) -> str | None:
    said = _USE_WHEN.search(" ".join((skill.description or "").split()))
    return _askable(said[0]) if said else None


def _passage(chunks: Sequence[Chunk], rng: random.Random) -> str | None:
    """Return a sentence from any chunk but the first, which the document's vector is made from."""
    below = [_CODE.sub("\n\n", chunk.text) for chunk in chunks if chunk.kind == "body"][1:]
    prose = [part for text in below for part in _SENTENCE.split(text) if _is_prose(part)]
    sentences = [text for part in prose if (text := _askable(part))]
    return rng.choice(sentences) if sentences else None


def _is_prose(text: str) -> bool:
    words = text.split()
    plain = sum(word.strip(".,:;!?()'\"").isalpha() for word in words)
    return len(words) >= _FEWEST_PROSE_WORDS and plain >= _PLAIN_SHARE * len(words)


def _askable(text: str) -> str | None:
    words = re.sub(r"[`*_#>|\[\]{}()]+", " ", text).split()
    if len(words) < _FEWEST_WORDS or not any(word.isalpha() for word in words):
        return None
    try:
        return checked_query(" ".join(words[:_MOST_WORDS]))
    except InvalidQuery:
        return None
