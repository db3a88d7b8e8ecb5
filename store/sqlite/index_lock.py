"""Whose turn it is to index: a lock file beside the database, held for a whole index run.

A run reads which names and roots there are, and writes what follows from them much later. SQLite's own lock is held
for single transactions only, so two runs at once would each write what the other has made untrue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from store.sqlite.occupancy import try_alone

_POLL_S: Final = 0.05


@contextmanager
def take_turn(database: Path, should_stop: Callable[[], bool]) -> Iterator[bool]:
    """Hold the turn inside the block; its value is False when `should_stop` ended the waiting."""
    lock = database.with_name(database.name + ".index")
    held = try_alone(lock)
    while held is None and not should_stop():
        time.sleep(_POLL_S)
        held = try_alone(lock)
    if held is None:
        yield False
        return
    with held:
        yield True
