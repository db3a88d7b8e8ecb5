"""Measures search on a user's own library: judged questions, figures with intervals, and paired comparisons."""
