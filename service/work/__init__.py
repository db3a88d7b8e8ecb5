"""The record of work: projects and their signals, sessions, workflow events, and imported test results."""
