"""How to interpret an adapted model's cosines: measured once and kept in ``scale.json`` with the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from embeddings.errors import InvalidScale

SCALE_FILE: Final = "scale.json"

# More than any cosine, rounding included: a level that no measured query reached.
BEYOND: Final = 2.0

_MOST_BYTES: Final = 10_000

Level = Annotated[float, msgspec.Meta(ge=-1.0, le=BEYOND)]


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How to interpret a model's cosines.

    Attributes
    ----------
    low, medium, high : float
        The cosines of the nearest skill from which an answer has at least this confidence, ascending; `BEYOND` if none.
    spread, lexical_weight : float
        See `service.ranking.fusion.fused_relevance`.
    model_id : str
        The model on which it was measured; empty for the scales of the release.
    queries : int
        The number of queries on which it was measured.
    """

    low: Level
    medium: Level
    high: Level
    spread: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
    lexical_weight: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
    model_id: str = ""
    queries: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        """Refuse levels that are not in order."""
        if not self.low <= self.medium <= self.high:
            raise ValueError("low, medium and high must be in ascending order")


def read_scale(folder: Path, model_id: str) -> Scale | None:
    """Return the scale in the folder of an adapter or of an export; None when there is none.

    Raises
    ------
    InvalidScale
        When it cannot be read, has values that no scale can have, or was measured on other weights.
    """
    file = folder / SCALE_FILE
    try:
        with file.open("rb") as opened:
            scale = msgspec.json.decode(opened.read(_MOST_BYTES), type=Scale)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidScale(f"{file} cannot be used ({error}); remove it, or train the adapter again") from error
    # The weights stay the same when their folder is renamed.
    if scale.model_id.rpartition("@")[2] != model_id.rpartition("@")[2]:
        raise InvalidScale(f"{file} was measured on {scale.model_id!r}, not on {model_id}; remove it")
    return scale


def write_scale(folder: Path, scale: Scale | None) -> None:
    """Write a scale to the folder of an adapter or of an export, completely or not at all; None removes it.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    file = folder / SCALE_FILE
    if scale is None:
        file.unlink(missing_ok=True)
        return
    draft = file.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(scale), indent=1))
    draft.replace(file)
