"""How an adapted model's cosines read: measured once, kept in ``scale.json`` beside the adapter and its exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from embeddings.errors import InvalidScale

SCALE_FILE: Final = "scale.json"

# What no cosine reaches, rounding included: a level that the measured queries never showed.
BEYOND: Final = 2.0

_MOST_BYTES: Final = 10_000

Level = Annotated[float, msgspec.Meta(ge=-1.0, le=BEYOND)]


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's cosines read.

    Attributes
    ----------
    low, medium, high : float
        From which cosine of the nearest skill on an answer is at least this sure, in rising order; `BEYOND` for never.
    spread, lexical_weight : float
        As `service.ranking.fusion.fused_relevance` takes them.
    model_id : str
        The model that it was measured on; empty for those of the release.
    queries : int
        How many queries it was measured on.
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
            raise ValueError("low, medium and high must not fall")


def read_scale(folder: Path, model_id: str) -> Scale | None:
    """Return the scale that lies in the folder of an adapter or of an export; None when there is none.

    Raises
    ------
    InvalidScale
        When there is one that cannot be read, holds values that no scale can have, or was measured on other weights.
    """
    file = folder / SCALE_FILE
    try:
        with file.open("rb") as opened:
            scale = msgspec.json.decode(opened.read(_MOST_BYTES), type=Scale)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidScale(f"{file} cannot be used ({error}); remove it, or train the adapter anew") from error
    # A folder that was renamed holds the same weights.
    if scale.model_id.rpartition("@")[2] != model_id.rpartition("@")[2]:
        raise InvalidScale(f"{file} was measured on {scale.model_id!r}, not on {model_id}; remove it")
    return scale


def write_scale(folder: Path, scale: Scale | None) -> None:
    """Put a scale into the folder of an adapter or of an export, whole or not at all; None removes what is there.

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
