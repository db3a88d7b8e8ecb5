"""Insights over one store: counts from several projects and databases, analysed and linked to their rows."""
