"""Ranks candidates by relevance and by what really happened: plain NumPy, no store, no web.

`fusion` says how well each candidate fits the query. `evidence` says what one recorded use counts and `book` keeps
the sums, by `cells` of alike queries and with `decay`; `prior` and `reporters` are fitted to all of it. From that
follow `success`, `speed`, `affinity` and, from signals, `scope`; `blend` puts everything into one order, which
`judgement` does end to end. `exploration` gives new skills a chance, `examination` says what of a list was seen,
`reasons` says why in words.
"""
