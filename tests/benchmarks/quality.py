"""How well search finds what is known to be right, through the whole product and without any history.

python -m tests.benchmarks.quality INDEX QUESTIONS [--judged RANKING.json] [--held-out TRAINING.json] [--misfits FILE]

INDEX is a data folder that `skillrank index` filled; it is copied, so nothing is recorded in it. QUESTIONS are lines of
{"question": …, "relevant": [names]} (as `skillrank tune --judged` takes them) or of {"qid": …, "query": …}; with the
latter the ranked folders are written to RANKING.json by qid, for a scorer of graded judgements. With the training.json
of an adapter only the questions that it held out are asked. MISFITS are lines of questions that nothing fits.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from embeddings.training import TrainingRecord
from embeddings.training.run import held_out_ids
from service.answers import SearchAnswer, SearchRequest
from service.encoders import Encoders
from service.search import SkillSearch
from service.settings import DEFAULT_MODEL
from store.sqlite import open_store

DEPTH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--judged", type=Path)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--misfits", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    asked = [json.loads(line) for line in arguments.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    misfits = arguments.misfits.read_text(encoding="utf-8").splitlines() if arguments.misfits else []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "skillrank.db"
        shutil.copy(arguments.index / "skillrank.db", copy)
        store = open_store(copy)
        search = SkillSearch(store, Encoders(arguments.model, arguments.index / "models"))

        def answer(question: str) -> SearchAnswer:
            return search.answer(SearchRequest(query=question, limit=DEPTH, group=False))

        if arguments.judged:
            _write_ranking([(each["qid"], answer(each["query"])) for each in asked], arguments.judged)
        else:
            if arguments.held_out:
                record = msgspec.json.decode(arguments.held_out.read_bytes(), type=TrainingRecord)
                measured = held_out_ids({each["relevant"][0] for each in asked}, record.recipe)
                asked = [each for each in asked if each["relevant"][0] in measured]
            _print_found([(each, answer(each["question"])) for each in asked])
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


def _print_found(answers: list[tuple[dict[str, Any], SearchAnswer]]) -> None:
    ranks = np.array([_rank(each["relevant"], answer) for each, answer in answers])
    ndcg = np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0)
    means = np.random.default_rng(0).choice(ndcg, (2000, len(ndcg))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    print(
        f"{len(ranks)} questions: Hit@1 {np.mean(ranks == 0):.3f}  nDCG@10 {ndcg.mean():.3f} [{low:.3f}, {high:.3f}]  "
        f"Recall@10 {np.mean(ranks < 10):.3f}  Recall@50 {np.mean(ranks < DEPTH):.3f}"
    )
    print("confidence:", Counter(answer.confidence for _, answer in answers))


def _rank(relevant: list[str], answer: SearchAnswer) -> int:
    """Return the place of the first right skill, from 0; `DEPTH` when there is none."""
    return next((place for place, result in enumerate(answer.results) if result.skill_name in relevant), DEPTH)


if __name__ == "__main__":
    main()
