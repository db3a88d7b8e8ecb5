"""Skills, their documents, and the generations of the index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray


class SkillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the catalogue."""

    id: int
    skill_name: str
    declared_name: str | None
    category: str | None
    description: str | None
    document_path: str | None
    root: str | None
    content_hash: str | None
    license: str | None
    compatibility: str | None
    allowed_tools: list[str]
    metadata: dict[str, Any]
    problems: list[str]
    copies: list[str]
    first_indexed_at: str | None
    last_indexed_at: str | None
    removed_at: str | None


class SkillVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One content that a skill's document has had."""

    id: int
    content_hash: str
    size_bytes: int
    first_indexed_at: str
    last_indexed_at: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a document.

    Attributes
    ----------
    ordinal : int
        Position in the document, from 0.
    kind : {'summary', 'body'}
    heading : str
        The Markdown heading that the chunk begins under; empty for the summary and above the first heading.
    text : str
        For a body chunk exactly ``body[span_start:span_end]``.
    span_start, span_end : int
        Span in characters of the body; both 0 for the summary.
    """

    ordinal: int
    kind: Literal["summary", "body"]
    heading: str
    text: str
    span_start: int
    span_end: int


class DocumentState(msgspec.Struct, frozen=True, kw_only=True):
    """What the index knows of one document: enough to decide what an index run must do."""

    skill_id: int
    skill_name: str
    declared_name: str
    document_path: str
    root: str
    content_hash: str
    copies: list[str]
    problems: list[str]
    stamp: str
    """What the file system said of the file when it was indexed; empty when that is not known."""
    embedded: bool
    """Whether the generation being written has a vector of exactly this content."""


class DocumentWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One document as the indexer writes it.

    `vector` is float32 (dimension,); `chunk_vectors` is float32 (chunks, dimension), for the first body chunks of
    `chunks`, in order. All are L2-normalised. `renamed_from` is the name under which the same document was served
    before, which the store cannot always tell from path or content. `stamp` is stored as given.
    """

    skill_name: str
    declared_name: str
    category: str | None
    description: str
    body: str
    document_path: str
    root: str
    content_hash: str
    size_bytes: int
    license: str | None = None
    compatibility: str | None = None
    allowed_tools: list[str] = []
    metadata: dict[str, Any] = {}
    problems: list[str] = []
    copies: list[str] = []
    stamp: str = ""
    renamed_from: str | None = None
    chunks: list[Chunk]
    vector: NDArray[np.float32]
    chunk_vectors: NDArray[np.float32] | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One set of vectors: the model that computed them, and whether they are served."""

    generation: int
    status: Literal["building", "live", "retired"]
    model_id: str
    dimension: int
    chunks_schema: int
    started_at: str
    live_at: str | None


class IndexRun(msgspec.Struct, frozen=True, kw_only=True):
    """One finished index run; `report` is the indexer's own, as JSON."""

    id: str
    started_at: str
    finished_at: str
    roots: list[str]
    report: dict[str, Any]


class Catalogue(Protocol):
    """Skills, their documents, and the generations of the index."""

    def skill(self, skill_name: str) -> SkillRecord:
        """Return one skill, even a removed one. Raises `NotFound`."""

    def skills(
        self,
        *,
        after: str = "",
        limit: int = 100,
        category: str | None = None,
        removed: bool = False,
        declared: bool = False,
    ) -> list[SkillRecord]:
        """Return served skills in the order of their names, from the first one after `after`.

        With `removed`, those whose document was removed instead; with `declared`, those that never had a document and
        exist because a project declared them.
        """

    def skills_named(self, skill_names: Sequence[str]) -> dict[str, SkillRecord]:
        """Return the served skills that have these names."""

    def versions(self, skill_name: str) -> list[SkillVersion]:
        """Return every content the skill's document has had, newest first. Raises `NotFound`."""

    def chunks(self, skill_names: Sequence[str]) -> dict[str, list[Chunk]]:
        """Return the chunks of each skill's document in order; skills without a served document are left out."""

    def documents(self, generation: int | None = None) -> list[DocumentState]:
        """Return every served document in the order of paths; `embedded` refers to `generation`."""

    def counts(self) -> tuple[int, int]:
        """Return how many skills are served and how many were removed."""

    def open_generation(self, model_id: str, dimension: int, chunks_schema: int) -> Generation:
        """Return the generation to write to.

        That is the live one if it was made with the same three values, or else the one being built with them, which
        is started if necessary; one being built with other values is dropped. The first generation of a store is live
        at once.
        """

    def write_document(self, document: DocumentWrite, generation: int) -> int:
        """Add or replace one document with its chunks, text and vectors in one transaction; return the skill's id.

        A skill of that name keeps its id, versions and history, also when it had been removed. Another document that
        was served under the name or from the path makes way; what was served from the path under another name counts
        as the same skill before it was renamed, and so does `renamed_from`. Raises `InvalidRecord` when a vector does
        not have the generation's dimension.
        """

    def update_document(
        self, skill_id: int, *, document_path: str, root: str, copies: Sequence[str], problems: Sequence[str]
    ) -> None:
        """Record the place, the copies and the problems of an unchanged document.

        Another document that was served from that place is not served until its own place is recorded.
        """

    def note_stamps(self, stamps: Mapping[int, str]) -> None:
        """Record what the file system says of unchanged documents, by skill id."""

    def remove_document(self, skill_id: int) -> None:
        """Stop serving a document; its row, versions and history are kept. Repeating this changes nothing."""

    def publish_generation(self, generation: int) -> None:
        """Serve `generation` from now on and drop the vectors of the previous one. Repeating this changes nothing."""

    def live_generation(self) -> Generation | None:
        """Return the generation that is served; None before the first index run."""

    def building_generation(self) -> Generation | None:
        """Return the generation that is being built, if any."""

    def record_run(self, run: IndexRun) -> None:
        """Keep a finished index run."""

    def last_run(self) -> IndexRun | None:
        """Return the index run that was recorded last, whatever its times say."""

    def roots(self) -> list[str]:
        """Return the indexed roots in order of precedence; empty before the first run."""

    def index_turn(self, should_stop: Callable[[], bool] = ...) -> AbstractContextManager[bool]:
        """Keep every other index run out, in this process and others, while the context is open.

        Entering waits until no other run has its turn, or until `should_stop` returns True; the context's value tells
        whether it is this run's turn.
        """
