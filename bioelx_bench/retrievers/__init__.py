"""Retrievers of the core: those that only combine others."""
