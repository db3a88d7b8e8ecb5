"""HTTP controllers: each handler is a line or two; the work is done below."""
