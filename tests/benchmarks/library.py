"""Libraries of any size to measure on, made from the one that comes along."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.protocol import Encoder
from indexer.chunks import CHUNKS_SCHEMA, EMBEDDED_CHUNKS, embedded_text
from indexer.discovery import Found, find_documents
from indexer.document import SkillDocument, UnparsableDocument, parse_document, read_bytes
from service.demo.replay import LIBRARY
from store.contract.catalogue import Chunk, DocumentWrite
from store.protocol import Store

# Encoding takes the time; variants of so many documents are as varied as a search can tell.
_ENCODED = 600
# The cosine of a variant with its original is about 0.93.
_DISTANCE = 0.4
_BODY_CHARS = 2_000

WORDS = """
    invoice ledger tensor gasket orbit pollen kernel harbor violin parser quartz meadow turbine cipher lantern falcon
    glacier mosaic saddle beacon copper walnut ribbon compass anchor pepper velvet marble signal thistle
""".split()  # noqa: SIM905


def make_library(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Write `count` documents below `folder`: the library that comes along, with other names and mixed-in words."""
    rng = random.Random(seed)
    originals = sorted(LIBRARY.glob("*/SKILL.md"))
    for number in range(count):
        source = originals[number % len(originals)]
        words = rng.sample(WORDS, 3)
        text = source.read_text(encoding="utf-8").replace(source.parent.name, f"{source.parent.name}-{number}")
        lines = text.splitlines()
        for word in words:
            lines.insert(rng.randrange(len(lines) // 2, len(lines)), f"See also the {word} notes on {word}-{number}.")
        target = folder / f"{source.parent.name}-{number}"
        target.mkdir(parents=True)
        (target / "SKILL.md").write_text("\n".join(lines), encoding="utf-8")
    return folder


def write_variants(store: Store, encoder: Encoder, root: Path, count: int, *, seed: int = 0) -> None:
    """Write `count` skills: documents below `root` with other names, bodies cut short, and vectors moved a little.

    Each has as many chunk vectors as a document can have, made from its original's vector like its own.
    """
    rng = np.random.default_rng(seed)
    documents = _parsed(root)[:_ENCODED]
    vectors = encoder.encode_documents([embedded_text(document) for document in documents])
    generation = store.open_generation(encoder.model_id, encoder.dimension, CHUNKS_SCHEMA).generation

    def write(number: int, moved: NDArray[np.float32]) -> None:
        store.write_document(_variant(documents[number % len(documents)], number, moved), generation)

    # Many hands, so that the writer commits groups.
    with ThreadPoolExecutor(64) as pool:
        for start in range(0, count, 4096):
            numbers = np.arange(start, min(start + 4096, count))
            away = rng.standard_normal((len(numbers), 1 + EMBEDDED_CHUNKS, encoder.dimension), dtype=np.float32)
            moved = vectors[numbers % len(documents), None] + away * (_DISTANCE / encoder.dimension**0.5)
            moved /= np.linalg.norm(moved, axis=2, keepdims=True)
            list(pool.map(write, numbers.tolist(), moved))


def _variant(document: SkillDocument, number: int, vectors: NDArray[np.float32]) -> DocumentWrite:
    name, body = f"{document.skill_name}-{number}", document.body[:_BODY_CHARS]
    return DocumentWrite(
        skill_name=name,
        declared_name=document.skill_name,
        category=None,
        description=document.description,
        body=body,
        document_path=f"/variants/{number}/SKILL.md",
        root="/variants",
        content_hash=str(number),
        size_bytes=len(body),
        chunks=[Chunk(ordinal=1, kind="body", heading="", text=body, span_start=0, span_end=len(body))],
        vector=vectors[0],
        chunk_vectors=vectors[1:],
    )


def _parsed(root: Path) -> list[SkillDocument]:
    parsed = []
    for found in find_documents([root]):
        if isinstance(found, Found):
            try:
                parsed.append(parse_document(read_bytes(found), found))
            except UnparsableDocument:
                continue
    return parsed
