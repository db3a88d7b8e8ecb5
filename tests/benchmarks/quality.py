"""How well search finds what is known to be right, through the whole product and without any history.

python -m tests.benchmarks.quality INDEX QUERIES [--judged RANKING.json] [--held-out TRAINING.json] [--misfits FILE]

INDEX is a data folder that `skillrank index` filled; it is copied, so nothing is recorded in it. QUERIES are lines of
{"query": …, "expected": [names]} (as `skillrank eval` takes them) or of {"qid": …, "query": …}; with the
latter the ranked folders are written to RANKING.json by qid, for a scorer of graded judgements. With the training.json
of an adapter only the queries that it held out are asked. MISFITS are lines of queries that nothing fits.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from embeddings.training import TrainingRecord
from embeddings.training.run import held_out_ids
from service.evaluation.judgements import JudgedQuery, read_judgements
from service.evaluation.measures import estimate, score
from service.search.answers import SearchAnswer, SearchRequest
from service.search.encoders import Encoders
from service.search.engine import SkillSearch
from service.settings import DEFAULT_MODEL
from store.sqlite import open_store

DEPTH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--judged", type=Path)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--misfits", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    misfits = arguments.misfits.read_text(encoding="utf-8").splitlines() if arguments.misfits else []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "skillrank.db"
        shutil.copy(arguments.index / "skillrank.db", copy)
        store = open_store(copy)
        search = SkillSearch(store, Encoders(arguments.model, arguments.index / "models"))

        def answer(query: str) -> SearchAnswer:
            return search.answer(SearchRequest(query=query, limit=DEPTH, group=False))

        if arguments.judged:
            lines = arguments.queries.read_text(encoding="utf-8").splitlines()
            asked = [json.loads(line) for line in lines if line.strip()]
            _write_ranking([(each["qid"], answer(each["query"])) for each in asked], arguments.judged)
        else:
            judged = read_judgements(arguments.queries)
            if arguments.held_out:
                record = msgspec.json.decode(arguments.held_out.read_bytes(), type=TrainingRecord)
                measured = held_out_ids({each.serving[0] for each in judged}, record.recipe)
                judged = [each for each in judged if each.serving[0] in measured]
            _print_found(judged, [answer(each.query) for each in judged])
        if misfits:
            print("told of what nothing fits:", Counter(answer(each).confidence for each in misfits if each.strip()))
        store.close()


def _write_ranking(answers: list[tuple[str, SearchAnswer]], file: Path) -> None:
    folders = {qid: [Path(r.document_path or "").parent for r in answer.results] for qid, answer in answers}
    top = _common_folder([folder for each in folders.values() for folder in each])
    ranking = {qid: [folder.relative_to(top).as_posix() for folder in each] for qid, each in folders.items()}
    file.write_text(json.dumps(ranking), encoding="utf-8")
    print(f"{len(ranking)} rankings in {file}; confidence:", Counter(answer.confidence for _, answer in answers))


def _common_folder(folders: list[Path]) -> Path:
    first = folders[0]
    return next(parent for parent in first.parents if all(folder.is_relative_to(parent) for folder in folders))


def _print_found(judged: list[JudgedQuery], answers: list[SearchAnswer]) -> None:
    scores = score(judged, [[result.skill_name for result in answer.results] for answer in answers])
    print(f"{len(judged)} queries")
    for name, values in scores.items():
        found = estimate(values)
        print(f"{name:<10} {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]")
    print("confidence:", Counter(answer.confidence for answer in answers))


if __name__ == "__main__":
    main()
