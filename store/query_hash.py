"""The hash that stands for a query whose text is not kept."""

from __future__ import annotations

import hashlib

from store.contract.tracking import Invocation


def hash_of(query: str) -> str:
    """Return the SHA-256 of a query, as 64 hexadecimal digits."""
    return hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()


def same_query(recorded: Invocation, asked: str | None) -> bool:
    """Return whether `asked` can be the query that a use was recorded with."""
    if recorded.user_query_hash is None:
        return recorded.user_query == asked
    # What was forgotten cannot contradict anything.
    return not recorded.user_query_hash or (asked is not None and hash_of(asked) == recorded.user_query_hash)
