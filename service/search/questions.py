"""What may be asked, and how a question is cut for the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from migrations.errors import SkillrankError

MAX_CHARACTERS: Final = 20_000
WINDOW_WORDS: Final = 150
MAX_WINDOWS: Final = 40
# A question a little longer than a window loses nothing by being read whole.
_WHOLE_WORDS: Final = 200

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff]")


class InvalidQuestion(SkillrankError):
    """A question that cannot be asked; the message says what to change."""


def checked_question(text: str) -> str:
    """Return `text` without the blanks around it.

    Raises
    ------
    InvalidQuestion
        When it is empty, longer than `MAX_CHARACTERS`, holds control characters, or has no letter or digit.
    """
    question = text.strip()
    if not question:
        raise InvalidQuestion("the question is empty; describe in a few words what you want to do")
    if len(question) > MAX_CHARACTERS:
        raise InvalidQuestion(
            f"the question has {len(question):,} characters; the limit is {MAX_CHARACTERS:,}: keep the part that says "
            "what you want to do"
        )
    found = _CONTROL.search(question)
    if found is not None:
        raise InvalidQuestion(
            f"the question holds the control character U+{ord(found[0]):04X} at position {found.start()}; send plain "
            "text"
        )
    if not any(character.isalnum() for character in question):
        raise InvalidQuestion("the question has no word in it; describe in a few words what you want to do")
    return question


def respelled(question: str, corrections: Mapping[str, str]) -> str:
    """Return the question with each of the words replaced by what it is taken for."""
    if not corrections:
        return question
    words = "|".join(re.escape(word) for word in corrections)
    return re.sub(rf"\b(?:{words})\b", lambda found: corrections[found[0]], question)


def windows(question: str) -> list[str]:
    """Cut a long question into consecutive windows of words; a short one is its only window.

    A model reads a few hundred tokens and leaves the rest; a skill is as near as its nearest window. Shorter windows
    were worse with the shipped model, which learnt from whole questions.
    """
    words = question.split()
    if len(words) <= _WHOLE_WORDS:
        return [question]
    cut = [" ".join(words[start : start + WINDOW_WORDS]) for start in range(0, len(words), WINDOW_WORDS)]
    return cut[:MAX_WINDOWS]
