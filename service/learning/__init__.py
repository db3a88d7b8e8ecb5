"""What outcomes teach the ranking: evidence from finished invocations, and weights tuned on recorded choices."""
