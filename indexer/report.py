"""What an index run did, and how far one is."""

from __future__ import annotations

from typing import Literal

import msgspec


class Unparsable(msgspec.Struct, frozen=True, kw_only=True):
    """A document or folder that could not be read, and why."""

    path: str
    reason: str


class Shadowed(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is served under a qualified name because another holds the name it declares."""

    path: str
    declared_name: str
    skill_name: str
    behind: str | None


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is byte for byte another one, and folded into it."""

    path: str
    skill_name: str
    of: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is indexed although something about it is wrong."""

    path: str
    problems: list[str]


class IndexReport(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one run.

    `added`, `changed`, `removed` and `unchanged` count documents; `embedded` counts those whose vector was made,
    which a new generation asks of unchanged ones too. `complete` is False when the run was stopped early.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    embedded: int
    documents: int
    shadowed: list[Shadowed]
    copies: list[Copy]
    unparsable: list[Unparsable]
    repaired: list[Problem]
    generation: int | None
    model_id: str
    seconds: float
    complete: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: `done` of `total` documents of the stage; `total` is None while it is not known."""

    stage: Literal["scanning", "loading model", "indexing", "publishing"]
    done: int
    total: int | None
