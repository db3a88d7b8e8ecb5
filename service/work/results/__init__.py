"""Reads test results as workflow events: `junit` reads JUnit XML, `lines` reads JSON lines.

The files are untrusted. They are read as a stream, so their size does not matter. `feeding` records their events in the
store; feeding a file again adds nothing.
"""
