"""The contract that every backend implements: records and ports, one module for each subject."""
