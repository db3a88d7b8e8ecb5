"""Ranks candidates by relevance and recorded outcomes: plain NumPy, no store, no web.

`fusion` computes how well each candidate fits the query. `evidence` defines how much one recorded use counts, and
`book` keeps the sums, by `cells` of similar queries and with `decay`; `prior` and `reporters` are fitted to all of
them. `success`, `speed`, `affinity` and, from signals, `scope` are derived from that, and `blend` combines everything
into one order; `judgement` runs these steps. `exploration` gives new skills a chance, `examination` models which lines
of a list were seen, and `reasons` explains the result in words.
"""
