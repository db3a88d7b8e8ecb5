"""Text in, unit vectors out: every model runtime behind one protocol.

`load_encoder` gives an `Encoder` for a model's name: run by onnxruntime from an export that is made once and
checked against sentence-transformers, or by sentence-transformers itself where no export is possible. `identify`
says which vectors a name stands for without loading anything. Importing this room imports no runtime.
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
