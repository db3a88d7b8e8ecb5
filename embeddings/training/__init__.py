"""Adapts the model to a library: trains a LoRA adapter on queries and the documents that answer them.

`train_adapter` writes a folder that `embeddings.sources` accepts as ``<model>+<folder>``. Importing this package
imports no runtime.
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
