"""The data of `skillrank demo`: a small library of skills, and an invented history of their use."""
