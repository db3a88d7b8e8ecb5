"""What many recorded sessions say together: plain NumPy and SciPy over counts, no store, no web.

`inference` holds the statistics that every other module here uses.
"""
