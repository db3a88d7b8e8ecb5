"""A small library of skills, and an invented history of their use: what `skillrank demo` shows itself with."""
