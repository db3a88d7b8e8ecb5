"""What an index run did, and how far one is."""

from __future__ import annotations

from typing import Literal

import msgspec


class Unparsable(msgspec.Struct, frozen=True, kw_only=True):
    """A document or folder that could not be read, and why. `target` is where `path` leads when it is a link."""

    path: str
    reason: str
    target: str | None = None


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


class Superseded(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an older version of a plugin, which is not served.

    `by` is the same document in the newest version; None when the newest version does not have it.
    """

    path: str
    declared_name: str
    by: str | None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is indexed although something about it is wrong."""

    path: str
    problems: list[str]


class RootReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one root.

    `documents` counts the skill documents below it, those that could not be indexed included. A root that is 'gone'
    does not exist any more, so its skills are no longer served; one that is 'unreachable' cannot be read now, so its
    skills stay as they were. `reason` says why it could not be read.
    """

    path: str
    status: Literal["indexed", "gone", "unreachable"]
    documents: int
    reason: str | None = None


class IndexReport(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one run.

    `added`, `changed`, `removed` and `unchanged` count documents; `embedded` counts those whose vector was computed,
    which a new generation requires of unchanged ones as well. `documents` is the number of skills that are served
    now. `complete` is False when the run was stopped early.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    embedded: int
    documents: int
    roots: list[RootReport]
    shadowed: list[Shadowed]
    copies: list[Copy]
    superseded: list[Superseded]
    unparsable: list[Unparsable]
    repaired: list[Problem]
    generation: int | None
    model_id: str
    seconds: float
    complete: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: `done` of `total` documents of the stage; `total` is None while it is not known."""

    stage: Literal["waiting", "scanning", "loading model", "indexing", "publishing"]
    done: int
    total: int | None
