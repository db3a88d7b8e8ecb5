"""What the store refuses or cannot do, said with attributes that callers act on."""

from __future__ import annotations

from typing import Any

from migrations.errors import SkillrankError


class NotFound(SkillrankError):
    """Something that was asked for by its id or name is not in the store.

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
    """What was asked contradicts what is recorded; nothing was changed.

    Attributes
    ----------
    recorded : dict
        What the store holds instead.
    """

    def __init__(self, message: str, *, recorded: dict[str, Any]) -> None:
        super().__init__(message)
        self.recorded = recorded


class InvalidRecord(SkillrankError):
    """A value that was to be stored breaks a rule of the schema; nothing was changed.

    Attributes
    ----------
    field : str or None
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class StoreUnavailable(SkillrankError):
    """The store cannot do this now; nothing was changed and trying again later may work.

    Attributes
    ----------
    cause : {'locked', 'full', 'read_only', 'replaced', 'closed', 'corrupt', 'io', 'deadline'}
    retry_after_s : float or None
        When trying again makes sense, None when it does not without somebody's help.
    """

    def __init__(self, message: str, *, cause: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after_s = retry_after_s


class SourceUnreadable(SkillrankError):
    """Another database cannot be counted; it is left out, and nothing was changed.

    Attributes
    ----------
    cause : {'missing', 'unreadable', 'locked', 'corrupt', 'foreign', 'schema', 'duplicate'}
    """

    def __init__(self, message: str, *, cause: str) -> None:
        super().__init__(message)
        self.cause = cause
