"""What stands for a question whose words are not kept."""

from __future__ import annotations

import hashlib

from store.contract.tracking import Invocation


def hash_of(question: str) -> str:
    """Return the SHA-256 of a question, as 64 hexadecimal digits."""
    return hashlib.sha256(question.encode(errors="surrogatepass")).hexdigest()


def same_question(recorded: Invocation, asked: str | None) -> bool:
    """Whether `asked` can be the question that a use was recorded with."""
    if recorded.user_query_hash is None:
        return recorded.user_query == asked
    # What was forgotten cannot contradict anything.
    return not recorded.user_query_hash or (asked is not None and hash_of(asked) == recorded.user_query_hash)
