"""The store's contract on workflow events and what sessions add up to. See `store.protocol` for what holds of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

from store.records import SessionEnd
from store.workflow_records import (
    EventsReport,
    Forgotten,
    NewWorkflowEvent,
    PhaseTotal,
    SessionStory,
    StepTotals,
    TransitionTotal,
    WorkflowEvent,
    WorkflowFilter,
)

ReportMaker = Callable[[SessionStory], dict[str, Any]]


class WorkflowLog(Protocol):
    """What workflows report about themselves: an append-only log."""

    def record_event(self, event: NewWorkflowEvent) -> tuple[WorkflowEvent, bool]:
        """Record one event; return it and whether it is new. An unknown session id begins that session.

        The same id with the same content returns what is recorded; other content raises `Conflict`. Events may come
        in any order, also before the use that they name and after their session has ended.
        """

    def record_events(self, events: Sequence[NewWorkflowEvent]) -> EventsReport:
        """Record many events as one unit; those that contradict a rule or the log are refused one by one."""

    def workflow_event(self, event_id: str) -> WorkflowEvent:
        """Return one event. Raises `NotFound`."""


class SessionReports(Protocol):
    """How sessions end, and the report that is kept of each ended one.

    What is recorded of a session after its end makes its report void. It is made anew by the next who asks.
    """

    def end_session(self, session_id: str, make: ReportMaker | None = None) -> SessionEnd:
        """End a session: its open uses become abandoned and the percentiles of its skills are recomputed.

        With `make`, what it makes of the session's story is kept as its report. One unit; ending it again changes
        nothing, unless it went on meanwhile: then what is open ends now, and so does the session. Raises `NotFound`.
        """

    def session_story(self, session_id: str) -> SessionStory:
        """Return everything that is recorded of a session. Raises `NotFound`."""

    def session_report(self, session_id: str, make: ReportMaker) -> dict[str, Any]:
        """Return a session's report: the one that is kept, else what `make` makes of its story.

        That is kept when the session has ended. `make` may run more than once and does not call the store. Raises
        `NotFound`.
        """

    def idle_sessions(self, idle_for: timedelta) -> list[str]:
        """Return open sessions of which nothing was recorded for longer than `idle_for`, the earliest first."""


class WorkflowTotals(Protocol):
    """What sessions add up to. A filter on a time that is none raises `InvalidRecord`."""

    def step_totals(self, wanted: WorkflowFilter, *, steps: int) -> StepTotals:
        """Return how steps ended, by project, with and without regard to each skill, for at most `steps` steps.

        All steps of a workflow together count as one more step of it, where it has several.

        Those that both passed and failed most often come first: about others there is nothing to learn. A step of a
        session counts once, as it was judged last; of judgements at one moment the failure holds.
        """

    def phase_totals(self, wanted: WorkflowFilter) -> list[PhaseTotal]:
        """Return how uses and steps ended in each phase, by phase; those without a phase are left out."""

    def transitions(self, wanted: WorkflowFilter, *, between: Literal["phases", "skills"]) -> list[TransitionTotal]:
        """Return what followed what inside sessions, most often first; repetitions are one stay."""


class Retention(Protocol):
    """Forgets questions. The lists that were served, uses, metrics and learnt evidence stay."""

    def forget_words(self) -> Forgotten:
        """Keep no question's words any longer, only hashes and vectors."""

    def forget_questions(self, older_than: timedelta) -> Forgotten:
        """Forget words, hashes and vectors of all questions that were asked longer ago than `older_than`."""
