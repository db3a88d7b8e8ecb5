"""What every test may use: the size of property tests, a clock that stands still, and what is made once for a run."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from migrations import MigrationRunner

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "default", deadline=None, max_examples=25, stateful_step_count=30, suppress_health_check=_QUIET, print_blob=True
)
settings.register_profile("campaign", settings.get_profile("default"), max_examples=1000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Take what is imported by now out of garbage collection: with torch among it, each full collection is slow."""
    gc.collect()
    gc.freeze()


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
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder once for the whole run, in whichever worker needs it first. Tests read it, or copy it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, draft = shared / name, shared / f"{name}.draft"
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                draft.mkdir()
                fill(draft)
                draft.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def migrated_file(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """An empty database of the newest schema, to be copied: migrating takes most of a short test's time."""
    folder = once("migrated", lambda draft: MigrationRunner(draft / "empty.db").run_migrations())
    return folder / "empty.db"


@pytest.fixture(scope="session")
def skills_models(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A models folder that holds the default model with its adapter for skills."""
    from embeddings.export import export_model  # noqa: PLC0415  most runs of single tests need no model
    from embeddings.sources import resolve_source  # noqa: PLC0415
    from service.settings import DEFAULT_MODEL  # noqa: PLC0415

    return once("skills-models", lambda draft: export_model(resolve_source(DEFAULT_MODEL), draft))


@pytest.fixture(scope="session")
def default_models(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A models folder that holds the default model as a fresh installation exports it."""
    from embeddings.export import export_model  # noqa: PLC0415  most runs of single tests need no model
    from embeddings.sources import DEFAULT_MODEL, resolve_source  # noqa: PLC0415

    return once("default-models", lambda draft: export_model(resolve_source(DEFAULT_MODEL), draft))


@pytest.fixture
def exports_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export models in this process, which has loaded torch; a process of their own takes seconds to load it again."""
    from embeddings.export import export_model  # noqa: PLC0415  loads torch

    monkeypatch.setattr("embeddings.loading._export_in_child", export_model)
