"""Reads what quality runs leave behind, as workflow events: `junit` for JUnit XML, `lines` for JSON lines.

The files are untrusted. They are read as a stream, so their size does not matter, and `feeding` brings their events
into the store such that feeding a file twice adds nothing.
"""
