"""skillrank for programs: every public name in one place.

>>> import skillrank
>>> with skillrank.open_search() as searching:
...     answer = searching.answer(skillrank.SearchRequest(query="my tests fail at random"))
>>> with skillrank.get_store().track_invocation("find-flaky-test-cause", search_id=answer.search_id):
...     pass  # the work; an exception in here is recorded as a failure

Importing this module loads nothing else; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from migrations import MigrationRunner, SkillrankError
    from service.search.answers import SearchAnswer, SearchRequest
    from service.search.engine import SkillSearch
    from service.search.in_process import open_search, search
    from store.errors import Conflict, InvalidRecord, NotFound, StoreUnavailable
    from store.legacy.dual import DualReadMetricsTracker, DualWriteMetricsTracker
    from store.legacy.json_tracker import LegacyJsonTracker
    from store.legacy.migrator import DataMigrator
    from store.metrics_db import (
        SkillInvocationResult,
        SkillMetricsData,
        SkillMetricsStore,
        check_database_health,
        get_store,
        track_skill,
    )
    from store.protocol import Store
    from store.sqlite import open_store

    __version__: str

__all__ = [
    "Conflict",
    "DataMigrator",
    "DualReadMetricsTracker",
    "DualWriteMetricsTracker",
    "InvalidRecord",
    "LegacyJsonTracker",
    "MigrationRunner",
    "NotFound",
    "SearchAnswer",
    "SearchRequest",
    "SkillInvocationResult",
    "SkillMetricsData",
    "SkillMetricsStore",
    "SkillSearch",
    "SkillrankError",
    "Store",
    "StoreUnavailable",
    "__version__",
    "check_database_health",
    "get_store",
    "open_search",
    "open_store",
    "search",
    "track_skill",
]

_NAMES: Final = {
    "migrations": "MigrationRunner SkillrankError",
    "service.search.answers": "SearchAnswer SearchRequest",
    "service.search.engine": "SkillSearch",
    "service.search.in_process": "open_search search",
    "store.errors": "Conflict InvalidRecord NotFound StoreUnavailable",
    "store.legacy.dual": "DualReadMetricsTracker DualWriteMetricsTracker",
    "store.legacy.json_tracker": "LegacyJsonTracker",
    "store.legacy.migrator": "DataMigrator",
    "store.metrics_db": (
        "SkillInvocationResult SkillMetricsData SkillMetricsStore check_database_health get_store track_skill"
    ),
    "store.protocol": "Store",
    "store.sqlite": "open_store",
}
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("service").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'skillrank' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
