"""Which served documents are no longer what was indexed."""

from __future__ import annotations

from pathlib import Path

from store.clock import read_time
from store.protocol import Store


def stale_documents(store: Store) -> list[str]:
    """Return the paths of served documents that were written to, or vanished, since they were last indexed."""
    run = store.last_run()
    if run is None:
        return []
    since = read_time(run.started_at).timestamp()
    stale = []
    for state in store.documents():
        try:
            if Path(state.document_path).stat().st_mtime > since:
                stale.append(state.document_path)
        except OSError:
            stale.append(state.document_path)
    return stale
