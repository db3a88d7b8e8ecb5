"""JUnit XML: one workflow event for each test case.

There is no one format; this reads what pytest, surefire, gtest, jest and others have in common. A document is read as
a stream of tags, in memory that does not grow with it: the text of elements, mostly captured output, is not kept, and
only the first failure of a test case is. A document that declares entities or a document type is refused before
anything is expanded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, BinaryIO, Final
from xml.sax import SAXException
from xml.sax.handler import ContentHandler, LexicalHandler, property_lexical_handler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml.common import DefusedXmlException
from defusedxml.sax import make_parser

from service.work.results.reported import Reported, Told, UnreadableResults, Unusable, step_name
from store.clock import format_time
from store.contract.workflows import StepStatus

_CHUNK: Final = 1 << 18
_ROOTS: Final = frozenset({"testsuites", "testsuite"})
_FAILURES: Final = frozenset({"failure", "error"})
_NOT_RUN: Final = frozenset({"skipped", "notrun", "disabled", "suppressed"})
_MOST_SECONDS: Final = 3_153_600_000.0
_MESSAGE_CHARACTERS: Final = 500
# A tag is read as a whole, so a longer one would have to be kept in memory, and the parser would look at it again with
# each chunk of the stream.
MOST_TAG_BYTES: Final = 8 << 20
MOST_SUITES: Final = 100_000
_ATTRIBUTES: Final = frozenset(
    {"name", "classname", "time", "timestamp", "status", "result", "file", "line", "type", "message"}
)
DEFAULT_WORKFLOW: Final = "tests"


def read_junit(stream: BinaryIO, told: Told, zone: tzinfo | None = None) -> Iterator[Reported | Unusable]:
    """Yield what a JUnit document reports, in its order.

    Parameters
    ----------
    stream : BinaryIO
    told : Told
        Must have a session. The default workflow is ``tests``.
    zone : tzinfo, optional
        The zone of times without an offset; by default that of this machine.

    Raises
    ------
    UnreadableResults
        When the document is not JUnit XML, is broken, declares entities, or has a tag of many megabytes.
    """
    parser = make_parser()
    parser.forbid_dtd = True
    # When it is fed in chunks, the parser gives its handlers no locator, but is one itself.
    reader = _Cases(told, zone, parser)
    parser.setContentHandler(reader)
    parser.setProperty(property_lexical_handler, reader)
    waiting = 0
    try:
        while chunk := stream.read(_CHUNK):
            parser.feed(chunk)
            waiting = 0 if reader.moved() else waiting + len(chunk)
            if waiting > MOST_TAG_BYTES:
                raise UnreadableResults(
                    f"a tag or comment has more than {MOST_TAG_BYTES:,} bytes, which results do not need"
                )
            yield from reader.take()
        parser.close()
        yield from reader.take()
    except DefusedXmlException as error:
        raise UnreadableResults(
            "the document declares a document type or entities, which results do not need and attacks use; "
            "nothing was expanded"
        ) from error
    except SAXException as error:
        raise UnreadableResults(f"this is not well-formed XML: {error}") from error
    except (LookupError, ValueError) as error:
        raise UnreadableResults(f"the document cannot be decoded: {error}") from error


class _Clock:
    """The time inside a suite, whose cases are assumed to have run one after another."""

    def __init__(self, start: datetime | None) -> None:
        self.now = start

    def advance(self, seconds: float) -> None:
        if self.now is not None:
            try:
                self.now += timedelta(seconds=seconds)
            except OverflowError:
                self.now = None


class _Cases(ContentHandler, LexicalHandler):
    """Collects test cases from a stream of tags."""

    def __init__(self, told: Told, zone: tzinfo | None, place: Locator) -> None:
        super().__init__()
        self._told, self._zone, self._place = told, zone, place
        self._clocks = [_Clock(None)]
        self._suites: list[str] = []
        self._case: Mapping[str, str] | None = None
        self._line = 0
        self._tags: set[str] = set()
        self._first: tuple[str, Mapping[str, str]] | None = None
        self._moved = False
        self._ready: list[Reported | Unusable] = []
        self._rooted = False

    def take(self) -> list[Reported | Unusable]:
        """Return what has been collected since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def moved(self) -> bool:
        """Return whether the parser has come past anything since the last call."""
        moved, self._moved = self._moved, False
        return moved

    def characters(self, content: str) -> None:  # noqa: ARG002
        self._moved = True

    def comment(self, content: str) -> None:  # noqa: ARG002
        self._moved = True

    def processingInstruction(self, target: str, data: str) -> None:  # noqa: ARG002, N802
        self._moved = True

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802  the names are those of SAX
        self._moved = True
        tag = name.rpartition(":")[2]
        if not self._rooted:
            if tag not in _ROOTS:
                raise UnreadableResults(
                    f"this is XML but not JUnit's: it begins with <{tag[:50]}>, not <testsuites> or <testsuite>"
                )
            self._rooted = True
        told = {key: attrs.getValue(key) for key in attrs.getNames() if key in _ATTRIBUTES}
        if tag in _ROOTS:
            if len(self._suites) >= MOST_SUITES:
                raise UnreadableResults(f"suites are nested more than {MOST_SUITES:,} levels deep")
            began = self._moment(told.get("timestamp"))
            self._clocks.append(self._clocks[-1] if began is None else _Clock(began))
            self._suites.append(told.get("name", "")[:_MESSAGE_CHARACTERS])
        elif tag == "testcase" and self._case is None:
            self._case, self._tags, self._first = told, set(), None
            self._line = self._place.getLineNumber() or 1
        elif self._case is not None and (tag in _FAILURES or tag == "skipped"):
            self._tags.add(tag)
            self._first = self._first or (tag, {key: text[:_MESSAGE_CHARACTERS] for key, text in told.items()})

    def endElement(self, name: str) -> None:  # noqa: N802
        self._moved = True
        tag = name.rpartition(":")[2]
        if tag in _ROOTS:
            self._clocks.pop()
            self._suites.pop()
        elif tag == "testcase" and self._case is not None:
            self._ready.append(self._reported(self._case))
            self._case = None

    def _reported(self, case: Mapping[str, str]) -> Reported | Unusable:
        where = f"line {self._line}"
        name, group = case.get("name", "").strip(), case.get("classname", "").strip()
        if not name and not group:
            return Unusable(where=where, reason="a test case without a name")
        seconds = _seconds(case.get("time"))
        return Reported(
            where=where,
            step=step_name(f"{group}::{name}" if group and name else group or name),
            status=self._status(case),
            workflow=self._told.workflow or DEFAULT_WORKFLOW,
            session_id=self._told.session_id or "",
            project_id=self._told.project_id,
            phase=self._told.phase,
            occurred_at=self._ended_at(case, seconds or 0.0),
            duration_seconds=seconds,
            payload=self._payload(case),
        )

    def _status(self, case: Mapping[str, str]) -> StepStatus:
        if self._tags & _FAILURES:
            return "failed"
        not_run = {case.get("status", "").lower(), case.get("result", "").lower()} & _NOT_RUN
        return "skipped" if self._tags or not_run else "passed"

    def _ended_at(self, case: Mapping[str, str], seconds: float) -> str | None:
        own = self._moment(case.get("timestamp"))
        clock = self._clocks[-1] if own is None else _Clock(own)
        clock.advance(seconds)
        return None if clock.now is None else format_time(clock.now)

    def _payload(self, case: Mapping[str, str]) -> dict[str, Any]:
        suite = next((name for name in reversed(self._suites) if name), None)
        kept = {"suite": suite, "file": case.get("file"), "line": case.get("line")}
        if self._first is not None:
            tag, told = self._first
            kept |= {"ended_by": tag, "type": told.get("type"), "message": told.get("message")}
        return {key: text[:_MESSAGE_CHARACTERS] for key, text in kept.items() if text}

    def _moment(self, text: str | None) -> datetime | None:
        try:
            moment = datetime.fromisoformat((text or "").strip())
            aware = (
                moment if moment.tzinfo else moment.replace(tzinfo=self._zone) if self._zone else moment.astimezone()
            )
            return aware.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            return None  # there is no time, or it cannot be read


def _seconds(text: str | None) -> float | None:
    told = (text or "").strip()
    # 1,234.5 groups thousands; 0,5 is how some countries write a half.
    told = told.replace(",", "") if "." in told else told.replace(",", ".")
    try:
        seconds = float(told)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= _MOST_SECONDS else None
