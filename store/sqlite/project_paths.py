"""Finds the project that a folder belongs to."""

from __future__ import annotations

from typing import Final

import apsw

from store.names import path_parts
from store.sqlite.rows import rows

_FOLDERS: Final = "SELECT p.id, path.value FROM projects p, json_each(p.paths) path WHERE path.type = 'text'"


def project_folders(connection: apsw.Connection) -> list[tuple[str, tuple[str, ...]]]:
    """Return the folders of all projects: (project id, parts of the path)."""
    return [(project_id, path_parts(path)) for project_id, path in rows(connection, _FOLDERS)]


def project_at(folders: list[tuple[str, tuple[str, ...]]], path: str) -> str | None:
    """Return the project with the longest folder that is `path` or above it; None without one, or with several."""
    parts = path_parts(path)
    above = [(len(folder), project_id) for project_id, folder in folders if folder and parts[: len(folder)] == folder]
    nearest = {project_id for depth, project_id in above if depth == max(above)[0]}
    return nearest.pop() if len(nearest) == 1 else None
