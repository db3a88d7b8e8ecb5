"""Schema versions as files, and the runner that brings a database to one of them.

The lowest layer: it knows no table, only how to apply ``V<n>__<description>.sql`` and how to roll it back.
"""

from migrations.errors import MigrationFailed, SchemaMismatch, SkillrankError
from migrations.files import Migration
from migrations.runner import MigrationRunner, MigrationStatus

__all__ = [
    "Migration",
    "MigrationFailed",
    "MigrationRunner",
    "MigrationStatus",
    "SchemaMismatch",
    "SkillrankError",
]
