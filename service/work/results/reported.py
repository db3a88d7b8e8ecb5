"""What a results file says of one step, whatever the file's form."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final

import msgspec

from migrations.errors import SkillrankError
from store.contract.workflows import NewWorkflowEvent

_MOST_STEP_CHARACTERS: Final = 500
_ID_CHARACTERS: Final = 40


class UnreadableResults(SkillrankError):
    """A results file that cannot be read; what stood before the place that is named has been taken."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of every event of a file that does not say it itself."""

    session_id: str | None = None
    project_id: str | None = None
    workflow: str | None = None
    phase: str | None = None


class Unusable(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file that is no event, with the reason."""

    where: str
    reason: str


class Reported(NewWorkflowEvent, frozen=True, kw_only=True):
    """One event as a file tells it; `where` is its place in the file."""

    where: str


class EventIds:
    """Gives events without an id one from their content; equal events of one file are numbered."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def event(self, told: Reported) -> NewWorkflowEvent:
        """Return the event to record."""
        fields = {field: getattr(told, field) for field in NewWorkflowEvent.__struct_fields__}
        if told.id is None:
            content = hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).digest()
            self._seen[content] += 1
            numbered = hashlib.sha256(content + str(self._seen[content]).encode())
            fields["id"] = f"result-{numbered.hexdigest()[:_ID_CHARACTERS]}"
        return NewWorkflowEvent(**fields)


def step_name(text: str) -> str:
    """Return `text`, or if it is too long its beginning with a hash that keeps it apart from others."""
    if len(text) <= _MOST_STEP_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{text[: _MOST_STEP_CHARACTERS - 13]}…{digest}"
