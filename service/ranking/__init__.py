"""Ranks candidates by relevance and by what really happened: plain NumPy, no store, no web.

`fusion` says how well each candidate fits the question, `outcomes` what is believed of its success and speed,
`blend` puts both into one order, `reasons` says why in words.
"""
