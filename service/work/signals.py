"""The one writer of skill signals.

Every event that is evidence of skill comes through `emit_skill_signals`; no handler, command or job inserts by itself.
Two things hold this: the store has one statement that inserts into the table, and only this module may import what that
statement takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import msgspec

from store.contract.projects import WorkTransaction
from store.contract.signal_writes import NewSignals, SignalInsertion
from store.contract.signals import SignalType, SourceType
from store.errors import InvalidRecord
from store.protocol import Store


class SignalOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What emitting did: signals that are new, signals that are not, and why the latter; None when all are new."""

    inserted: int
    skipped: int
    reason: str | None


_REQUIRED: Final = ("user_id", "source_type", "source_id", "signal_type")


def emit_skill_signals(  # noqa: PLR0913  the parameters of the contract
    store: Store,
    *,
    user_id: str | None,
    source_type: str | None,
    source_id: str | None,
    signal_type: str | None,
    context: dict[str, Any] | None = None,
    skill_ids: Sequence[int] | None = None,
    weight: float = 1.0,
    transaction: WorkTransaction | None = None,
) -> SignalOutcome:
    """Append one signal for each skill, once, and say what was done.

    Parameters
    ----------
    store : Store
    user_id, source_type, source_id, signal_type : str or None
        Who worked, and the event that shows it: ``project`` (joined, completed) or ``update`` (update) with the id of
        the project or progress update. Without one of them nothing is written.
    context : dict, optional
        Kept with the signals and shown by their activity, so that a reader sees what happened: for an update, how its
        text begins. No chart counts it.
    skill_ids : sequence of int, optional
        The skills of the project's scope. Without any nothing is written; an id that comes twice counts once, one
        that the project has not declared is skipped.
    weight : float
        For internal weighting, above 0 and at most 1000; no response has it.
    transaction : WorkTransaction, optional
        Writes with what that transaction writes; one of its own otherwise.

    Returns
    -------
    SignalOutcome
        ``inserted + skipped`` is the number of distinct skills.

    Raises
    ------
    InvalidRecord
        When `source_type`, `signal_type` or `weight` is not one of those above.
    NotFound
        When the source is not recorded for that user, or there is no skill of an id.
    """
    distinct = list(dict.fromkeys(skill_ids or ()))
    given = dict(zip(_REQUIRED, (user_id, source_type, source_id, signal_type), strict=True))
    missing = [field for field, told in given.items() if told is None or not told.strip()]
    if missing:
        return _nothing(distinct, f"{', '.join(missing)} missing")
    if source_type == "mentorship":
        return _nothing(distinct, "mentorship emits no skill signals")
    if not distinct:
        return _nothing(distinct, "no skills: the project has declared none")
    signals = NewSignals(
        user_id=given["user_id"] or "",
        source_type=_one_of(SourceType, "source_type", source_type),
        source_id=given["source_id"] or "",
        signal_type=_one_of(SignalType, "signal_type", signal_type),
        skill_ids=distinct,
        weight=weight,
        context=context,
    )
    if transaction is not None:
        return _told(transaction.add_signals(signals))
    return _told(store.transaction(lambda opened: opened.add_signals(signals)))


def _nothing(skill_ids: list[int], reason: str) -> SignalOutcome:
    return SignalOutcome(inserted=0, skipped=len(skill_ids), reason=reason)


def _one_of(literal: Any, field: str, told: str | None) -> Any:
    known = get_args(literal)
    if told not in known:
        raise InvalidRecord(f"{field} is one of {', '.join(known)}, not {told!r}", field=field)
    return told


def _told(insertion: SignalInsertion) -> SignalOutcome:
    reasons = []
    if insertion.recorded:
        reasons.append(f"{insertion.recorded} recorded before")
    if insertion.undeclared:
        reasons.append(f"{insertion.undeclared} not declared by the project")
    return SignalOutcome(
        inserted=insertion.inserted,
        skipped=insertion.recorded + insertion.undeclared,
        reason=", ".join(reasons) or None,
    )
