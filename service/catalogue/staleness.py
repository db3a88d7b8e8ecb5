"""Which served documents differ from what is on disk."""

from __future__ import annotations

from pathlib import Path

from indexer.discovery import Found, file_stamp
from indexer.document import UnparsableDocument, content_hash, read_bytes
from store.contract.catalogue import DocumentState
from store.protocol import Store


def stale_documents(store: Store) -> list[str]:
    """Return the paths of served documents, and of copies of them, that changed or vanished since they were indexed.

    A file whose stamp is the one that was recorded is taken as unchanged; any other is read and compared. What cannot
    be read at the moment is not stale: indexing again would not change what is served.
    """
    stale = []
    for state in store.documents():
        if _differs(state, state.document_path, state.stamp):
            stale.append(state.document_path)
        stale += [copy for copy in state.copies if _differs(state, copy, stamp="")]
    return stale


def _differs(state: DocumentState, path: str, stamp: str) -> bool:
    try:
        if stamp and file_stamp(Path(path).stat()) == stamp:
            return False
        return content_hash(read_bytes(Found(path=path, root=state.root))) != state.content_hash
    except (FileNotFoundError, NotADirectoryError):
        return True
    except UnparsableDocument:
        return not Path(path).exists()
    except OSError:
        return False
