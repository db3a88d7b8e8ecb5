"""The contract of every backend: the records and the port of each subject, one module a subject."""
