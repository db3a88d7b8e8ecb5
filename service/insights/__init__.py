"""What many recorded sessions say together: plain NumPy and SciPy over counts, no store, no web.

`inference` holds the statistics that every other module here uses, `figures` how figures are told. `session` tells one
session; `effects` compares skills with workflow steps over many, `phases` says where work gets stuck and what follows
what. Over projects: `mixed` results, `similarity` and what is worth trying, `trend`, `anomaly`, what is `unused`,
`missing` or `passed_over`; `findings` says what they are given and how they tell.
"""
