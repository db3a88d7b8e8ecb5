"""What crosses the store's border about workflow events: frozen records with no behaviour.

Times are UTC text of fixed width (`store.clock`); durations are seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

StepStatus = Literal["started", "passed", "failed", "skipped"]


class NewWorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow reports; `id` and `occurred_at` None let the store make them.

    `occurred_at` is when the status came to be: the beginning for ``started``, the end for the others.
    """

    session_id: str
    workflow: str
    step: str
    status: StepStatus
    id: str | None = None
    project_id: str | None = None
    invocation_id: str | None = None
    phase: str | None = None
    occurred_at: str | None = None
    duration_seconds: float | None = None
    payload: dict[str, Any] = {}


class WorkflowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow event as the log holds it."""

    seq: int
    id: str
    session_id: str
    project_id: str | None
    invocation_id: str | None
    workflow: str
    phase: str | None
    step: str
    status: StepStatus
    occurred_at: str
    duration_seconds: float | None
    payload: dict[str, Any]
    recorded_at: str
