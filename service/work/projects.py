"""Events in projects, each recorded in one unit with the signals that it emits."""

from __future__ import annotations

from typing import Final

import msgspec

from service.work.signals import SignalOutcome, emit_skill_signals
from store.contract.projects import NewProgressUpdate, ProgressUpdate, Project, ProjectMember, WorkTransaction
from store.contract.signals import SignalType
from store.protocol import Store

# The strength of each kind of evidence, which only ranking reads: joining shows an intention, completing shows work.
_WEIGHTS: Final[dict[SignalType, float]] = {"joined": 0.5, "update": 1.0, "completed": 2.0}
_CONTEXT_CHARACTERS: Final = 200


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A membership, the signals it emitted, and whether this call created it."""

    member: ProjectMember
    signals: SignalOutcome
    new: bool


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A completed project, and the signals that its completion emitted for its members."""

    project: Project
    signals: SignalOutcome


class RecordedUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A progress update, the signals it emitted, and whether this call recorded it."""

    update: ProgressUpdate
    signals: SignalOutcome
    new: bool


def join_project(store: Store, project_id: str, user_id: str) -> Joined:
    """Add a member, and emit a `joined` signal for each skill that the project declares now.

    Joining again emits signals for skills declared since; recorded ones are skipped. Raises `NotFound`.
    """

    def work(transaction: WorkTransaction) -> Joined:
        member, new = transaction.add_member(project_id, user_id)
        skill_ids = _scope(transaction, project_id)
        signals = _emit(store, transaction, "joined", project_id, user_id, skill_ids)
        return Joined(member=member, signals=signals, new=new)

    return store.transaction(work)


def complete_project(store: Store, project_id: str) -> Completed:
    """Complete a project, and emit a `completed` signal for each member and each skill that it declares now.

    Completing again keeps the time, and emits signals for members and skills added since. Raises `NotFound`.
    """

    def work(transaction: WorkTransaction) -> Completed:
        project, _ = transaction.complete_project(project_id)
        skill_ids = _scope(transaction, project_id)
        outcomes = [
            _emit(store, transaction, "completed", project_id, member.user_id, skill_ids)
            for member in transaction.members(project_id)
        ]
        return Completed(project=project, signals=_together(outcomes))

    return store.transaction(work)


def record_progress_update(store: Store, update: NewProgressUpdate) -> RecordedUpdate:
    """Record an update, and emit an `update` signal for each skill that its project declares now.

    An update whose idempotency key is recorded already is returned unchanged and emits nothing. Raises `NotFound`, and
    `Conflict` when the key belongs to an update with another text.
    """

    def work(transaction: WorkTransaction) -> RecordedUpdate:
        recorded, new = transaction.add_progress_update(update)
        if not new:
            signals = SignalOutcome(inserted=0, skipped=0, reason="already recorded under this idempotency key")
            return RecordedUpdate(update=recorded, signals=signals, new=False)
        skill_ids = _scope(transaction, recorded.project_id)
        said = {"content": " ".join(recorded.content.split())[:_CONTEXT_CHARACTERS]}
        signals = _emit(store, transaction, "update", recorded.id, recorded.user_id, skill_ids, context=said)
        return RecordedUpdate(update=recorded, signals=signals, new=True)

    return store.transaction(work)


def _scope(transaction: WorkTransaction, project_id: str) -> list[int]:
    return [skill.skill_id for skill in transaction.project_skills(project_id)]


def _emit(
    store: Store,
    transaction: WorkTransaction,
    signal_type: SignalType,
    source_id: str,
    user_id: str,
    ids: list[int],
    *,
    context: dict[str, str] | None = None,
) -> SignalOutcome:
    return emit_skill_signals(
        store,
        user_id=user_id,
        source_type="update" if signal_type == "update" else "project",
        source_id=source_id,
        signal_type=signal_type,
        context=context,
        skill_ids=ids,
        weight=_WEIGHTS[signal_type],
        transaction=transaction,
    )


def _together(outcomes: list[SignalOutcome]) -> SignalOutcome:
    if not outcomes:
        return SignalOutcome(inserted=0, skipped=0, reason="the project has no members")
    reasons = dict.fromkeys(outcome.reason for outcome in outcomes if outcome.reason)
    return SignalOutcome(
        inserted=sum(outcome.inserted for outcome in outcomes),
        skipped=sum(outcome.skipped for outcome in outcomes),
        reason="; ".join(reasons) or None,
    )
