"""Indexing and searching, as ratios to the bare model in the same process.

python -m tests.benchmarks.search [FOLDER] [--documents 1000] [--rounds 3] [--model NAME] [--skills 100000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
from pathlib import Path

from embeddings.protocol import Encoder
from indexer.chunks import chunk_texts, embedded_text, split
from indexer.discovery import Found, find_documents
from indexer.document import UnparsableDocument, parse_document, read_bytes
from indexer.run import BATCH, run_index
from service.search.answers import SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.search.queries import windows
from service.settings import DEFAULT_MODEL
from store.protocol import Store
from store.sqlite import open_store
from tests.benchmarks.figures import line, resident_mb, seconds_of, verdict
from tests.benchmarks.library import make_library, write_variants

SHORT = [
    "my tests fail at random",
    "turn a folder of PDF invoices into a table",
    "which index does this slow query need",
    "give the sign-up form labels a screen reader can read",
    "fix type errors after a library upgrade",
    "write release notes from the commit log",
    "container image is far too big",
    "plan dinners for a week on a budget",
]
LONG = " ".join(f"{query}, and then tell the team what changed and why it matters." for query in SHORT * 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a library of skills; none: one is made")
    parser.add_argument("--documents", type=int, default=1000, help="how many to make without a folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="all-MiniLM-L6-v2 is the one without the adapter")
    parser.add_argument("--skills", type=int, default=0, help="search so many variants of the documents, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = arguments.folder or make_library(folder / "library", arguments.documents)
        encoders = Encoders(arguments.model, folder / "models")
        encoder = encoders.load()
        texts = _texts(root)
        told = f"{len(texts)} documents in {sum(map(len, texts))} texts"
        print(f"{told} under {arguments.folder or 'a made library'}, model {encoder.model_id}")
        bare, whole = [], []
        for number in range(arguments.rounds):
            bare.append(seconds_of(lambda: _encode_in_batches(encoder, texts)))
            store = open_store(folder / f"index-{number}.db")
            whole.append(seconds_of(lambda store=store: run_index(store, encoders, [root])))
            if number < arguments.rounds - 1:
                store.close()
        print(line("bare encoding of the documents' texts", bare, "s"))
        print(line("index run, everything included", whole, "s"))
        ratios = [one / other for one, other in zip(whole, bare, strict=True)]
        print(verdict("index run / bare encoding", statistics.median(ratios), 1.15, at_most=True))
        again = [seconds_of(lambda: run_index(store, encoders, [root])) for _ in range(arguments.rounds)]
        print(line("index run with nothing changed", again, "s"))
        _search(store, encoders, encoder, aim=3.0)
        store.close()
        if arguments.skills:
            _search_many(folder, root, encoders, encoder, arguments.skills)


def _search(store: Store, encoders: Encoders, encoder: Encoder, *, aim: float) -> None:
    searching = SkillSearch(store, encoders)
    for name, queries, rounds in (("short", SHORT, 25), ("600-word", [LONG], 15)):
        for query in queries:
            searching.answer(SearchRequest(query=query))
        floor, search = [], []
        for _ in range(rounds):
            for query in queries:
                floor.append(seconds_of(lambda q=query: encoder.encode_queries(windows(q))))
                search.append(seconds_of(lambda q=query: searching.answer(SearchRequest(query=q))))
        print(line(f"bare encoding of a {name} query", floor, "ms", scale=1000))
        print(line(f"search with a {name} query", search, "ms", scale=1000))
        ratio = statistics.median(search) / statistics.median(floor)
        print(verdict(f"search / bare encoding, {name} query", ratio, aim, at_most=True))


def _search_many(folder: Path, root: Path, encoders: Encoders, encoder: Encoder, count: int) -> None:
    """Search `count` variants; what is held in memory for them is what the process grew by."""
    path = folder / "many.db"
    store = open_store(path)
    print(f"{count} variants, their vectors made from real ones")
    print(line("writing them", [seconds_of(lambda: write_variants(store, encoder, root, count))], "s"))
    store.close()
    # In a process of its own: what this one has held and freed before would blur the figure.
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        took, grew = fresh.apply(_loading, (path,))
    print(line("loading the index", [took], "s"))
    print(line("memory for each 100,000 skills", [grew * 100_000 / count], "MB"))
    store = open_store(path)
    first = [seconds_of(lambda q=q: SkillSearch(store, encoders).answer(SearchRequest(query=q))) for q in SHORT]
    print(line("search with a short query, asked for the first time", first, "ms", scale=1000))
    _search(store, encoders, encoder, aim=5.0)
    store.close()


def _loading(path: Path) -> tuple[float, float]:
    """Return the seconds that loading an index takes, and by how many MB the process grows."""
    store = open_store(path)
    before = resident_mb()
    took = seconds_of(store.refresh)
    grew = resident_mb() - before
    store.close()
    return took, grew


def _texts(root: Path) -> list[list[str]]:
    """Return what is embedded of each document."""
    texts = []
    for found in find_documents([root]):
        if isinstance(found, Found):
            try:
                document = parse_document(read_bytes(found), found)
            except UnparsableDocument:
                continue
            texts.append([embedded_text(document), *chunk_texts(document, split(document))])
    return texts


def _encode_in_batches(encoder: Encoder, texts: list[list[str]]) -> None:
    for start in range(0, len(texts), BATCH):
        encoder.encode_documents([text for own in texts[start : start + BATCH] for text in own])


if __name__ == "__main__":
    main()
