"""The root of the project's one error family, and what a migration can fail with.

The family starts in the bottom room so that every room can extend it. Each error carries its facts as
attributes; nobody parses a message.
"""

from __future__ import annotations


class SkillrankError(Exception):
    """Something skillrank refuses or cannot do, said so that a person knows what to do next."""


class SchemaMismatch(SkillrankError):
    """The database's schema is not one this release can work with.

    Attributes
    ----------
    version : int or None
        The version the problem is about.
    """

    def __init__(self, message: str, *, version: int | None = None) -> None:
        super().__init__(message)
        self.version = version


class MigrationFailed(SkillrankError):
    """A migration's SQL failed; its transaction was rolled back, so the database is as before.

    Attributes
    ----------
    version : int
    direction : {'up', 'down'}
    """

    def __init__(self, message: str, *, version: int, direction: str) -> None:
        super().__init__(message)
        self.version = version
        self.direction = direction
