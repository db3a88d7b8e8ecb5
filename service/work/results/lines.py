"""JSON lines: one workflow event per line, in the form of ``POST /api/workflow_events``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec

from service.work.results.reported import Reported, Told, Unusable
from store.contract.workflows import StepStatus

MOST_LINE_BYTES: Final = 1 << 20


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a line. Missing ones are taken from the command line."""

    step: str
    status: StepStatus
    workflow: str | None = None
    session_id: str | None = None
    id: str | None = None
    project_id: str | None = None
    invocation_id: str | None = None
    phase: str | None = None
    occurred_at: str | None = None
    duration_seconds: float | None = None
    payload: dict[str, Any] = {}


_DECODER: Final = msgspec.json.Decoder(_Line)


def read_lines(stream: BinaryIO, told: Told) -> Iterator[Reported | Unusable]:
    """Yield the event of each line, or why it cannot be used; blank lines are skipped."""
    number = 0
    while line := stream.readline(MOST_LINE_BYTES):
        number += 1
        if len(line) == MOST_LINE_BYTES and not line.endswith(b"\n"):
            _skip_rest(stream)
            yield Unusable(where=f"line {number}", reason=f"longer than {MOST_LINE_BYTES:,} bytes")
        elif line.strip():
            yield _reported(line, f"line {number}", told)


def _skip_rest(stream: BinaryIO) -> None:
    while rest := stream.readline(MOST_LINE_BYTES):
        if rest.endswith(b"\n"):
            return


def _reported(line: bytes, where: str, told: Told) -> Reported | Unusable:
    try:
        said = msgspec.structs.asdict(_DECODER.decode(line.removeprefix(b"\xef\xbb\xbf")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Unusable(where=where, reason=str(error))
    for field in ("session_id", "project_id", "workflow", "phase"):
        said[field] = said[field] if said[field] is not None else getattr(told, field)
    for field, option in (("session_id", "--session"), ("workflow", "--workflow")):
        if said[field] is None:
            return Unusable(where=where, reason=f"{field} is missing; give it in the line or with {option}")
    return Reported(where=where, **said)
