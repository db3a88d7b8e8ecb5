"""Teaches the model a library: a LoRA adapter, trained on queries and the documents that answer them.

`train_adapter` writes a folder that `embeddings.sources` takes as ``<model>+<folder>``. Importing this imports no
runtime.
"""

from embeddings.training.recipe import CurvePoint, Recipe, TrainingDocument, TrainingProgress, TrainingRecord
from embeddings.training.run import held_out_ids, train_adapter

__all__ = [
    "CurvePoint",
    "Recipe",
    "TrainingDocument",
    "TrainingProgress",
    "TrainingRecord",
    "held_out_ids",
    "train_adapter",
]
