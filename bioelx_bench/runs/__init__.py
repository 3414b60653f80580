"""Runs: what is run, its logs and its result."""
