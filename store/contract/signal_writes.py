"""The records for writing signals, in a module of their own so that an import rule restricts who may write them.

`service.work.signals` is the only importer above the store (see ``[tool.importlinter]`` in pyproject.toml).
"""

from __future__ import annotations

from typing import Any

import msgspec

from store.contract.signals import SignalType, SourceType


class NewSignals(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of one event, one for each skill."""

    user_id: str
    source_type: SourceType
    source_id: str
    signal_type: SignalType
    skill_ids: list[int]
    weight: float
    context: dict[str, Any] | None


class SignalInsertion(msgspec.Struct, frozen=True, kw_only=True):
    """How many of an event's signals were added, were recorded already, or are outside the project's scope."""

    inserted: int
    recorded: int
    undeclared: int
