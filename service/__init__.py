"""The web service, the command line and the ranking: what people and agents talk to."""

from importlib.metadata import version

VERSION = version("skillrank")
