"""The root of the project's errors, and the errors of migrations.

The root is in the lowest layer so that every layer can extend it. Each error has its facts as attributes, so that
nobody parses messages.
"""

from __future__ import annotations


class SkillrankError(Exception):
    """Something skillrank refuses or cannot do; the message says what to do next."""


class SchemaMismatch(SkillrankError):
    """The database's schema is not one that this release can work with.

    Attributes
    ----------
    version : int or None
        The version that the problem concerns.
    """

    def __init__(self, message: str, *, version: int | None = None) -> None:
        super().__init__(message)
        self.version = version


class MigrationFailed(SkillrankError):
    """A migration's SQL failed; it was rolled back, so the database is unchanged.

    Attributes
    ----------
    version : int
    direction : {'up', 'down'}
    """

    def __init__(self, message: str, *, version: int, direction: str) -> None:
        super().__init__(message)
        self.version = version
        self.direction = direction
