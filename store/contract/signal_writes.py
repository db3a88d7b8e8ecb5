"""What writing signals takes and gives: a module of its own, so that an import rule can say who may write them.

`service.work.signals` is the only importer above the store (see ``[tool.importlinter]`` in pyproject.toml).
"""

from __future__ import annotations

from typing import Any

import msgspec

from store.contract.signals import SignalType, SourceType


class NewSignals(msgspec.Struct, frozen=True, kw_only=True):
    """One event's signals, one for each skill."""

    user_id: str
    source_type: SourceType
    source_id: str
    signal_type: SignalType
    skill_ids: list[int]
    weight: float
    context: dict[str, Any] | None


class SignalInsertion(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event's signals: added, there already, or outside the project's scope."""

    inserted: int
    recorded: int
    undeclared: int
