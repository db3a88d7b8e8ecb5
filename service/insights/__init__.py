"""Statistics over many recorded sessions: plain NumPy and SciPy over counts, no store, no web.

`inference` has the statistics that the other modules use, `figures` shares with their intervals, `sentences` every text
that a person reads. `session` reports one session; `effects` compares skills by how workflow steps end, and `phases`
finds bottlenecks and transitions. Over projects there are `mixed` results, `similarity` and what is worth trying,
`trend`, `anomaly`, and skills that are `unused`, `missing` or `passed_over`; `findings` defines their input and output.
"""
