"""Measures search on a user's own library: judged queries, figures with intervals, and paired comparisons."""
