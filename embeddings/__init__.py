"""Encoders that turn text into unit vectors, with every model runtime behind one protocol.

`load_encoder` returns an `Encoder` for a model name. The model runs in onnxruntime, from an export that is made once
and checked against sentence-transformers, or in sentence-transformers itself when it cannot be exported. `identify`
returns a model's identity without loading it. Importing this package imports no runtime.
"""

from embeddings.errors import EmbeddingError, ExportFailed, InvalidExport, ModelNotFound, ModelUnusable
from embeddings.hashing import HashingEncoder
from embeddings.loading import LoadedEncoder, identify, load_encoder
from embeddings.protocol import Encoder
from embeddings.sources import DEFAULT_MODEL

__all__ = [
    "DEFAULT_MODEL",
    "EmbeddingError",
    "Encoder",
    "ExportFailed",
    "HashingEncoder",
    "InvalidExport",
    "LoadedEncoder",
    "ModelNotFound",
    "ModelUnusable",
    "identify",
    "load_encoder",
]
