"""The only writer of skill signals.

Every event that is evidence of skill goes through `emit_skill_signals`; no handler, command or job inserts signals
itself. This is enforced in two ways: the store has a single statement that inserts into the table, and only this module
may import what that statement takes.
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
    """How many signals were recorded and how many were skipped, with the reason; None when none was skipped."""

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
    """Append one signal for each skill, at most once, and return what was done.

    Parameters
    ----------
    store : Store
    user_id, source_type, source_id, signal_type : str or None
        The user and the event: ``project`` (joined, completed) or ``update`` (update), with the id of the project or
        progress update. If one of them is missing, nothing is written.
    context : dict, optional
        Kept with the signals and shown by their activity, so that a reader sees what happened: for an update, how its
        text begins. No chart counts it.
    skill_ids : sequence of int, optional
        The skills that the project declares. Without any, nothing is written. Duplicates count once, and skills that
        the project has not declared are skipped.
    weight : float
        For internal weighting, above 0 and at most 1000. It is not part of any response.
    transaction : WorkTransaction, optional
        The transaction to write in. By default, the signals are written in their own.

    Returns
    -------
    SignalOutcome
        ``inserted + skipped`` is the number of distinct skills.

    Raises
    ------
    InvalidRecord
        When `source_type`, `signal_type` or `weight` is not one of those above.
    NotFound
        When the source is not recorded for that user, or a skill id is unknown.
    """
    distinct = list(dict.fromkeys(skill_ids or ()))
    given = dict(zip(_REQUIRED, (user_id, source_type, source_id, signal_type), strict=True))
    missing = [field for field, value in given.items() if value is None or not value.strip()]
    if missing:
        return _nothing(distinct, f"{', '.join(missing)} missing")
    if source_type == "mentorship":
        return _nothing(distinct, "mentorship emits no skill signals")
    if not distinct:
        return _nothing(distinct, "the project has declared no skills")
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
        return _outcome(transaction.add_signals(signals))
    return _outcome(store.transaction(lambda opened: opened.add_signals(signals)))


def _nothing(skill_ids: list[int], reason: str) -> SignalOutcome:
    return SignalOutcome(inserted=0, skipped=len(skill_ids), reason=reason)


def _one_of(literal: Any, field: str, value: str | None) -> Any:
    known = get_args(literal)
    if value not in known:
        raise InvalidRecord(f"{field} must be one of {', '.join(known)}, not {value!r}", field=field)
    return value


def _outcome(insertion: SignalInsertion) -> SignalOutcome:
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
