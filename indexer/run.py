"""One index run: compare the roots with the store, and write only what differs.

Documents are compared by content hash. Each is written in one transaction together with the record that it was
embedded, so the next run finishes one that was killed at any point.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from embeddings.protocol import Encoder
from indexer.chunks import CHUNKS_SCHEMA, chunk_texts, embedded_text, split
from indexer.discovery import (
    DOCUMENT_NAME,
    Found,
    RootNotFound,
    Unreadable,
    find_documents,
    real_path,
    resolve_root,
    root_is_gone,
    root_problem,
)
from indexer.document import SkillDocument, UnparsableDocument, content_hash, parse_document, read_bytes
from indexer.editions import Editions, Place, compare_editions
from indexer.naming import Assigned, Claim, Named, assign_names, settle_editions
from indexer.report import Copy, IndexReport, Problem, Progress, RootReport, Shadowed, Superseded, Unparsable
from store.clock import format_time, system_clock
from store.contract.catalogue import Chunk, DocumentState, DocumentWrite, Generation, IndexRun
from store.protocol import Store

BATCH: Final = 64
_WRITERS: Final = 16
# Text of at least so many characters is not found in two documents by chance.
_TELLING_CHARS: Final = 40


class EncoderSource(Protocol):
    """Knows which model is used, and loads it only when there is something to embed."""

    @property
    def model_id(self) -> str:
        """The identity of the model."""

    def load(self) -> Encoder:
        """Return the encoder of that model."""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """A document on disk, without its text, which is read again for indexing: so a scan needs little memory."""

    found: Found
    content_hash: str
    declared_name: str
    problems: list[str]


@dataclass(frozen=True, slots=True)
class _Work:
    """A document to embed and write."""

    found: Found
    skill_name: str
    kind: Literal["added", "changed", "embedded"]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A document that was read and split, ready to be embedded."""

    work: _Work
    document: SkillDocument
    chunks: list[Chunk]

    def texts(self) -> list[str]:
        """Return the texts to embed: one for the whole document, then those of its first chunks."""
        return [embedded_text(self.document), *chunk_texts(self.document, self.chunks)]


@dataclass(slots=True)
class _Plan:
    """What a run has to do."""

    work: list[_Work] = field(default_factory=list)
    place: list[tuple[DocumentState, Found]] = field(default_factory=list)
    remove: list[DocumentState] = field(default_factory=list)
    replaced: list[DocumentState] = field(default_factory=list)
    """Documents that are removed by what is written in their place."""
    stamps: dict[int, str] = field(default_factory=dict)
    unchanged: int = 0


def run_index(
    store: Store,
    source: EncoderSource,
    roots: Sequence[Path] = (),
    *,
    forget: Sequence[Path] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_found: Callable[[Found | Unreadable], None] = lambda _: None,
) -> IndexReport:
    """Bring the index up to date with the documents below `roots`, and keep the report.

    Only one run at a time changes an index: this one waits until it is its turn. Documents of roots that are not
    among `roots` stay as they are. A document that could be read before and cannot be read now is still served as it
    was, and is reported.

    Parameters
    ----------
    store : Store
    source : EncoderSource
        Its encoder is loaded only when something must be embedded.
    roots : sequence of Path
        In order of precedence: the first document keeps a name that several claim. None: all roots that were indexed
        before. Of these, one that is gone loses its documents and one that cannot be read keeps them; both stay
        known, so that the next run looks again.
    forget : sequence of Path
        Roots whose documents are no longer served, whether they exist or not.
    on_progress : callable
        Called often, from this thread.
    should_stop : callable
        Asked while waiting, while searching and between batches; True ends the run with `complete` False and nothing
        half done.
    on_found : callable
        Called with everything that the search finds.

    Raises
    ------
    RootNotFound
        When one of `roots` does not exist, or one of `forget` was never indexed; nothing is changed then.
    EmbeddingError
        When the model cannot be loaded; removals and what was indexed before stay.
    """
    on_progress(Progress(stage="waiting", done=0, total=None))
    with store.index_turn(should_stop) as is_my_turn:
        run = _Run(
            store,
            source,
            roots,
            forget=forget,
            on_progress=on_progress,
            should_stop=should_stop,
            on_found=on_found,
        )
        return run.run() if is_my_turn else run.stopped()


class _Run:
    def __init__(
        self,
        store: Store,
        source: EncoderSource,
        roots: Sequence[Path],
        *,
        forget: Sequence[Path],
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
        on_found: Callable[[Found | Unreadable], None],
    ) -> None:
        self._store = store
        self._source = source
        self._given = roots
        self._to_forget = forget
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._on_found = on_found
        self._started, self._started_at = time.perf_counter(), format_time(system_clock())
        self._forget: set[str] = set()
        self._roots: list[str] = []
        self._root_reports: list[RootReport] = []
        self._gone_roots: set[str] = set()
        self._found: Counter[str] = Counter()
        self._unparsable: list[Unparsable] = []
        self._editions = Editions()
        self._copies: dict[str, list[str]] = {}
        self._left: dict[str, str] = {}
        self._done: Counter[str] = Counter()
        self._stopped = False

    def run(self) -> IndexReport:
        known = self._store.roots()
        self._choose_roots(known)
        generation = self._known_generation()
        states = {s.document_path: s for s in self._store.documents(generation.generation if generation else None)}
        # What was read by other rules is read again.
        scanned = self._scan(states if generation else {})
        if self._should_stop():
            return self.stopped()
        named = self._name(scanned, states)
        plan = self._plan(scanned, named, states)
        self._remember_what_leaves(plan)
        for state in plan.remove:
            self._store.remove_document(state.skill_id)
        for state, found in plan.place:
            self._store.update_document(
                state.skill_id,
                document_path=found.path,
                root=found.root,
                copies=self._copies.get(found.path, []),
                problems=state.problems,
            )
        self._store.note_stamps(plan.stamps)
        if plan.work or generation is None:
            generation = self._index(plan)
        elif generation.status == "building":
            self._store.publish_generation(generation.generation)
        report = self._report(plan, scanned, named, generation.generation)
        self._store.record_run(
            IndexRun(
                id=str(uuid.uuid4()),
                started_at=self._started_at,
                finished_at=format_time(system_clock()),
                roots=[root for root in dict.fromkeys([*known, *self._roots]) if root not in self._forget],
                report=msgspec.to_builtins(report),
            )
        )
        return report

    def stopped(self) -> IndexReport:
        """Return the report of a run that was stopped before it changed anything."""
        self._stopped = True
        return self._report(_Plan(), {}, {}, None)

    def _choose_roots(self, known: Sequence[str]) -> None:
        self._forget = self._roots_to_forget(known)
        chosen = [resolve_root(root) for root in self._given] or known
        for root in dict.fromkeys(chosen):
            if root in self._forget:
                continue
            problem = root_problem(root)
            if problem is None:
                self._roots.append(root)
                continue
            is_gone = root_is_gone(root)
            if is_gone:
                self._gone_roots.add(root)
            else:
                self._unparsable.append(Unparsable(path=root, reason=problem))
            self._root_reports.append(
                RootReport(path=root, status="gone" if is_gone else "unreachable", documents=0, reason=problem)
            )

    def _roots_to_forget(self, known: Sequence[str]) -> set[str]:
        found = set()
        for root in self._to_forget:
            # A root that is gone may lie behind a link that is gone as well.
            meant = {os.path.abspath(root), real_path(root)} & set(known)  # noqa: PTH100  it may not exist
            if not meant:
                listed = ", ".join(known) or "none"
                raise RootNotFound(f"{root} is not an indexed root; the indexed roots are: {listed}", root=str(root))
            found |= meant
        return found

    def _known_generation(self) -> Generation | None:
        """Return the generation to write to if it exists already, so that the model need not be loaded."""
        for generation in (self._store.live_generation(), self._store.building_generation()):
            if generation and (generation.model_id, generation.chunks_schema) == (self._source.model_id, CHUNKS_SCHEMA):
                return self._store.open_generation(self._source.model_id, generation.dimension, CHUNKS_SCHEMA)
        return None

    def _scan(self, states: dict[str, DocumentState]) -> dict[str, _Scanned]:
        scanned: dict[str, _Scanned] = {}
        copied = {path: state for state in states.values() for path in state.copies}
        for item in find_documents([Path(root) for root in self._roots], should_stop=self._should_stop):
            self._on_found(item)
            self._found[item.root] += 1
            if isinstance(item, Unreadable):
                self._unparsable.append(Unparsable(path=item.path, reason=item.reason, target=item.target))
                continue
            try:
                scanned[item.path] = _look(item, states.get(item.path) or copied.get(item.path))
            except UnparsableDocument as error:
                self._unparsable.append(Unparsable(path=error.path, reason=error.reason))
            self._on_progress(Progress(stage="scanning", done=len(scanned), total=None))
        self._root_reports += [
            RootReport(path=root, status="indexed", documents=self._found[root]) for root in self._roots
        ]
        return scanned

    def _name(self, scanned: dict[str, _Scanned], states: dict[str, DocumentState]) -> dict[str, Named]:
        claims = [
            Claim(path=path, name=each.declared_name, content_hash=each.content_hash) for path, each in scanned.items()
        ]
        # Documents that this run does not look at, or cannot read, keep their names.
        claims += [
            Claim(path=path, name=state.declared_name, content_hash=state.content_hash)
            for path, state in states.items()
            if path not in scanned and not self._is_gone(state)
        ]
        self._editions = compare_editions([Place(claim.path, claim.name) for claim in claims])
        previous = {
            path: Assigned(name=state.skill_name, content_hash=state.content_hash) for path, state in states.items()
        }
        named = {each.path: each for each in assign_names(*settle_editions(claims, previous, self._editions))}
        for path, each in named.items():
            if each.status == "copy" and each.behind is not None:
                self._copies.setdefault(each.behind, []).append(path)
        return named

    def _is_gone(self, state: DocumentState) -> bool:
        """Return whether a document that was not found does not exist any more, as far as this run looked."""
        if state.root in self._forget or state.document_path in self._editions.superseded:
            return True
        path = PurePath(state.document_path)
        places = {state.document_path, *map(str, path.parents)}
        if any(each.path in places for each in self._unparsable):
            return False
        if state.root in self._gone_roots:
            return True
        return state.root in self._roots or not places.isdisjoint(self._roots)

    def _plan(self, scanned: dict[str, _Scanned], named: dict[str, Named], states: dict[str, DocumentState]) -> _Plan:
        plan = _Plan()
        by_name = {state.skill_name: state for state in states.values()}
        for path, each in scanned.items():
            if path not in named or named[path].status == "copy":
                continue
            skill_name = named[path].name
            state = by_name.get(skill_name)
            if state is None:
                plan.work.append(_Work(each.found, skill_name, "added"))
            elif (state.content_hash, state.declared_name) != (each.content_hash, each.declared_name):
                plan.work.append(_Work(each.found, skill_name, "changed"))
            else:
                plan.unchanged += 1
                copies = self._copies.get(path, [])
                if (state.document_path, state.root, state.copies) != (path, each.found.root, copies):
                    plan.place.append((state, each.found))
                if state.stamp != each.found.stamp:
                    plan.stamps[state.skill_id] = each.found.stamp
        served = {each.name for each in named.values()}
        paths = {work.found.path for work in plan.work}
        for state in states.values():
            if state.skill_name not in served and self._is_gone(state):
                # One transaction removes the one and writes the other, which shows that it is the same skill.
                (plan.replaced if state.document_path in paths else plan.remove).append(state)
        written = {work.skill_name for work in plan.work}
        gone = {state.skill_name for state in plan.remove + plan.replaced}
        plan.work += [
            _Work(_found_again(state), state.skill_name, "embedded")
            for state in states.values()
            if not state.embedded and state.skill_name not in written | gone
        ]
        return plan

    def _remember_what_leaves(self, plan: _Plan) -> None:
        """Note the text of documents that leave, so that one that was moved and renamed at once is known again."""
        if not any(work.kind == "added" for work in plan.work):
            return
        names = [state.skill_name for state in plan.remove]
        texts: dict[str, list[str]] = {}
        for name, chunks in self._store.chunks(names).items():
            if (text := _without_title(chunks)) is not None:
                texts.setdefault(text, []).append(name)
        self._left = {text: same[0] for text, same in texts.items() if len(same) == 1}

    def _index(self, plan: _Plan) -> Generation:
        # A model is exported when it is used for the first time, which takes a while.
        self._on_progress(Progress(stage="loading model", done=0, total=None))
        encoder = self._source.load()
        generation = self._store.open_generation(self._source.model_id, encoder.dimension, CHUNKS_SCHEMA)
        pending: list[Future[int]] = []
        taken = 0
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="skillrank-index") as pool:
            for start in range(0, len(plan.work), BATCH):
                batch = list(self._read(plan.work[start : start + BATCH]))
                texts = [each.texts() for each in batch]
                # In one call, so that the encoder can batch texts of similar length across documents.
                vectors = encoder.encode_documents([text for own in texts for text in own])
                of_each = np.split(vectors, np.cumsum([len(own) for own in texts], dtype=np.intp))[:-1]
                # One batch is committed while the model works on the next.
                for write in pending:
                    write.result()
                pending = [
                    pool.submit(self._write, each, own, generation.generation)
                    for each, own in zip(batch, of_each, strict=True)
                ]
                self._done.update(each.work.kind for each in batch)
                taken = min(start + BATCH, len(plan.work))
                self._on_progress(Progress(stage="indexing", done=taken, total=len(plan.work)))
                if self._should_stop():
                    self._stopped = taken < len(plan.work)
                    break
            for write in pending:
                write.result()
        if not self._stopped and generation.status == "building":
            self._on_progress(Progress(stage="publishing", done=taken, total=taken))
            self._store.publish_generation(generation.generation)
        return generation

    def _read(self, batch: Sequence[_Work]) -> Iterator[_Ready]:
        for work in batch:
            try:
                document = parse_document(read_bytes(work.found), work.found)
            except UnparsableDocument as error:  # it changed since it was scanned
                self._unparsable.append(Unparsable(path=error.path, reason=error.reason))
            else:
                yield _Ready(work, document, split(document))

    def _write(self, ready: _Ready, vectors: NDArray[np.float32], generation: int) -> int:
        document = ready.document
        return self._store.write_document(
            DocumentWrite(
                skill_name=ready.work.skill_name,
                declared_name=document.skill_name,
                category=document.category,
                description=document.description,
                body=document.body,
                document_path=document.path,
                root=document.root,
                content_hash=document.content_hash,
                size_bytes=document.size_bytes,
                license=document.license,
                compatibility=document.compatibility,
                allowed_tools=list(document.allowed_tools),
                metadata=dict(document.metadata),
                problems=list(document.problems),
                copies=self._copies.get(document.path, []),
                stamp=ready.work.found.stamp,
                renamed_from=self._renamed_from(ready),
                chunks=ready.chunks,
                vector=vectors[0],
                chunk_vectors=vectors[1:],
            ),
            generation,
        )

    def _renamed_from(self, ready: _Ready) -> str | None:
        text = _without_title(ready.chunks) if ready.work.kind == "added" and self._left else None
        return self._left.get(text) if text is not None else None

    def _report(
        self, plan: _Plan, scanned: dict[str, _Scanned], named: dict[str, Named], generation: int | None
    ) -> IndexReport:
        seen = [(each, named[path]) for path, each in scanned.items() if path in named]
        older = self._editions.superseded
        return IndexReport(
            added=self._done["added"],
            changed=self._done["changed"],
            removed=len(plan.remove) + len(plan.replaced),
            unchanged=plan.unchanged,
            embedded=self._done.total(),
            documents=self._store.counts()[0],
            roots=self._root_reports,
            shadowed=[
                Shadowed(path=n.path, declared_name=each.declared_name, skill_name=n.name, behind=n.behind)
                for each, n in seen
                if n.status == "shadowed"
            ],
            copies=[Copy(path=n.path, skill_name=n.name, of=n.behind or "") for _, n in seen if n.status == "copy"],
            superseded=[
                Superseded(path=path, declared_name=each.declared_name, by=older[path])
                for path, each in scanned.items()
                if path in older
            ],
            unparsable=self._unparsable,
            repaired=[
                Problem(path=n.path, problems=each.problems) for each, n in seen if each.problems and n.status != "copy"
            ],
            generation=generation,
            model_id=self._source.model_id,
            seconds=round(time.perf_counter() - self._started, 3),
            complete=not self._stopped,
        )


def _look(found: Found, state: DocumentState | None) -> _Scanned:
    raw = read_bytes(found)
    digest = content_hash(raw)
    if state is not None and state.content_hash == digest and found.flat_name is None:
        return _Scanned(found, digest, state.declared_name, state.problems)
    document = parse_document(raw, found)
    return _Scanned(found, digest, document.skill_name, list(document.problems))


def _found_again(state: DocumentState) -> Found:
    """Return what was found when the document was indexed."""
    has_folder = Path(state.document_path).name.lower() == DOCUMENT_NAME
    return Found(
        path=state.document_path,
        root=state.root,
        flat_name=None if has_folder else state.declared_name,
        stamp=state.stamp,
    )


def _without_title(chunks: Sequence[Chunk]) -> str | None:
    """Return the text of a body without its title, which usually repeats the name; None when there is little text."""
    lines = [line for chunk in chunks if chunk.kind == "body" for line in chunk.text.splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("# ")).strip()
    return text if len(text) >= _TELLING_CHARS else None
