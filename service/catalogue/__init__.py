"""The indexed documents: indexing in the background, reading them safely, what is stale, what overlaps."""
