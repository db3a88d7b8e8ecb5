"""What a results file reports about one step, whatever its format."""

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
    """A results file that cannot be read further; events before the named place have been recorded."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Values from the command line for events that do not have them."""

    session_id: str | None = None
    project_id: str | None = None
    workflow: str | None = None
    phase: str | None = None


class Unusable(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file that is not a valid event, with the reason."""

    where: str
    reason: str


class Reported(NewWorkflowEvent, frozen=True, kw_only=True):
    """One event of a file; `where` is its place in the file."""

    where: str


class EventIds:
    """Derives ids for events without one from their content; equal events of a file are numbered."""

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
    """Return `text`; if it is too long, its beginning with a hash that keeps it distinct."""
    if len(text) <= _MOST_STEP_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{text[: _MOST_STEP_CHARACTERS - 13]}…{digest}"
