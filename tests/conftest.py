"""What every test may use: the size of property tests, and a clock that stands still."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from migrations import MigrationRunner

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "default", deadline=None, max_examples=50, stateful_step_count=30, suppress_health_check=_QUIET, print_blob=True
)
settings.register_profile("campaign", settings.get_profile("default"), max_examples=1000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class StoppedClock:
    """Tells the same time until it is moved; it may be moved backwards."""

    def __init__(self, moment: datetime = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **stretch: float) -> None:
        """Move by a `timedelta` of these arguments."""
        self.moment += timedelta(**stretch)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied: migrating takes most of a short test's time."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    MigrationRunner(path).run_migrations()
    return path
