"""The errors of the store, with attributes that callers can act on."""

from __future__ import annotations

from typing import Any

from migrations.errors import SkillrankError


class NotFound(SkillrankError):
    """There is nothing of this id or name in the store.

    Attributes
    ----------
    kind : str
        What was looked for: 'skill', 'session', 'invocation', 'search', 'index run', …
    key : str
    """

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"there is no {kind} {key!r}")
        self.kind = kind
        self.key = key


class Conflict(SkillrankError):
    """The request contradicts what is recorded; nothing was changed.

    Attributes
    ----------
    recorded : dict
        What the store holds instead.
    """

    def __init__(self, message: str, *, recorded: dict[str, Any]) -> None:
        super().__init__(message)
        self.recorded = recorded


class InvalidRecord(SkillrankError):
    """A value breaks a rule of the store; nothing was changed.

    Attributes
    ----------
    field : str or None
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class StoreUnavailable(SkillrankError):
    """The store cannot do this now; nothing was changed, and trying again later may work.

    Attributes
    ----------
    cause : {'locked', 'full', 'read_only', 'replaced', 'closed', 'corrupt', 'io', 'deadline'}
    retry_after_s : float or None
        When to try again; None when that is of no use before somebody has removed the cause.
    """

    def __init__(self, message: str, *, cause: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after_s = retry_after_s


class SourceUnreadable(SkillrankError):
    """Another database cannot be counted; it was skipped, and nothing was changed.

    Attributes
    ----------
    cause : {'missing', 'unreadable', 'locked', 'corrupt', 'foreign', 'schema', 'duplicate'}
    """

    def __init__(self, message: str, *, cause: str) -> None:
        super().__init__(message)
        self.cause = cause
