"""Benchmarks: parsers, one shared schema, and `load_dataset`."""
