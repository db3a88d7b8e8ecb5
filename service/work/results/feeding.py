"""Records the events of a results file in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from service.work.results.junit import read_junit
from service.work.results.lines import read_lines
from service.work.results.reported import EventIds, Reported, Told, UnreadableResults, Unusable
from store.protocol import Store

BATCH: Final = 1000
_MOST_REASONS: Final = 100
_BEGINNING: Final = 64
_XML_BEGINS: Final = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<")


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """What feeding a file did. `reasons` has the first refusals, each with its place in the file.

    `broken` is the reason why reading stopped before the end of the file; the events before that were recorded.
    """

    added: int
    known: int
    refused: int
    reasons: list[Unusable]
    broken: str | None


def feed(
    store: Store, path: Path, told: Told, zone: tzinfo | None = None, progress: Callable[[int], None] = lambda _: None
) -> Fed:
    """Record the events of a results file; feeding it again adds nothing.

    Parameters
    ----------
    store : Store
    path : Path
        JUnit XML if it begins like XML, otherwise JSON lines.
    told : Told
    zone : tzinfo, optional
        The zone of JUnit times without an offset; by default that of this machine.
    progress : callable, optional
        Called now and then with the number of bytes read so far, unless the input is a pipe.

    Raises
    ------
    UnreadableResults
        When the file cannot be opened, or is JUnit XML and no session is given.
    """
    try:
        with path.open("rb") as stream:
            return _feed(store, stream, told, zone, progress)
    except OSError as error:
        raise UnreadableResults(f"{path} cannot be read: {error.strerror}") from error


def _feed(
    store: Store, stream: BufferedReader, told: Told, zone: tzinfo | None, progress: Callable[[int], None]
) -> Fed:
    parts = _Parts(_read(stream, told, zone))
    ids, added, known, reasons, refused = EventIds(), 0, 0, list[Unusable](), 0
    while batch := list(islice(parts, BATCH)):
        events = [part for part in batch if isinstance(part, Reported)]
        report = store.record_events([ids.event(event) for event in events])
        unusable = [part for part in batch if isinstance(part, Unusable)]
        unusable += [Unusable(where=events[each.position].where, reason=each.reason) for each in report.refused]
        added, known, refused = added + report.added, known + report.known, refused + len(unusable)
        reasons += unusable[: _MOST_REASONS - len(reasons)]
        if stream.seekable():
            progress(stream.tell())
    return Fed(added=added, known=known, refused=refused, reasons=reasons, broken=parts.broken)


class _Parts:
    """What a reader yields, up to the place where it fails."""

    def __init__(self, parts: Iterator[Reported | Unusable]) -> None:
        self._parts = parts
        self.broken: str | None = None

    def __iter__(self) -> Iterator[Reported | Unusable]:
        return self

    def __next__(self) -> Reported | Unusable:
        try:
            return next(self._parts)
        except UnreadableResults as error:
            self.broken = str(error)
            raise StopIteration from error


def _read(stream: BufferedReader, told: Told, zone: tzinfo | None) -> Iterator[Reported | Unusable]:
    # Peeked at, since a pipe cannot go back.
    beginning = stream.peek(_BEGINNING)[:_BEGINNING].lstrip()
    if not beginning.startswith(_XML_BEGINS):
        return read_lines(stream, told)
    if told.session_id is None:
        raise UnreadableResults("JUnit XML does not name a session; give one with --session")
    return read_junit(stream, told, zone)
