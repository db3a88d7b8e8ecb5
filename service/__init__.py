"""The web service, the command line and the ranking: what people and agents talk to."""

VERSION = "0.1.0"  # the only place: the build reads it from here
