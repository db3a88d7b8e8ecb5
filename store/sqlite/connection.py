"""Opens connections, and translates the driver's errors into the store's: the one place for both."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from migrations.opening import open_file
from store.errors import InvalidRecord, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_TIMEOUT_MS: Final = 5_000
RETRY_AFTER_S: Final = 1.0

_PRAGMAS = """
PRAGMA foreign_keys = ON;
PRAGMA recursive_triggers = ON;
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -32000;
"""

# The words of the full-text index and their places, as tables of this connection.
_VOCABULARY = """
CREATE VIRTUAL TABLE temp.skill_vocabulary USING fts5vocab(main, skill_fts, row);
CREATE VIRTUAL TABLE temp.skill_vocabulary_places USING fts5vocab(main, skill_fts, instance);
"""


def open_connection(path: Path, *, readonly: bool) -> apsw.Connection:
    """Open the migrated database `path`, with sqlite-vec loaded.

    Raises
    ------
    StoreUnavailable
        When the file cannot be opened or is not a database.
    """
    with translated():
        connection = open_file(path, readonly=readonly)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.execute(_PRAGMAS)
        connection.execute(_VOCABULARY)
        return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn apsw's errors into the store's, keeping the cause."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreUnavailable(
            "the database is locked by another process; try again in a moment",
            cause="locked",
            retry_after_s=RETRY_AFTER_S,
        ) from error
    except apsw.FullError as error:
        raise StoreUnavailable(
            "the disk is full and nothing was written; free some space and try again", cause="full"
        ) from error
    except (apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise StoreUnavailable(
            "the database cannot be written to; check the permissions of its file, of the -wal and -shm files beside "
            "it, and of their folder",
            cause="read_only",
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreUnavailable(
            f"the database is damaged ({error}); run `skillrank doctor`, then `skillrank restore`", cause="corrupt"
        ) from error
    except apsw.InterruptError as error:
        raise StoreUnavailable(
            "the read exceeded its deadline and was stopped; narrow the query or try again",
            cause="deadline",
            retry_after_s=RETRY_AFTER_S,
        ) from error
    except apsw.ConstraintError as error:
        raise InvalidRecord(f"this breaks a rule of the store: {error}") from error
    except (apsw.TooBigError, apsw.RangeError, apsw.MismatchError, UnicodeEncodeError, OverflowError) as error:
        # The last two come from binding a lone surrogate, or an integer of more than 64 bits.
        raise InvalidRecord(f"a value cannot be stored: {error}") from error
    except apsw.ConnectionClosedError as error:
        raise StoreUnavailable("the store has been closed", cause="closed") from error
    except apsw.Error as error:  # CantOpenError, IOError, and whatever else: no driver error leaves the store
        raise StoreUnavailable(
            f"the database cannot be read or written ({error}); check its disk and run `skillrank doctor`",
            cause="io",
        ) from error
